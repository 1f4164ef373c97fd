/// An amount of money in picodollars (1e-12 USD). A price in micro-dollars per million tokens times
/// a count of tokens is exact in it. 64 bits reach +-9.2 million USD.
package struct Picodollars: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let rawValue: Int64

    package init(_ rawValue: Int64) { self.rawValue = rawValue }

    package static let zero = Picodollars(0)
    package static let perDollar: Int64 = 1_000_000_000_000

    /// The sum, or a failure where it leaves 64 bits. Money never wraps and never traps.
    package func adding(_ other: Picodollars) throws -> Picodollars {
        let (sum, overflow) = rawValue.addingReportingOverflow(other.rawValue)
        guard !overflow else {
            throw Failure(.internalError, "An amount of money is too large to be booked.")
        }
        return Picodollars(sum)
    }

    /// The amount for `count` units at this price each, or a failure where it leaves 64 bits.
    package func times(_ count: Int) throws -> Picodollars {
        let (product, overflow) = rawValue.multipliedReportingOverflow(by: Int64(count))
        guard !overflow else {
            throw Failure(.internalError, "An amount of money is too large to be booked.")
        }
        return Picodollars(product)
    }

    package static func < (left: Picodollars, right: Picodollars) -> Bool {
        left.rawValue < right.rawValue
    }

    /// Dollars with as many decimals as the amount needs, at least two: `$0.00`, `$0.0000021`.
    package var description: String {
        let magnitude = rawValue.magnitude
        let whole = magnitude / UInt64(Self.perDollar)
        var decimals = String(magnitude % UInt64(Self.perDollar))
        decimals = String(repeating: "0", count: 12 - decimals.count) + decimals
        while decimals.count > 2, decimals.hasSuffix("0") { decimals.removeLast() }
        return "\(rawValue < 0 ? "-" : "")$\(whole).\(decimals)"
    }

    package init(from decoder: any Decoder) throws {
        rawValue = try decoder.singleValueContainer().decode(Int64.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}
