package import Core

/// What models there are, for the banner and `heptad doctor`.
package struct Inventory: Hashable, Codable, Sendable {
    /// Default first.
    package let models: [ModelCard]
    /// As `provider/model`; nil when nothing makes embeddings.
    package let embedder: String?
    /// What is missing or cannot be read, each in a sentence that says what to do.
    package let problems: [String]

    /// One line for each model, the embedder, and each problem.
    package var lines: [String] {
        models.enumerated().map { place, model in
            "\(model.name)\(place == 0 ? " (default)" : ""): "
                + model.candidates.joined(separator: ", then ")
                + ", \(model.contextTokens) tokens of context"
        } + (embedder.map { ["embeddings: \($0)"] } ?? []) + problems
    }
}
