import Core
import Logging
import Synchronization

/// What every candidate costs: the configuration first, then the book, then the ceiling.
final class PriceList: Sendable {
    private let book: PriceBook
    private let configured: [String: Price]
    private let unpriced: Price
    private let policy: AccountingConfiguration.UnpricedPolicy
    private let warned = Mutex<Set<String>>([])
    private let known = Mutex(Known())
    private let logger = Logger(label: "heptad.accounting")

    init(_ configuration: AccountingConfiguration) throws {
        try configuration.validate()
        book =
            configuration.priceBook.isEmpty
            ? try .builtIn() : try .file(configuration.priceBook)
        var configured: [String: Price] = [:]
        for (name, price) in configuration.prices {
            configured[name.lowercased()] = Price(
                rates: try price.rates(key: "accounting.prices.\(name)"), asOf: Price.configured)
        }
        self.configured = configured
        unpriced = Price(
            rates: try configuration.unpriced.rates(key: "accounting.unpriced"),
            asOf: Price.unknown)
        policy = configuration.unpricedPolicy
    }

    /// The price of a candidate written `provider/model`, on the day of `now`. Throws `invalid`
    /// where none is known and such calls are refused.
    func price(of candidate: String, now: Timestamp) throws -> Price {
        let price = lookUp(candidate, now: now)
        guard !price.isKnown else { return price }
        guard policy == .ceiling else {
            throw Failure(
                .invalid,
                "No price is known for \(candidate), and calls without one are refused. Set it under"
                    + " accounting.prices.")
        }
        warnOnce(candidate)
        return price
    }

    /// Like `price`, for calls that are not booked at the ceiling: nil where no price is known.
    func knownPrice(of candidate: String, now: Timestamp) throws -> Price? {
        let price = lookUp(candidate, now: now)
        return try price.isKnown
            ? price : policy == .ceiling ? nil : self.price(of: candidate, now: now)
    }

    /// Like `price`, for what has been called already: never refused.
    func bookedPrice(of candidate: String, now: Timestamp) -> Price { lookUp(candidate, now: now) }

    /// What a candidate reads, as far as the book says.
    func contextTokens(of candidate: String) -> Int? {
        let (provider, model) = Self.parts(of: candidate)
        return book.contextTokens(provider: provider, model: model)
    }

    private static func parts(of candidate: String) -> (provider: String, model: String) {
        let slash = candidate.firstIndex(of: "/") ?? candidate.startIndex
        return (String(candidate[..<slash]), String(candidate[slash...].drop { $0 == "/" }))
    }

    /// What was looked up today.
    private struct Known {
        var day: Int64 = .min
        var prices: [String: Price] = [:]
    }

    private func lookUp(_ candidate: String, now: Timestamp) -> Price {
        let day = now.seconds / 86_400
        let found = known.withLock { $0.day == day ? $0.prices[candidate] : nil }
        if let found { return found }
        let price = search(candidate, now: now)
        known.withLock { known in
            if known.day != day || known.prices.count >= Self.knownMax { known = Known(day: day) }
            known.prices[candidate] = price
        }
        return price
    }

    private static let knownMax = 1000

    private func search(_ candidate: String, now: Timestamp) -> Price {
        let (provider, model) = Self.parts(of: candidate)
        if let price = configured[candidate.lowercased()] { return price }
        if let price = configured[provider.lowercased() + "/*"] { return price }
        if provider == Self.localProvider { return Price(rates: .free, asOf: Price.local) }
        let day = String(now.description.prefix(10))
        return book.price(provider: provider, model: model, on: day) ?? unpriced
    }

    private func warnOnce(_ candidate: String) {
        let isNew = warned.withLock { $0.count < Self.warningsMax && $0.insert(candidate).inserted }
        guard isNew else { return }
        logger.warning(
            "No price is known: calls are booked at the ceiling until accounting.prices has one.",
            metadata: ["candidate": "\(candidate)"])
    }

    static let localProvider = "local"
    private static let warningsMax = 1000
}
