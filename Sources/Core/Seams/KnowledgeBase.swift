/// Documents in, passages out. Made by Retrieval; all of it is scoped to the principal's own rows,
/// and another's identifiers answer `notFound`.
package protocol KnowledgeBase: Sendable {
    /// The best passages for a question, best first. Empty when nothing matches.
    func search(_ request: SearchRequest) async throws -> [SearchHit]

    /// The same search with how it came about.
    func explain(_ request: SearchRequest) async throws -> SearchExplanation

    /// What a question is looked up as after a conversation: one text or a few, the most telling first.
    /// Only the question where nothing was said before.
    func queries(
        for question: String, after conversation: [ChatMessage], for principal: Principal
    ) async -> [String]

    /// The documents that are ready and that the search would look at, newest first; nil where they
    /// are more than `max`.
    func searched(by request: SearchRequest, max: Int) async throws -> [DocumentSummary]?

    /// Keeps the file and enqueues a job that makes it searchable. Throws `unsupported` for a type
    /// that cannot be read, `invalid` for an empty file, `tooLarge` past the configured size.
    func ingest(_ upload: Upload, for principal: Principal) async throws -> Ingestion

    /// Fetches a page or a file by its address and takes it in like an upload. Throws what `ingest`
    /// does, `forbidden` for an address that may not be reached, and `upstream`.
    func ingest(address: String, into collection: Identifier?, for principal: Principal)
        async throws -> Ingestion

    /// Enqueues a job that adds the pages of a site, each as by its address; what has not changed since
    /// is left alone. Returns the job. Throws `invalid` for what is no address.
    func ingest(site: SiteRequest, for principal: Principal) async throws -> Identifier

    /// Takes a document, its passages and its vectors away.
    func remove(document: Identifier, for principal: Principal) async throws

    /// Reads a document's file once more or, with `vectorsOnly`, makes the vectors that its passages
    /// lack: enqueues the job that does.
    func renew(document: Identifier, vectorsOnly: Bool, for principal: Principal) async throws
        -> Ingestion

    /// The document's extracted text and what it is called, for showing a passage in its place.
    func text(of document: Identifier, for principal: Principal) async throws
        -> (DocumentSummary, String)

    /// Those of the documents that are there and that the principal may not read, not any more.
    func hidden(_ documents: Set<Identifier>, from principal: Principal) async throws
        -> Set<Identifier>
}

/// The collections that a principal owns or that were shared. What may be read but not changed
/// answers `forbidden` to a change, the rest `notFound`.
package protocol Catalogue: Sendable {
    /// Newest first.
    func collections(for principal: Principal) async throws -> [Collection]
    /// Throws `conflict` when the principal already has a collection of that name.
    func createCollection(named name: String, for principal: Principal) async throws -> Collection
    /// The owner's to do.
    func changeCollection(_ id: Identifier, _ change: CollectionChange, for principal: Principal)
        async throws -> Collection
    /// Takes the collection away, with its documents or with these back in the owner's default
    /// collection. The owner's to do.
    func removeCollection(
        _ id: Identifier, keepingDocuments: Bool, for principal: Principal) async throws

    /// Whom a collection is shared with. The owner's to see and to change.
    func shares(of collection: Identifier, for principal: Principal) async throws -> [Share]
    /// Nil takes the share away, at once.
    func share(
        _ collection: Identifier, with grantee: Identifier, _ access: CollectionAccess?,
        for principal: Principal) async throws
}

/// Documents as files, apart from what is searched in them.
package protocol Archive: Sendable {
    /// Those in a collection, its own and the attached ones; nil for all of the principal's own.
    /// Newest first.
    func documents(in collection: Identifier?, for principal: Principal) async throws
        -> [DocumentSummary]
    func document(_ id: Identifier, for principal: Principal) async throws -> DocumentSummary
    /// The document with the bytes that were uploaded.
    func content(of document: Identifier, for principal: Principal) async throws
        -> (DocumentSummary, [UInt8])
    func changeDocument(_ id: Identifier, _ change: DocumentChange, for principal: Principal)
        async throws -> DocumentSummary
    /// Puts one of the principal's documents into another collection as well, or takes it out.
    func attach(
        _ document: Identifier, to collection: Identifier, _ isAttached: Bool,
        for principal: Principal
    ) async throws -> DocumentSummary
}
