/// The ways in which e-mail writes bytes as ASCII.
enum MIMEWords {
    /// Header text with its encoded words (RFC 2047) decoded: `=?utf-8?Q?caf=C3=A9?=`.
    static func decoded(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        var isAfterWord = false
        while let start = rest.firstRange(of: "=?") {
            let pieces = rest[start.upperBound...].split(
                separator: "?", maxSplits: 3, omittingEmptySubsequences: false)
            let before = rest[..<start.lowerBound]
            guard pieces.count == 4, pieces[3].hasPrefix("="), let word = word(pieces) else {
                result += rest[..<start.upperBound]
                rest = rest[start.upperBound...]
                isAfterWord = false
                continue
            }
            // White space between two encoded words only separates them.
            if !(isAfterWord && before.allSatisfy(\.isWhitespace)) { result += before }
            result += word
            rest = pieces[3].dropFirst()
            isAfterWord = true
        }
        return result + rest
    }

    private static func word(_ pieces: [Substring]) -> String? {
        let charset = String(pieces[0].prefix { $0 != "*" })
        let bytes = Array(pieces[2].utf8)
        switch pieces[1].lowercased() {
        case "b": return Charset.text(of: base64(bytes[...]), charset: charset)
        case "q":
            let spaced = bytes.map { $0 == UInt8(ascii: "_") ? 0x20 : $0 }
            return Charset.text(of: quotedPrintable(spaced[...]), charset: charset)
        default: return nil
        }
    }

    /// RFC 2231: charset, language and percent-encoded text.
    static func extended(_ value: String) -> String {
        let pieces = value.split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
        guard pieces.count == 3 else { return value }
        let bytes = Array(pieces[2].utf8).map { $0 == UInt8(ascii: "%") ? UInt8(ascii: "=") : $0 }
        return Charset.text(of: quotedPrintable(bytes[...]), charset: String(pieces[0]))
    }

    /// What is no letter of the alphabet is left out, as RFC 2045 asks.
    static func base64(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var bits: UInt32 = 0
        var count = 0
        for letter in text {
            if letter == UInt8(ascii: "=") { break }
            guard let value = value(of: letter) else { continue }
            bits = bits << 6 | value
            count += 1
            if count == 4 {
                bytes += [UInt8(bits >> 16 & 0xFF), UInt8(bits >> 8 & 0xFF), UInt8(bits & 0xFF)]
                (bits, count) = (0, 0)
            }
        }
        if count == 3 { bytes += [UInt8(bits >> 10 & 0xFF), UInt8(bits >> 2 & 0xFF)] }
        if count == 2 { bytes.append(UInt8(bits >> 4 & 0xFF)) }
        return bytes
    }

    private static func value(of letter: UInt8) -> UInt32? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(letter) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(letter) - 97 + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(letter) - 48 + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// `=C3=A9` as bytes, and `=` at the end of a line as nothing.
    static func quotedPrintable(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "=") else {
                bytes.append(byte)
                continue
            }
            if rest.first == 0x0A {
                rest.removeFirst()
            } else if rest.starts(with: [0x0D, 0x0A]) {
                rest.removeFirst(2)
            } else if rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest.removeFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}
