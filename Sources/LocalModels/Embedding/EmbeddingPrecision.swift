/// The arithmetic of an embedding model.
package enum EmbeddingPrecision: String, Codable, Sendable {
    /// The fastest that keeps vectors within a cosine of 0.999 of those in single precision.
    case auto
    /// Single precision throughout, as the model was trained.
    case float32
}
