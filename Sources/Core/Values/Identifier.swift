#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The name of a row anywhere in Heptad: a UUIDv7 in its usual text form, so that sorting by
/// identifier sorts by time of creation (RFC 9562, section 5.7).
package struct Identifier: Hashable, Codable, Sendable, CustomStringConvertible, Comparable {
    package let description: String

    /// Takes text from outside. Nil unless it is 36 characters of lower-case hexadecimal and dashes
    /// in the places a UUID has them.
    package init?(_ text: String) {
        guard text.utf8.count == 36 else { return nil }
        for (place, byte) in text.utf8.enumerated() {
            let isDash = place == 8 || place == 13 || place == 18 || place == 23
            let isHexadecimal = (48...57).contains(byte) || (97...102).contains(byte)
            guard isDash ? byte == 45 : isHexadecimal else { return nil }
        }
        description = text
    }

    /// A UUIDv7 of this moment, with its 74 random bits from `random`.
    package init(at time: Timestamp, random: (high: UInt16, low: UInt64)) {
        let milliseconds = UInt64(max(0, time.microseconds)) / 1000 & 0xFFFF_FFFF_FFFF
        let high = milliseconds << 16 | 0x7000 | UInt64(random.high & 0x0FFF)
        let low = 0x8000_0000_0000_0000 | random.low & 0x3FFF_FFFF_FFFF_FFFF
        let digits = Self.hexadecimal(high) + Self.hexadecimal(low)
        let text = String(decoding: digits, as: UTF8.self)
        var parts: [Substring] = []
        var rest = text[...]
        for length in [8, 4, 4, 4, 12] {
            parts.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        description = parts.joined(separator: "-")
    }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let identifier = Identifier(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "Not an identifier."))
        }
        self = identifier
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    package static func < (left: Identifier, right: Identifier) -> Bool {
        left.description < right.description
    }

    private static func hexadecimal(_ value: UInt64) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return (0..<16).map { digits[Int(value >> (60 - 4 * UInt64($0)) & 0xF)] }
    }
}
