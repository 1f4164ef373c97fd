/// The tokens one model call read and wrote, cut into parts that are each priced once.
/// Total input is `freshInput + cacheRead + cacheWrite`.
package struct TokenUsage: Hashable, Codable, Sendable {
    package var freshInput: Int
    package var cacheRead: Int
    package var cacheWrite: Int
    package var output: Int
    /// How many of `output` were reasoning: already in `output`, never priced again.
    package var reasoning: Int
    /// True where the provider did not say and the counts are ours.
    package var isEstimated: Bool
    /// What the provider itself says that it took; nil where it does not.
    package var statedCost: Picodollars?

    package init(
        freshInput: Int = 0, cacheRead: Int = 0, cacheWrite: Int = 0, output: Int = 0,
        reasoning: Int = 0, isEstimated: Bool = false
    ) {
        (self.freshInput, self.cacheRead, self.cacheWrite) = (freshInput, cacheRead, cacheWrite)
        (self.output, self.reasoning, self.isEstimated) = (output, reasoning, isEstimated)
    }

    package var input: Int { freshInput + cacheRead + cacheWrite }
}

/// What one candidate took of a call, as `provider/model`.
package struct CandidateUsage: Hashable, Codable, Sendable {
    package let candidate: String
    package let usage: TokenUsage

    package init(_ candidate: String, _ usage: TokenUsage) {
        (self.candidate, self.usage) = (candidate, usage)
    }
}
