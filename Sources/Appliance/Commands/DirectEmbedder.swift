import Core
import LocalModels

/// An embedding model in this process, without a server around it.
struct DirectEmbedder: Embedder {
    let embedder: LocalEmbedder

    func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        let made = try await embedder.embed(request.texts)
        return Embeddings(
            candidate: "local/\(embedder.name)", dimensions: embedder.dimensions,
            values: made.values, usage: TokenUsage())
    }
}
