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

    package var description: String { date.formatted(Self.style) }

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
