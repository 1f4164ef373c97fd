/// Turns texts into vectors. Made by Inference, wrapped by Accounting.
package protocol Embedder: Sendable {
    /// One unit-length vector for each text. A text longer than the model reads is cut at its end.
    /// Throws like `ChatModel.open`; `unavailable` when no embedding model is there, and `notFound`
    /// when the candidate that is asked for is not.
    func embed(_ request: EmbeddingRequest) async throws -> Embeddings
}
