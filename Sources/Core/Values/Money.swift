/// What a call may cost at most, before it is made.
package struct Quote: Hashable, Codable, Sendable {
    package let model: String
    package let ceiling: Picodollars
    /// What the principal may still spend in this period; nil where no budget is set.
    package let remaining: Picodollars?

    package init(model: String, ceiling: Picodollars, remaining: Picodollars?) {
        (self.model, self.ceiling, self.remaining) = (model, ceiling, remaining)
    }
}

/// What a principal has spent in the running month (UTC).
package struct Spend: Hashable, Codable, Sendable {
    package struct Line: Hashable, Codable, Sendable {
        package let candidate: String
        package let calls: Int
        package let inputTokens: Int
        package let outputTokens: Int
        package let cost: Picodollars

        package init(
            candidate: String, calls: Int, inputTokens: Int, outputTokens: Int, cost: Picodollars
        ) {
            (self.candidate, self.calls, self.inputTokens) = (candidate, calls, inputTokens)
            (self.outputTokens, self.cost) = (outputTokens, cost)
        }
    }

    /// `2026-11`.
    package let month: String
    package let total: Picodollars
    /// Held for calls that are running now.
    package let reserved: Picodollars
    /// Nil where no budget is set.
    package let budget: Picodollars?
    package let lines: [Line]

    package init(
        month: String, total: Picodollars, reserved: Picodollars, budget: Picodollars?,
        lines: [Line]
    ) {
        (self.month, self.total, self.reserved, self.budget) = (month, total, reserved, budget)
        self.lines = lines
    }
}
