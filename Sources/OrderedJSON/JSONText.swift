/// The strings of JSON as they are written.
package enum JSONText {
    /// Appends the text in quotation marks, escaped so that nothing in it can end the string or the
    /// line, or move a terminal's cursor.
    package static func quote(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { text in
            // Most text goes as it is, in one piece.
            var start = 0
            while true {
                let place = firstEscaped(in: text, from: start)
                out.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<place]))
                guard place < text.count else { break }
                escape(text[place], to: &out)
                start = place + 1
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    /// The count where there is none.
    private static func firstEscaped(in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var place = start
        let raw = UnsafeRawBufferPointer(bytes)
        // Eight at once, until one of them is to be escaped; the last eight may be some of them again.
        while place + 8 <= bytes.count {
            if holdsEscaped(raw.loadUnaligned(fromByteOffset: place, as: UInt64.self)) { break }
            place += 8
            if place < bytes.count { place = min(place, bytes.count - 8) }
        }
        while place < bytes.count, !needsEscape(bytes[place]) { place += 1 }
        return place
    }

    private static func holdsEscaped(_ word: UInt64) -> Bool {
        let found =
            (word &- every(0x20)) & ~word | zeros(word ^ every(UInt8(ascii: "\"")))
            | zeros(word ^ every(UInt8(ascii: "\\"))) | zeros(word ^ every(0x7F))
        return found & every(0x80) != 0
    }

    /// The byte eight times.
    private static func every(_ byte: UInt8) -> UInt64 { 0x0101_0101_0101_0101 &* UInt64(byte) }

    /// Has a byte's highest bit where that byte is zero, and without such a byte none.
    private static func zeros(_ word: UInt64) -> UInt64 { (word &- every(1)) & ~word }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F
    }

    private static func escape(_ byte: UInt8, to out: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""): out += "\\\"".utf8
        case UInt8(ascii: "\\"): out += "\\\\".utf8
        case UInt8(ascii: "\n"): out += "\\n".utf8
        case UInt8(ascii: "\r"): out += "\\r".utf8
        case UInt8(ascii: "\t"): out += "\\t".utf8
        default: out += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
        }
    }
}
