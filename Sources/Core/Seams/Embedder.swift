/// Turns texts into vectors. Made by Inference, wrapped by Accounting.
package protocol Embedder: Sendable {
    /// One unit-length vector for each text. A text longer than the model reads is cut at its end.
    /// Throws like `ChatModel.open`; `unavailable` when no embedding model is there.
    func embed(_ request: EmbeddingRequest) async throws -> Embeddings
}
