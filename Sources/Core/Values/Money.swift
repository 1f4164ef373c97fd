/// What a call may cost at most, before it is made.
package struct Quote: Hashable, Codable, Sendable {
    package let model: String
    package let ceiling: Picodollars
    /// What the principal may still spend in this period; nil where no budget is set.
    package let remaining: Picodollars?

    package init(model: String, ceiling: Picodollars, remaining: Picodollars?) {
        self.model = model
        self.ceiling = ceiling
        self.remaining = remaining
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
            self.candidate = candidate
            self.calls = calls
            self.inputTokens = inputTokens
            self.outputTokens = outputTokens
            self.cost = cost
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
        self.month = month
        self.total = total
        self.reserved = reserved
        self.budget = budget
        self.lines = lines
    }
}
