/// Whether the answer to a call was there before it was asked.
package enum CacheUse: String, Hashable, Codable, Sendable {
    /// It was not; the next who asks the same may have it.
    case miss
    /// It was, from an earlier call.
    case hit
    /// It was on its way to somebody who had asked the same.
    case joined
    /// The answer to another question was, which means the same.
    case similar
    /// It was, and its time is over, but nobody else can answer.
    case stale
}

/// An answer that was there before it was asked for.
package struct CachedAnswer: Hashable, Sendable {
    /// What the call took that made it.
    package let usage: TokenUsage
    /// The question that it answered, and how near that is, where it was another.
    package let question: String?
    package let similarity: Double?
    /// What the call would have cost; nil until Accounting has added it.
    package var saved: Picodollars?

    package init(usage: TokenUsage, question: String? = nil, similarity: Double? = nil) {
        (self.usage, self.question, self.similarity) = (usage, question, similarity)
    }
}
