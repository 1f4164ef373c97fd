import Core

/// Embeds passages and questions through the seam, in batches, and distrusts what comes back.
struct PassageEmbedder: Sendable {
    let embedder: any Embedder
    /// Empty means the default.
    let model: String
    let batchMax: Int

    /// One vector for each text, of the model that is configured, or of a `candidate` that made others
    /// before. Throws what the embedder throws, and `upstream` for vectors that
    /// are too few, empty, or not numbers.
    func vectors(
        of texts: [String], for principal: Principal, purpose: String, by candidate: String? = nil
    ) async throws -> [Vector] {
        guard !texts.isEmpty else { return [] }
        var request = EmbeddingRequest(
            principal: principal, model: model.isEmpty ? nil : model, texts: texts,
            purpose: purpose)
        request.candidate = candidate
        let embeddings = try await embedder.embed(request)
        guard embeddings.dimensions > 0, embeddings.dimensions <= Self.dimensionsMax,
            embeddings.values.count == texts.count * embeddings.dimensions
        else { throw Self.broken("\(embeddings.count) vectors for \(texts.count) texts") }
        return try texts.indices.map { place in
            Vector(
                candidate: embeddings.candidate,
                elements: try Self.unitLength(Array(embeddings[place])))
        }
    }

    private static let dimensionsMax = 16384

    /// Searching takes dot products for cosines, so the length had better be one.
    private static func unitLength(_ elements: [Float]) throws -> [Float] {
        let square = elements.reduce(Float(0)) { $0 + $1 * $1 }
        guard square.isFinite, square > 0 else { throw broken("a vector of length \(square)") }
        guard abs(square - 1) > 1e-4 else { return elements }
        let scale = 1 / square.squareRoot()
        return elements.map { $0 * scale }
    }

    private static func broken(_ cause: String) -> Failure {
        Failure(.upstream, "The embedding model answered with something unusable.", cause: cause)
    }
}
