import Core
import OrderedJSON

/// The numbers between two bounds as digits: those of a few decimals at most, which is all that a
/// grammar can tell apart.
struct NumberRange {
    struct Part {
        let isNegative: Bool
        /// Over ten to the power of `fraction`.
        let magnitudes: ClosedRange<Int>
        let fraction: Int
    }

    let parts: [Part]

    private static let magnitudeMax = 999_999_999_999_999_999
    // Where there is no bound: all that fits with some decimals.
    private static let openMagnitudeMax = 999_999_999_999
    private static let fractionMax = 4

    /// Nil where the schema has no bounds. Throws `invalid` for bounds that cannot be kept to.
    init?(_ schema: JSONValue, isInteger: Bool, _ path: String) throws {
        let keywords = [
            "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf",
        ]
        guard keywords.contains(where: { schema[$0] != nil }) else { return nil }
        var bounds: [String: Decimal] = [:]
        var fraction = isInteger ? 0 : 2
        for keyword in keywords {
            guard let value = schema[keyword] else { continue }
            guard case .number(let text) = value, let decimal = Decimal(text) else {
                throw SchemaCompiler.refusal(
                    "\(path)/\(keyword)", "has to be a number of at most 15 digits, not a power.")
            }
            bounds[keyword] = decimal
            if !isInteger { fraction = max(fraction, decimal.fraction) }
        }
        if let step = bounds["multipleOf"] {
            guard step.digits == 1, !step.isNegative, !isInteger || step.fraction == 0 else {
                throw SchemaCompiler.refusal(
                    "\(path)/multipleOf", "is only supported as 1, 0.1, 0.01 and so on.")
            }
            fraction = step.fraction
        }
        guard fraction <= 15 else {
            throw SchemaCompiler.refusal(path, "has bounds of too many decimals.")
        }
        func scaled(_ keyword: String, up: Bool, exclusive: Bool) throws -> Int? {
            guard let bound = bounds[keyword] else { return nil }
            guard let value = bound.scaled(to: fraction, up: up, exclusive: exclusive),
                abs(value) <= Self.magnitudeMax
            else { throw SchemaCompiler.refusal("\(path)/\(keyword)", "is too large.") }
            return value
        }
        let lows = [
            try scaled("minimum", up: true, exclusive: false),
            try scaled("exclusiveMinimum", up: true, exclusive: true),
        ].compactMap { $0 }
        let highs = [
            try scaled("maximum", up: false, exclusive: false),
            try scaled("exclusiveMaximum", up: false, exclusive: true),
        ].compactMap { $0 }
        let open =
            isInteger
            ? Self.magnitudeMax
            : max(
                Self.openMagnitudeMax,
                (lows + highs).map { abs($0) / 9 * 10 }.max().map { min($0, Self.magnitudeMax) }
                    ?? 0)
        let low = lows.max() ?? -open
        let high = highs.min() ?? open
        parts = low <= high ? Self.parts(low, high, fraction: fraction) : []
    }

    /// With every number of decimals up to `fraction`.
    private static func parts(_ low: Int, _ high: Int, fraction: Int) -> [Part] {
        var parts: [Part] = []
        var unit = 1
        for decimals in (0...fraction).reversed() {
            func add(_ isNegative: Bool, _ from: Int, _ to: Int) {
                let least = from / unit + (from % unit > 0 ? 1 : 0)
                guard from <= to, least <= to / unit else { return }
                parts.append(
                    Part(
                        isNegative: isNegative, magnitudes: least...to / unit, fraction: decimals))
            }
            // Minus zero is not written.
            if low < 0 { add(true, max(unit, -min(high, -1)), -low) }
            if high >= 0 { add(false, max(0, low), high) }
            unit *= 10
        }
        return parts
    }

    /// A number as it was written, without a power.
    private struct Decimal {
        let isNegative: Bool
        let digits: Int
        let fraction: Int

        init?(_ text: String) {
            isNegative = text.hasPrefix("-")
            let parts = text.drop { $0 == "-" }.split(separator: ".")
            guard let whole = parts.first, parts.count <= 2 else { return nil }
            var decimals = parts.count > 1 ? parts[1] : ""
            while decimals.last == "0" { decimals.removeLast() }
            guard whole.count + decimals.count <= 15, let digits = Int(whole + decimals) else {
                return nil
            }
            self.digits = digits
            fraction = decimals.count
        }

        /// Over ten to the power of `places`, rounded into the range that it bounds.
        func scaled(to places: Int, up: Bool, exclusive: Bool) -> Int? {
            var value = isNegative ? -digits : digits
            var isExact = true
            for _ in 0..<max(0, places - fraction) {
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                guard !overflow else { return nil }
                value = product
            }
            for _ in 0..<max(0, fraction - places) {
                isExact = isExact && value % 10 == 0
                // Towards minus infinity.
                value = value / 10 - (value % 10 < 0 ? 1 : 0)
            }
            guard isExact else { return up ? value + 1 : value }
            return exclusive ? value + (up ? 1 : -1) : value
        }
    }
}
