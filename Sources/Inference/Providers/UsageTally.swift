import Core

/// What a provider has said so far of the tokens of one answer. Counts are cumulative in every protocol
/// we know: what comes later replaces, field by field, and all is normalised once, at the end.
struct UsageTally: Hashable, Sendable {
    /// What a protocol means by its input tokens.
    enum Input { case withCached, withoutCached }

    var input: Int?
    var cacheRead: Int?
    var cacheWrite: Int?
    /// With `reasoning` in it.
    var output: Int?
    var reasoning: Int?
    /// In the provider's own books.
    var statedCost: Picodollars?

    // Above any real count, and far below where sums overflow.
    private static let tokensMax = 1 << 40

    /// Nothing that is charged was said.
    var isSilent: Bool {
        (input ?? 0) + (cacheRead ?? 0) + (cacheWrite ?? 0) + (output ?? 0) == 0
    }

    /// Takes each count that is there.
    mutating func overwrite(
        input: Int? = nil, cacheRead: Int? = nil, cacheWrite: Int? = nil, output: Int? = nil,
        reasoning: Int? = nil
    ) {
        func sane(_ count: Int?, or known: Int?) -> Int? {
            count.map { min(max(0, $0), Self.tokensMax) } ?? known
        }
        self.input = sane(input, or: self.input)
        self.cacheRead = sane(cacheRead, or: self.cacheRead)
        self.cacheWrite = sane(cacheWrite, or: self.cacheWrite)
        self.output = sane(output, or: self.output)
        self.reasoning = sane(reasoning, or: self.reasoning)
    }

    /// Parts that are each priced once. What the provider did not say is estimated.
    func usage(_ meaning: Input, inputEstimate: Int, outputEstimate: Int) -> TokenUsage {
        let stated = input ?? inputEstimate
        var (read, write) = (cacheRead ?? 0, cacheWrite ?? 0)
        var fresh = stated
        if meaning == .withCached {
            read = min(read, stated)
            write = min(write, stated - read)
            fresh = stated - read - write
        }
        let output = output ?? outputEstimate
        var usage = TokenUsage(
            freshInput: fresh, cacheRead: read, cacheWrite: write, output: output,
            reasoning: min(reasoning ?? 0, output),
            isEstimated: input == nil || self.output == nil)
        usage.statedCost = statedCost
        return usage
    }
}
