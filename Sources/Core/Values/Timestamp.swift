#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A moment, in microseconds since 1970-01-01 UTC. Stores keep the number; JSON carries RFC 3339
/// text with milliseconds, so a round trip through JSON keeps milliseconds.
package struct Timestamp: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }

    package var seconds: Int64 { microseconds / 1_000_000 }

    /// `2026-11-24T09:30:00.000Z`; the days by the method of H. Hinnant's "chrono-compatible low-level
    /// date algorithms".
    package var description: String {
        let milliseconds = Self.floor(microseconds, 1000)
        let (days, rest) = (
            Self.floor(milliseconds, 86_400_000), Self.rest(milliseconds, 86_400_000)
        )
        let shifted = days + 719_468
        let (era, dayOfEra) = (Self.floor(shifted, 146_097), Self.rest(shifted, 146_097))
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let isNextYear = month >= 10
        let year = yearOfEra + era * 400 + (isNextYear ? 1 : 0)
        // Before that Foundation, which reads it back, has another calendar.
        guard (1583...9999).contains(year) else { return date.formatted(Self.style) }
        var text: [UInt8] = []
        text.reserveCapacity(24)
        func add(_ value: Int64, _ width: Int, then mark: Unicode.Scalar) {
            var scale: Int64 = width == 4 ? 1000 : width == 3 ? 100 : 10
            while scale > 0 {
                text.append(48 + UInt8(truncatingIfNeeded: value / scale % 10))
                scale /= 10
            }
            text.append(UInt8(ascii: mark))
        }
        add(year, 4, then: "-")
        add(isNextYear ? month - 9 : month + 3, 2, then: "-")
        add(day, 2, then: "T")
        add(rest / 3_600_000, 2, then: ":")
        add(rest / 60_000 % 60, 2, then: ":")
        add(rest / 1000 % 60, 2, then: ".")
        add(rest % 1000, 3, then: "Z")
        return String(decoding: text, as: UTF8.self)
    }

    private static func floor(_ value: Int64, _ unit: Int64) -> Int64 {
        value >= 0 ? value / unit : (value &+ 1) / unit - 1
    }

    private static func rest(_ value: Int64, _ unit: Int64) -> Int64 {
        value - floor(value, unit) * unit
    }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let date = try? Self.style.parse(text),
            abs(date.timeIntervalSince1970) < 253_402_300_800
        else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "Not an RFC 3339 time."))
        }
        microseconds = Int64((date.timeIntervalSince1970 * 1000).rounded()) * 1000
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    package static func + (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds &+ duration.microseconds)
    }

    package static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .microseconds(later.microseconds &- earlier.microseconds)
    }

    private var date: Date { Date(timeIntervalSince1970: Double(microseconds) / 1_000_000) }

    private static let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
}

extension Duration {
    /// Whole microseconds, cut off.
    package var microseconds: Int64 {
        components.seconds &* 1_000_000 &+ components.attoseconds / 1_000_000_000_000
    }

    package var milliseconds: Double { Double(microseconds) / 1000 }
}
