extension LocalChatModel {
    /// How surprised the model is by each token after the first, in nats: what perplexity is made of.
    /// All must be
    /// tokens of the model. Throws like `generate`, and reads no more than the context.
    package func surprise(at tokens: [Int32]) async throws -> [Double] {
        let read = Array(tokens.prefix(contextTokens))
        return try await inspect { $0.surprise(at: read) }
    }
}
