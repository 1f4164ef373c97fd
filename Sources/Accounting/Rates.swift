import Core

/// Picodollars for one token of each kind. Whole numbers, so that a product with a count of tokens
/// is exact and nothing is ever rounded.
struct Rates: Hashable, Sendable {
    let input: Picodollars
    let cacheRead: Picodollars
    let cacheWrite: Picodollars
    let output: Picodollars

    static let free = Rates(
        input: .zero, cacheRead: .zero, cacheWrite: .zero, output: .zero)

    /// A hundred times the dearest price of 2026. With `tokensMax` it keeps the cost of any call
    /// within 64 bits.
    static let dollarsPerMillionMax: Int64 = 10_000
    /// No call has more tokens of one kind; a provider that claims more is not believed.
    static let tokensMax = 100_000_000
    /// A thousand dollars; nor is one that claims to have sold a call for more.
    static let statedMax = Picodollars(1000 * Picodollars.perDollar)

    /// What a call with this usage costs.
    func cost(of usage: TokenUsage) throws -> Picodollars {
        try input.times(usage.freshInput)
            .adding(cacheRead.times(usage.cacheRead))
            .adding(cacheWrite.times(usage.cacheWrite))
            .adding(output.times(usage.output))
    }

    /// The most that this many tokens can cost, however the provider's cache takes them.
    func ceiling(input tokens: Int, output outputTokens: Int) throws -> Picodollars {
        try dearestInput.times(min(max(0, tokens), Self.tokensMax))
            .adding(output.times(min(max(0, outputTokens), Self.tokensMax)))
    }

    var dearestInput: Picodollars { max(input, cacheRead, cacheWrite) }
    var isFree: Bool { self == .free }
}

extension Picodollars {
    /// The price of one token where `text` is dollars for a million of them. Nil unless it is a
    /// plain decimal, not negative, at most `Rates.dollarsPerMillionMax`, with six places at most.
    init?(dollarsPerMillion text: String) {
        self.init(scaling: text, decimals: 6)
        guard (0...Rates.dollarsPerMillionMax * 1_000_000).contains(rawValue) else { return nil }
    }
}

extension TokenUsage {
    /// The counts as they are booked: never negative, never more than `Rates.tokensMax`.
    var bounded: TokenUsage {
        func bounded(_ count: Int) -> Int { min(max(0, count), Rates.tokensMax) }
        var usage = TokenUsage(
            freshInput: bounded(freshInput), cacheRead: bounded(cacheRead),
            cacheWrite: bounded(cacheWrite), output: bounded(output),
            reasoning: bounded(reasoning), isEstimated: isEstimated)
        usage.statedCost = statedCost.map { min(max(.zero, $0), Rates.statedMax) }
        return usage
    }
}
