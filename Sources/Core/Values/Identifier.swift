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
        description = String(unsafeUninitializedCapacity: 36) { text in
            var place = 0
            for index in 0..<32 {
                let word = index < 16 ? high : low
                let digit = UInt8(word >> (60 - 4 * UInt64(index & 15)) & 0xF)
                text[place] = digit < 10 ? digit + 48 : digit + 87
                place += 1
                guard [7, 11, 15, 19].contains(index) else { continue }
                text[place] = UInt8(ascii: "-")
                place += 1
            }
            return place
        }
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
}
