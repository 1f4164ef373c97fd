/// An amount of money in picodollars (1e-12 USD). A price in micro-dollars per million tokens times
/// a count of tokens is exact in it. 64 bits reach +-9.2 million USD.
package struct Picodollars: RawRepresentable, Hashable, Comparable, Codable, Sendable,
    CustomStringConvertible
{
    package let rawValue: Int64

    package init(rawValue: Int64) { self.rawValue = rawValue }

    package init(_ rawValue: Int64) { self.rawValue = rawValue }

    package static let zero = Picodollars(0)
    package static let perDollar: Int64 = 1_000_000_000_000

    /// The sum, or a failure where it leaves 64 bits. Money never wraps and never traps.
    package func adding(_ other: Picodollars) throws -> Picodollars {
        try Self.whole(rawValue.addingReportingOverflow(other.rawValue))
    }

    /// The amount for `count` units at this price each, or a failure where it leaves 64 bits.
    package func times(_ count: Int) throws -> Picodollars {
        try Self.whole(rawValue.multipliedReportingOverflow(by: Int64(count)))
    }

    private static func whole(_ result: (partialValue: Int64, overflow: Bool)) throws -> Picodollars
    {
        guard !result.overflow else {
            throw Failure(.internalError, "An amount of money is too large to be booked.")
        }
        return Picodollars(result.partialValue)
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
}
