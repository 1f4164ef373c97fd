import Core

/// What one candidate charges, and where that is known from.
struct Price: Hashable, Sendable {
    let rates: Rates
    /// The rates of a whole request whose input is longer than the threshold.
    let long: Long?
    /// `2026-08-01` for the price book's, `configured`, `local` for a free local model, or
    /// `unpriced`.
    let asOf: String
    /// False where no price is known and the rates are the configured ceiling.
    var isKnown: Bool { asOf != Self.unknown }

    struct Long: Hashable, Sendable {
        let thresholdTokens: Int
        let rates: Rates
    }

    static let unknown = "unpriced"
    static let local = "local"
    static let configured = "configured"

    init(rates: Rates, long: Long? = nil, asOf: String) {
        self.rates = rates
        self.long = long
        self.asOf = asOf
    }

    /// The rates for a request with this much input, cached input included.
    func rates(inputTokens: Int) -> Rates {
        guard let long, inputTokens > long.thresholdTokens else { return rates }
        return long.rates
    }

    func cost(of usage: TokenUsage) throws -> Picodollars {
        let usage = usage.bounded
        return try rates(inputTokens: usage.input).cost(of: usage)
    }

    func ceiling(input: Int, output: Int) throws -> Picodollars {
        try rates(inputTokens: input).ceiling(input: input, output: output)
    }

    var isFree: Bool { rates.isFree && (long?.rates.isFree ?? true) }

    /// As a model card shows it; nil where no price is known.
    var tokenPrice: TokenPrice? {
        guard isKnown else { return nil }
        return TokenPrice(
            input: rates.input, cacheRead: rates.cacheRead, cacheWrite: rates.cacheWrite,
            output: rates.output, asOf: asOf)
    }
}
