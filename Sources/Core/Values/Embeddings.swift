/// Texts to be embedded by one model.
package struct EmbeddingRequest: Codable, Sendable {
    package let principal: Principal
    /// The public name; nil for the configured default.
    package let model: String?
    package let texts: [String]
    package let purpose: String
    /// The very candidate whose vectors are wanted, as `provider/model`, for who keeps vectors that it
    /// made; never what a user named. Nil goes by `model`.
    package var candidate: String?

    package init(principal: Principal, model: String? = nil, texts: [String], purpose: String) {
        (self.principal, self.model, self.texts, self.purpose) = (principal, model, texts, purpose)
    }
}

/// One unit-length vector for each text, in the texts' order.
package struct Embeddings: Codable, Sendable {
    /// The candidate whose vectors they are, as `provider/model`: vectors of different models never
    /// mix. Others that serve the same model may have made them.
    package let candidate: String
    package let dimensions: Int
    /// Row after row, `count x dimensions`.
    package let values: [Float]
    package let usage: TokenUsage
    /// Who took what of it; empty where the candidate took all.
    package var parts: [CandidateUsage] = []
    package var cost: Picodollars

    package init(
        candidate: String, dimensions: Int, values: [Float], usage: TokenUsage,
        cost: Picodollars = .zero
    ) {
        (self.candidate, self.dimensions, self.values) = (candidate, dimensions, values)
        (self.usage, self.cost) = (usage, cost)
    }

    package var count: Int { dimensions == 0 ? 0 : values.count / dimensions }

    /// The vector of the text at `index`; empty when there is none.
    package subscript(index: Int) -> ArraySlice<Float> {
        guard index >= 0, index < count else { return [] }
        return values[index * dimensions..<(index + 1) * dimensions]
    }
}
