import CPrices
import Core

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What providers charge, as a file says it: dollars for a million tokens, each price with the day
/// it was last checked, and with the days between which it holds where it changes.
struct PriceBook: Sendable {
    /// The day the whole book was checked.
    let asOf: String
    let entries: [Entry]
    private let byModel: [String: [Int]]

    struct Entry: Sendable {
        let provider: String
        let model: String
        let price: Price
        /// What the model reads; nil where the book does not say.
        let contextTokens: Int?
        /// First day, and first day no longer, on which the price holds; "" for no limit.
        let effectiveFrom: String
        let effectiveTo: String
    }

    /// The book that was in the source tree when the binary was built.
    static func builtIn() throws -> PriceBook {
        var count = 0
        let bytes = heptad_prices(&count)
        return try PriceBook(json: Array(UnsafeBufferPointer(start: bytes, count: count)))
    }

    /// Throws `invalid`, naming the file, where it cannot be read or is no price book.
    static func file(_ path: String) throws -> PriceBook {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw Failure(
                .invalid, "The price book \(path) cannot be read. Check accounting.price_book.",
                cause: error)
        }
        do {
            return try PriceBook(json: Array(data))
        } catch {
            throw Failure(
                .invalid, "The price book \(path) was refused. \(Failure(error).message)",
                cause: error)
        }
    }

    init(json: [UInt8]) throws {
        guard json.count <= Self.bytesMax else {
            throw Failure(.tooLarge, "A price book has at most \(Self.bytesMax) bytes.")
        }
        let page: Page
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            page = try decoder.decode(Page.self, from: Data(json))
        } catch {
            throw Failure(.invalid, "It is not the JSON of a price book.", cause: error)
        }
        guard page.unit == Self.unit else {
            throw Failure(.invalid, "Its unit must be \"\(Self.unit)\".")
        }
        entries = try page.prices.map { try $0.entry(bookAsOf: page.asOf) }
        asOf = page.asOf
        var byModel: [String: [Int]] = [:]
        for (index, entry) in entries.enumerated() {
            byModel[entry.model.lowercased(), default: []].append(index)
        }
        self.byModel = byModel
    }

    /// The price of `provider/model` on a day such as `2026-11-21`, nil where none fits. Providers
    /// have free names in the configuration, so the model's name decides: among several providers
    /// of it the one whose name is in `provider` wins, and otherwise the dearest, so that a guess
    /// is never below the bill.
    func price(provider: String, model: String, on day: String) -> Price? {
        inForce(entries(provider: provider, model: model), on: day)
            .max { $0.rates.sum < $1.rates.sum }
    }

    /// What `provider/model` reads, nil where the book does not know: the least of those it may be.
    func contextTokens(provider: String, model: String) -> Int? {
        entries(provider: provider, model: model).compactMap(\.contextTokens).min()
    }

    private func entries(provider: String, model: String) -> [Entry] {
        let named = provider.lowercased()
        let found = (byModel[model.lowercased()] ?? []).map { entries[$0] }
        if found.isEmpty, let slash = model.firstIndex(of: "/") {
            // Resellers put the maker before the model: openrouter/anthropic/claude-opus-5.
            return entries(
                provider: String(model[..<slash]),
                model: String(model[model.index(after: slash)...]))
        }
        let own = found.filter { $0.provider.lowercased() == named }
        let alike = found.filter { named.contains($0.provider.lowercased()) }
        return own.isEmpty ? (alike.isEmpty ? found : alike) : own
    }

    /// Each provider's price for the day; where the day is outside all periods, its last one.
    private func inForce(_ candidates: [Entry], on day: String) -> [Price] {
        Dictionary(grouping: candidates, by: \.provider).values.compactMap { periods in
            let current = periods.last {
                $0.effectiveFrom <= day && ($0.effectiveTo.isEmpty || day < $0.effectiveTo)
            }
            return (current ?? periods.last)?.price
        }
    }

    static let bytesMax = 4_000_000
    static let unit = "USD per 1,000,000 tokens"
}

extension Rates {
    /// Only for saying which of two prices is dearer.
    fileprivate var sum: Int64 { dearestInput.rawValue + output.rawValue }
}

// The file as it is written: its names, and prices as exact decimals.

private struct Page: Decodable {
    let unit: String
    let asOf: String
    let prices: [Line]
}

private struct Line: Decodable {
    let provider: String
    let model: String
    let input: Decimal
    let output: Decimal
    let cacheRead: Decimal?
    let cacheWrite: Decimal?
    let longContext: LongLine?
    let contextWindow: Int?
    let asOf: String?
    let effectiveFrom: String?
    let effectiveTo: String?

    func entry(bookAsOf: String) throws -> PriceBook.Entry {
        guard !provider.isEmpty, !model.isEmpty else {
            throw Failure(.invalid, "A price without a provider or a model is in it.")
        }
        let name = "\(provider)/\(model)"
        let rates = try rates(
            of: name, input: input, output: output, cacheRead: cacheRead, cacheWrite: cacheWrite)
        var long: Price.Long?
        if let line = longContext {
            guard line.thresholdTokens > 0 else {
                throw Failure(.invalid, "The long_context of \(name) has no threshold.")
            }
            long = Price.Long(
                thresholdTokens: line.thresholdTokens,
                rates: try self.rates(
                    of: name, input: line.input, output: line.output, cacheRead: line.cacheRead,
                    cacheWrite: line.cacheWrite))
        }
        return PriceBook.Entry(
            provider: provider, model: model,
            price: Price(rates: rates, long: long, asOf: asOf ?? bookAsOf),
            contextTokens: contextWindow.flatMap { $0 > 0 ? $0 : nil },
            effectiveFrom: effectiveFrom ?? "", effectiveTo: effectiveTo ?? "")
    }

    /// Cached input costs what fresh input does where the book is silent.
    private func rates(
        of name: String, input: Decimal, output: Decimal, cacheRead: Decimal?, cacheWrite: Decimal?
    ) throws -> Rates {
        func perToken(_ price: Decimal) throws -> Picodollars {
            guard let exact = Picodollars(dollarsPerMillion: price.description) else {
                throw Failure(
                    .invalid,
                    "The price \(price) of \(name) is not from 0 to \(Rates.dollarsPerMillionMax)"
                        + " with at most six decimals.")
            }
            return exact
        }
        return Rates(
            input: try perToken(input), cacheRead: try perToken(cacheRead ?? input),
            cacheWrite: try perToken(cacheWrite ?? input), output: try perToken(output))
    }
}

private struct LongLine: Decodable {
    let thresholdTokens: Int
    let input: Decimal
    let output: Decimal
    let cacheRead: Decimal?
    let cacheWrite: Decimal?
}
