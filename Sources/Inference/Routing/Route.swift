import Core

/// One candidate with its provider at hand.
struct Candidate: Sendable {
    let name: CandidateName
    let provider: any Provider
    let limits: ModelLimits
}

/// How many tokens a model takes.
struct ModelLimits: Hashable, Sendable {
    /// Prompt and answer together.
    var contextTokens: Int
    var outputTokensMax: Int
}

/// What a public name leads to: the candidates that are there, in the order they are tried.
struct Route: Sendable {
    let name: String
    let candidates: [Candidate]
    /// Candidates that cannot be asked, and why, in a sentence.
    let missing: [String]

    /// Nil when nobody can answer.
    var card: ModelCard? {
        guard let contextTokens = candidates.map(\.limits.contextTokens).min(),
            let outputTokensMax = candidates.map(\.limits.outputTokensMax).min()
        else { return nil }
        return ModelCard(
            name: name, candidates: candidates.map { $0.name.description },
            contextTokens: contextTokens, outputTokensMax: outputTokensMax,
            isLocal: candidates.allSatisfy { $0.provider.isLocal })
    }
}
