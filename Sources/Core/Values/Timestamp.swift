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
        guard (0..<253_402_300_800_000_000).contains(microseconds) else {
            return Date(timeIntervalSince1970: Double(microseconds) / 1e6).formatted(Self.style)
        }
        let shifted = seconds / 86_400 + 719_468
        let (era, dayOfEra) = (shifted / 146_097, shifted % 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let year = era * 400 + yearOfEra + (month >= 10 ? 1 : 0)
        var digits = (year * 100 + (month >= 10 ? month - 9 : month + 3)) * 100
        digits += dayOfYear - (153 * month + 2) / 5 + 1
        digits = (digits * 100 + seconds / 3600 % 24) * 100 + seconds / 60 % 60
        digits = (digits * 100 + seconds % 60) * 1000 + microseconds / 1000 % 1000
        var text = Array("0000-00-00T00:00:00.000Z".utf8)
        for place in text.indices.reversed() where text[place] == UInt8(ascii: "0") {
            text[place] += UInt8(truncatingIfNeeded: digits % 10)
            digits /= 10
        }
        return String(decoding: text, as: UTF8.self)
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

    private static let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
}

extension Duration {
    /// Whole microseconds, cut off.
    package var microseconds: Int64 {
        components.seconds &* 1_000_000 &+ components.attoseconds / 1_000_000_000_000
    }

    package var milliseconds: Double { Double(microseconds) / 1000 }
}
