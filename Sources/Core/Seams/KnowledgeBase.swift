/// Documents in, passages out. Made by Retrieval; all of it is scoped to the principal's own rows,
/// and another's identifiers answer `notFound`.
package protocol KnowledgeBase: Sendable {
    /// The best passages for a question, best first. Empty when nothing matches.
    func search(_ request: SearchRequest) async throws -> [SearchHit]

    /// The same search with how it came about.
    func explain(_ request: SearchRequest) async throws -> SearchExplanation

    /// Keeps the file and enqueues a job that makes it searchable. Throws `unsupported` for a type
    /// that cannot be read, `invalid` for an empty file, `tooLarge` past the configured size.
    func ingest(_ upload: Upload, for principal: Principal) async throws -> Ingestion

    /// Fetches a page or a file by its address and takes it in like an upload. Throws what `ingest`
    /// does, `forbidden` for an address that may not be reached, and `upstream`.
    func ingest(address: String, into collection: Identifier?, for principal: Principal)
        async throws -> Ingestion

    /// Takes a document, its passages and its vectors away.
    func remove(document: Identifier, for principal: Principal) async throws

    /// Reads a document's file once more or, with `vectorsOnly`, makes the vectors that its passages
    /// lack: enqueues the job that does.
    func renew(document: Identifier, vectorsOnly: Bool, for principal: Principal) async throws
        -> Ingestion

    /// The document's extracted text and what it is called, for showing a passage in its place.
    func text(of document: Identifier, for principal: Principal) async throws
        -> (DocumentSummary, String)
}

/// What a principal has in the knowledge base.
package protocol Catalogue: Sendable {
    /// Newest first.
    func collections(for principal: Principal) async throws -> [Collection]
    /// Throws `conflict` when the principal already has a collection of that name.
    func createCollection(named name: String, for principal: Principal) async throws -> Collection
    /// Takes the collection and all its documents away.
    func removeCollection(_ id: Identifier, for principal: Principal) async throws
    /// Newest first.
    func documents(in collection: Identifier, for principal: Principal) async throws
        -> [DocumentSummary]
}
