import Core
import Metrics
import Synchronization

/// How many tokens a prompt has for a candidate: exact where the model runs here, elsewhere an
/// estimate by family and kind of text, corrected by what the provider has counted before.
final class TokenCounter: Sendable {
    private let factors = Mutex(RecencyMap<CandidateName, Double>())

    // Past it, what was not used for longest is learned anew.
    private static let modelsMax = 512
    // How much one call counts: after ten calls nine tenths of an error are gone.
    private static let weight = 0.2
    // A provider that counts twice what we do, or half, is one whose count means something else.
    private static let factorRange = 0.5...2.0
    // Of fewer the provider's own words around a prompt are most.
    private static let learnedTokensMin = 200
    // An estimate that may not be too low: prices are reserved by it.
    private static let margin = 1.1

    /// Tokens of the whole prompt: messages, calls, images, tools and the form of the answer.
    func tokens(_ request: ChatRequest, at candidate: Candidate) throws -> Int {
        if let exact = try candidate.provider.promptTokens(request, model: candidate.name.model) {
            return exact
        }
        return corrected(Self.estimate(request, model: candidate.name.model), candidate.name)
    }

    /// Tokens of each text: exact for local models, from above for others.
    func tokens(_ texts: [String], at candidate: Candidate) throws -> [Int] {
        let model = candidate.name.model
        if let exact = try candidate.provider.countTokens(texts, model: model) { return exact }
        let family = TokenFamily(model: model)
        return texts.map { text in
            let estimate = Double(family.tokens(TextShape(text))) * Self.margin
            return corrected(Int(estimate.rounded(.up)), candidate.name)
                + TokenEstimate.tokensPerMessage
        }
    }

    /// Takes in what the provider counted for a prompt.
    func learn(_ usage: TokenUsage, of request: ChatRequest, at candidate: Candidate) {
        guard !candidate.provider.isLocal, !usage.isEstimated, usage.input > 0,
            // What an image takes depends on its size, which we do not know.
            !request.messages.contains(where: \.hasImages)
        else { return }
        let estimate = Self.estimate(request, model: candidate.name.model)
        guard estimate >= Self.learnedTokensMin else { return }
        let seen = Self.bounded(Double(usage.input) / Double(estimate))
        let factor = factors.withLock { factors in
            let earlier = factors.use(candidate.name) ?? 1
            let factor = Self.bounded(earlier + Self.weight * (seen - earlier))
            factors.insert(factor, for: candidate.name)
            if factors.count > Self.modelsMax { _ = factors.removeOldest() }
            return factor
        }
        Gauge(
            label: "heptad_token_estimate_factor",
            dimensions: [("candidate", candidate.name.description)]
        ).record(factor)
    }

    /// What an estimate for this candidate is multiplied by.
    func factor(_ candidate: CandidateName) -> Double {
        factors.withLock { $0.use(candidate) } ?? 1
    }

    private func corrected(_ estimate: Int, _ candidate: CandidateName) -> Int {
        Int((Double(estimate) * factor(candidate)).rounded(.up))
    }

    private static func bounded(_ factor: Double) -> Double {
        min(max(factor, factorRange.lowerBound), factorRange.upperBound)
    }

    static func estimate(_ request: ChatRequest, model: String) -> Int {
        let family = TokenFamily(model: model)
        var shape = TextShape()
        for text in request.countedTexts { shape.add(text) }
        var tokens = family.tokens(shape) + TokenEstimate.tokensPerMessage
        // Each message is wrapped in words of the template, each tool in a few of its own.
        tokens += request.messages.count * TokenEstimate.tokensPerMessage
        tokens += request.tools.count * tokensPerTool
        for message in request.messages where message.hasImages {
            for case .image(let image) in message.parts { tokens += family.tokens(image) }
        }
        return tokens
    }

    private static let tokensPerTool = 12
}
