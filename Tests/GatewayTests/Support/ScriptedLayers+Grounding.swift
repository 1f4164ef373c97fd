import Core

@testable import Gateway

extension ScriptedLayers: GroundedModel {
    func open(
        _ request: ChatRequest, searching search: SearchRequest, scoreMin: Double
    ) async throws -> GroundedCall {
        let hits = try await self.search(search).filter { $0.score >= scoreMin }
        let citations = with { $0.citations }
        return GroundedCall(query: "asked", hits: hits, call: try await open(request)) {
            citations
        }
    }
}

extension ScriptedLayers: FileBatches {
    static func fileBatch(_ isCancelled: Bool) -> FileBatch {
        FileBatch(
            id: batch, createdAt: time, isCancelled: isCancelled,
            documents: isCancelled ? [] : [documentSummary],
            cancelled: isCancelled ? [documentSummary] : [])
    }

    private func check(batch id: Identifier, _ collection: Identifier, _ principal: Principal)
        throws
    {
        let owner = with { $0.owner }
        guard id == Self.batch, collection == Self.collection, principal.userID == owner else {
            throw Failure(.notFound, "There is no such thing.")
        }
    }

    func createBatch(
        of files: [(document: Identifier, attributes: [String: AttributeValue]?)],
        in collection: Identifier, for principal: Principal
    ) async throws -> FileBatch {
        try check(batch: Self.batch, collection, principal)
        let given = Dictionary(
            files.map { ($0.document, $0.attributes) }, uniquingKeysWith: { first, _ in first })
        with { $0.batches.append(given) }
        return Self.fileBatch(false)
    }

    func batch(_ id: Identifier, in collection: Identifier, for principal: Principal)
        async throws -> FileBatch
    {
        try check(batch: id, collection, principal)
        return Self.fileBatch(false)
    }

    func cancelBatch(_ id: Identifier, in collection: Identifier, for principal: Principal)
        async throws -> FileBatch
    {
        try check(batch: id, collection, principal)
        return Self.fileBatch(true)
    }
}
