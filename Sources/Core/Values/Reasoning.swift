/// How much a model thinks before it answers, where it can be told.
package struct ReasoningRequest: Hashable, Codable, Sendable {
    package enum Effort: String, Codable, Sendable {
        case none, minimal, low, medium, high, xhigh, max
    }

    package var effort: Effort?
    /// Nil leaves the length to the model; 0 is no thinking, for models that can do without.
    package var budgetTokens: Int?

    package init(effort: Effort? = nil, budgetTokens: Int? = nil) {
        (self.effort, self.budgetTokens) = (effort, budgetTokens)
    }
}

/// What makes a thought good for its provider, who wants it back as it was.
package enum ThoughtSeal: Hashable, Codable, Sendable {
    case signature(String)
    /// The thought itself, which only its provider can read.
    case redacted(String)
}

/// A thought of an earlier answer, as its provider wants it back.
package struct Thought: Hashable, Codable, Sendable {
    package let text: String
    package let seal: ThoughtSeal
    /// How many bytes of the message's text stand before it.
    package let offset: Int

    package init(_ text: String, _ seal: ThoughtSeal, at offset: Int) {
        (self.text, self.seal, self.offset) = (text, seal, offset)
    }
}

/// How long a provider keeps what it read up to a mark.
package enum CacheMark: String, Codable, Sendable {
    case minutes = "5m"
    case hour = "1h"
}
