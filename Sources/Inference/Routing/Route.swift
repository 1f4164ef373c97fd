import Core

/// One candidate with its provider at hand.
struct Candidate: Sendable {
    let name: CandidateName
    let provider: any Provider
    let limits: ModelLimits
    /// Its share with the policy `weighted`.
    var weight = 1.0
}

/// How many tokens a model takes.
struct ModelLimits: Hashable, Sendable {
    /// Prompt and answer together.
    var contextTokens: Int
    var outputTokensMax: Int
    /// Whether `contextTokens` is what somebody said, and not our guess.
    var isContextKnown = true
}

/// What a route does beside trying its candidates.
struct RouteRules: Hashable, Sendable {
    var policy = RoutePolicy.fallback
    var difficultyThreshold = 0.35
    var escalates = false
    var confidenceMin = 0.0
    var continuesBroken = false
    var context = ContextConfiguration()
    /// What all attempts of one request may cost together; nil for no limit.
    var costMax: Picodollars?
    /// Answers that one request may be charged for: another may have to begin anew, or go on.
    var answersMax: Int { continuesBroken || escalates ? 1 + Self.switchesMax : 1 }

    static let switchesMax = 2

    init() {}

    init(_ configuration: ModelConfiguration) {
        policy = configuration.policy
        difficultyThreshold = configuration.difficultyThreshold
        escalates = configuration.policy == .tiered && configuration.escalates
        confidenceMin = configuration.confidenceMin
        continuesBroken = configuration.afterFirstToken == .continue
        context = configuration.context
        costMax = configuration.costMax
    }
}

/// What a public name leads to: the candidates that are there, in the order they are tried.
struct Route: Sendable {
    let name: String
    let candidates: [Candidate]
    /// Candidates that cannot be asked, and why, in a sentence.
    var missing: [String]
    var isLastResortMissing = false
    var rules = RouteRules()
    var isEmbedding = false
    /// The local model that answers when all of them are down.
    var lastResort: Candidate?

    /// Nil when nobody can answer.
    var card: ModelCard? {
        guard let contextTokens = candidates.map(\.limits.contextTokens).min(),
            let outputTokensMax = candidates.map(\.limits.outputTokensMax).min()
        else { return nil }
        return ModelCard(
            name: name, candidates: candidates.map { $0.name.description },
            contextTokens: contextTokens, outputTokensMax: outputTokensMax,
            isLocal: candidates.allSatisfy { $0.provider.isLocal },
            answersMax: min(candidates.count, rules.answersMax))
    }
}
