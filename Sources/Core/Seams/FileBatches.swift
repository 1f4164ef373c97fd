/// Documents that were put into a collection together, as OpenAI's clients do. Made by Retrieval.
package protocol FileBatches: Sendable {
    /// Attaches all of them, with the attributes that each is given, or none. Throws what
    /// `Archive.attach` and `changeDocument` do.
    func createBatch(
        of files: [(document: Identifier, attributes: [String: AttributeValue]?)],
        in collection: Identifier, for principal: Principal
    ) async throws -> FileBatch
    func batch(_ id: Identifier, in collection: Identifier, for principal: Principal)
        async throws -> FileBatch
    /// Takes those out of the collection that are not read yet; the others stay.
    func cancelBatch(_ id: Identifier, in collection: Identifier, for principal: Principal)
        async throws -> FileBatch
}

package struct FileBatch: Hashable, Codable, Sendable {
    package let id: Identifier
    package let createdAt: Timestamp
    package let isCancelled: Bool
    /// Those that are still in the collection, newest first.
    package let documents: [DocumentSummary]
    /// Those that were taken out when it was cancelled.
    package let cancelled: [DocumentSummary]

    package init(
        id: Identifier, createdAt: Timestamp, isCancelled: Bool, documents: [DocumentSummary],
        cancelled: [DocumentSummary]
    ) {
        (self.id, self.createdAt, self.isCancelled) = (id, createdAt, isCancelled)
        (self.documents, self.cancelled) = (documents, cancelled)
    }
}
