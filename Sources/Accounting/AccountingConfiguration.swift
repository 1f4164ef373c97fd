import Core

/// What layer 7 can be told.
package struct AccountingConfiguration: Codable, Sendable, Equatable {
    /// Prices that go before the price book, by `provider/model` or `provider/*`. A local model is
    /// free unless it stands here.
    package var prices: [String: PriceConfiguration] = [:]
    /// A file that replaces the built-in price book; "" for the built-in one.
    package var priceBook = ""
    /// What each user may spend in a calendar month (UTC), in dollars such as "5" or "2.50"; "" for
    /// no budget.
    package var monthlyBudgetDollars = ""
    /// What happens to a call of a hosted model whose price is nowhere: `ceiling` books it at
    /// `unpriced` and marks it, `refuse` answers that the price must be configured.
    package var unpricedPolicy = UnpricedPolicy.ceiling
    /// The price assumed where none is known, dear on purpose so that a budget holds.
    package var unpriced = PriceConfiguration(input: "30", output: "180")
    /// How long funds stay reserved for a call that never says how it ended.
    package var holdMinutesMax = 60

    package enum UnpricedPolicy: String, Codable, Sendable { case ceiling, refuse }

    package init() {}

    package func validate() throws {
        for (name, price) in prices.sorted(by: { $0.key < $1.key }) {
            guard let slash = name.firstIndex(of: "/"), slash != name.startIndex,
                name.index(after: slash) != name.endIndex
            else {
                throw Failure(
                    .invalid, "accounting.prices: \"\(name)\" must be written provider/model.")
            }
            _ = try price.rates(key: "accounting.prices.\(name)")
        }
        _ = try unpriced.rates(key: "accounting.unpriced")
        _ = try monthlyBudget()
        guard (1...10_080).contains(holdMinutesMax) else {
            throw Failure(.invalid, "accounting.hold_minutes_max must be from 1 to 10080.")
        }
    }

    /// Nil where no budget is set.
    func monthlyBudget() throws -> Picodollars? {
        guard !monthlyBudgetDollars.isEmpty else { return nil }
        guard
            let budget = Picodollars(dollars: monthlyBudgetDollars), budget >= .zero
        else {
            throw Failure(
                .invalid,
                "accounting.monthly_budget_dollars: \"\(monthlyBudgetDollars)\" is not an amount of"
                    + " dollars such as \"5\" or \"2.50\".")
        }
        return budget
    }
}

/// Dollars for a million tokens of each kind, written as decimals with at most six places, so that
/// they are exact: "0.75". "" for a cache rate means the rate of fresh input.
package struct PriceConfiguration: Codable, Sendable, Equatable {
    /// Input the model read afresh.
    package var inputDollarsPerMillion = "0"
    /// Input the provider had in its cache.
    package var cacheReadDollarsPerMillion = ""
    /// Input the provider put into its cache.
    package var cacheWriteDollarsPerMillion = ""
    /// Output, reasoning included.
    package var outputDollarsPerMillion = "0"

    package init() {}

    package init(input: String, output: String) {
        inputDollarsPerMillion = input
        outputDollarsPerMillion = output
    }

    func rates(key: String) throws -> Rates {
        let input = try amount(inputDollarsPerMillion, key + ".input_dollars_per_million")
        return Rates(
            input: input,
            cacheRead: try amount(
                cacheReadDollarsPerMillion, key + ".cache_read_dollars_per_million", absent: input),
            cacheWrite: try amount(
                cacheWriteDollarsPerMillion, key + ".cache_write_dollars_per_million",
                absent: input),
            output: try amount(outputDollarsPerMillion, key + ".output_dollars_per_million"))
    }

    private func amount(_ text: String, _ key: String, absent: Picodollars? = nil) throws
        -> Picodollars
    {
        if text.isEmpty, let absent { return absent }
        guard let price = Picodollars(dollarsPerMillion: text) else {
            throw Failure(
                .invalid,
                "\(key): \"\(text)\" is not a price. Write dollars for a million tokens, from 0 to"
                    + " \(Rates.dollarsPerMillionMax), with at most six decimals.")
        }
        return price
    }
}
