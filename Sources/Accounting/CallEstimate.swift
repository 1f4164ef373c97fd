import Core

/// What a call may take, before it is made.
struct CallEstimate {
    let card: ModelCard
    /// Zero where every candidate is free and nothing has to be counted.
    let promptTokens: Int
    /// The most the answer can have.
    let outputTokens: Int
    private let prices: [Price]

    /// Throws `notFound` for an unknown model, and `invalid` for one whose price is refused.
    init(_ request: ChatRequest, model: any ChatModel, ledger: SpendLedger) async throws {
        guard let card = await model.models().first(where: { $0.name == request.model }) else {
            throw Failure(
                .notFound, "There is no model named \(request.model). Pick one of those listed.")
        }
        self.card = card
        let now = ledger.environment.now()
        prices = try card.candidates.map { try ledger.prices.price(of: $0, now: now) }
        let most = card.outputTokensMax > 0 ? card.outputTokensMax : card.contextTokens
        outputTokens = max(0, min(request.sampling.outputTokensMax ?? most, most))
        guard !prices.allSatisfy(\.isFree) else {
            promptTokens = 0
            return
        }
        let counts = try await model.countTokens(request.countedTexts, model: request.model)
        // Every message is wrapped in a few tokens that name its role.
        promptTokens = Self.total(counts) + request.messages.count * Self.tokensPerMessage
    }

    var isFree: Bool { prices.allSatisfy(\.isFree) }

    /// The most the call can cost with an answer of this length, whichever candidate gives it. Where
    /// candidates may go on for each other, each reads the prompt and what was written, and each may
    /// write all of the answer.
    func ceiling(outputTokens: Int) throws -> Picodollars {
        guard card.answersMax > 1 else {
            return try prices.map { try $0.ceiling(input: promptTokens, output: outputTokens) }
                .max()
                ?? .zero
        }
        let each = try prices.map {
            try $0.ceiling(
                input: min(promptTokens + outputTokens, Rates.tokensMax), output: outputTokens)
        }
        return try each.sorted(by: >).prefix(card.answersMax).reduce(Picodollars.zero) {
            try $0.adding($1)
        }
    }

    /// The longest answer that `funds` pay for, whichever candidate gives it.
    func outputTokens(for funds: Picodollars) throws -> Int {
        var affordable = outputTokens
        guard card.answersMax == 1 else { return try shared(funds) }
        for price in prices {
            let each = price.rates(inputTokens: promptTokens).output.rawValue
            let prompt = try price.ceiling(input: promptTokens, output: 0).rawValue
            guard each > 0 else { continue }
            affordable = min(affordable, Int(max(0, funds.rawValue - prompt) / each))
        }
        return affordable
    }

    /// The longest answer whose ceiling the funds cover, by halving.
    private func shared(_ funds: Picodollars) throws -> Int {
        var (least, most) = (0, outputTokens)
        while least < most {
            let middle = most - (most - least) / 2
            if try ceiling(outputTokens: middle) <= funds {
                least = middle
            } else {
                most = middle - 1
            }
        }
        return least
    }

    static func total(_ counts: [Int]) -> Int {
        counts.reduce(0) { min($0 + min(max(0, $1), Rates.tokensMax), Rates.tokensMax) }
    }

    static let tokensPerMessage = 8
}
