import Core

/// What all attempts of one request may cost together. An attempt is made only where what was spent
/// and the most that it can cost stay within it.
struct CostAllowance: Sendable {
    private let most: Picodollars?
    private let pricing: (any Pricing)?
    private var spent = Picodollars.zero

    /// Without a limit, or without anyone who knows prices, everything is covered.
    init(_ most: Picodollars?, _ pricing: (any Pricing)?) {
        self.most = pricing == nil ? nil : most
        self.pricing = pricing
    }

    /// Throws `invalid` where no price is known and such calls are refused.
    func covers(_ request: ChatRequest, at candidate: Candidate) throws -> Bool {
        guard most != nil else { return true }
        let output = min(
            request.sampling.outputTokensMax ?? candidate.limits.outputTokensMax,
            candidate.limits.outputTokensMax)
        return try covers(
            input: TokenCounter.estimate(request, model: candidate.name.model), output: output,
            at: candidate)
    }

    /// The same of so many tokens.
    func covers(input: Int, output: Int = 0, at candidate: Candidate) throws -> Bool {
        guard let most, let pricing else { return true }
        let quote = try pricing.ceiling(
            of: candidate.name.description, input: input, output: output)
        return try spent.adding(quote) <= most
    }

    mutating func took(_ part: CandidateUsage) {
        guard most != nil, let pricing else { return }
        spent = (try? spent.adding(pricing.cost(of: part))) ?? Picodollars(.max)
    }

    /// A candidate had the prompt and said nothing of what it took: its prompt is counted.
    mutating func tookPrompt(_ request: ChatRequest, at candidate: Candidate) {
        guard most != nil else { return }
        tookPrompt(
            tokens: TokenCounter.estimate(request, model: candidate.name.model), at: candidate)
    }

    mutating func tookPrompt(tokens: Int, at candidate: Candidate) {
        took(CandidateUsage(candidate.name.description, TokenUsage(freshInput: tokens)))
    }
}
