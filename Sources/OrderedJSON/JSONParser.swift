/// Reads JSON as RFC 8259 has it.
struct JSONParser {
    let bytes: [UInt8]
    var place = 0

    private static let numberBytesMax = 1000

    /// Most objects have so few keys that comparing them all is faster than hashing them.
    private struct KeySet {
        private static let fewMax = 12
        private var many: Set<String> = []

        /// False for a key that is among the members already.
        mutating func insert(_ key: String, beside members: [JSONValue.Member]) -> Bool {
            guard members.count >= Self.fewMax else { return !members.contains { $0.key == key } }
            if many.isEmpty { many = Set(members.map(\.key)) }
            return many.insert(key).inserted
        }
    }

    mutating func document() throws -> JSONValue {
        guard bytes.count <= JSONValue.bytesMax else { throw wrong("is too long") }
        let value = try value(depth: 0)
        guard next() == nil else { throw wrong("goes on after its end") }
        return value
    }

    private mutating func value(depth: Int) throws -> JSONValue {
        guard depth < JSONValue.depthMax else { throw wrong("is nested too deeply") }
        switch next() {
        case UInt8(ascii: "{"):
            var keys = KeySet()
            return .object(
                try list(closing: "}") { parser, members in
                    guard parser.next() == UInt8(ascii: "\"") else { throw parser.wrong() }
                    let key = try parser.string()
                    guard keys.insert(key, beside: members) else {
                        throw parser.wrong("has a key twice")
                    }
                    guard parser.next() == UInt8(ascii: ":") else { throw parser.wrong() }
                    parser.place += 1
                    return JSONValue.Member(key, try parser.value(depth: depth + 1))
                })
        case UInt8(ascii: "["):
            return .array(
                try list(closing: "]") { parser, _ in try parser.value(depth: depth + 1) })
        case UInt8(ascii: "\""): return .string(try string())
        default:
            let start = place
            while place < bytes.count, !isEnd(bytes[place]) { place += 1 }
            let word = bytes[start..<place]
            if word.elementsEqual("null".utf8) { return .null }
            if word.elementsEqual("true".utf8) { return .bool(true) }
            if word.elementsEqual("false".utf8) { return .bool(false) }
            guard word.count < Self.numberBytesMax, isNumber(word) else { throw wrong() }
            return .number(try text(word))
        }
    }

    private func isEnd(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: " "),
            UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"):
            true
        default: false
        }
    }

    /// `-?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?`
    private func isNumber(_ word: ArraySlice<UInt8>) -> Bool {
        var rest = word
        func digits() -> Int {
            let count = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }.count
            rest = rest.dropFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        let startsWithZero = rest.first == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, whole == 1 || !startsWithZero else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard digits() > 0 else { return false }
        }
        if let letter = rest.first, letter | 0x20 == UInt8(ascii: "e") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") {
                rest = rest.dropFirst()
            }
            guard digits() > 0 else { return false }
        }
        return rest.isEmpty
    }

    private mutating func list<Element>(
        closing: Unicode.Scalar, _ element: (inout JSONParser, [Element]) throws -> Element
    ) throws -> [Element] {
        var elements: [Element] = []
        place += 1
        if next() == UInt8(ascii: closing) {
            place += 1
            return elements
        }
        while true {
            let found = try element(&self, elements)
            // Most that have a second have some more.
            if elements.count == 1 { elements.reserveCapacity(8) }
            elements.append(found)
            let byte = next()
            place += 1
            if byte == UInt8(ascii: closing) { return elements }
            guard byte == UInt8(ascii: ",") else { throw wrong() }
        }
    }

    private mutating func string() throws -> String {
        place += 1
        let start = place
        let (end, bits) = bytes.withUnsafeBufferPointer { bytes in
            var (end, bits) = (start, UInt8(0))
            while end < bytes.count {
                let byte = bytes[end]
                if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { break }
                bits |= byte
                end += 1
            }
            return (end, bits)
        }
        place = end
        guard place < bytes.count, bytes[place] == UInt8(ascii: "\"") else {
            return try string(continuing: bytes[start..<place])
        }
        place += 1
        let units = bytes[start..<end]
        return bits < 0x80 ? String(decoding: units, as: UTF8.self) : try text(units)
    }

    /// From the first escape on.
    private mutating func string(continuing beginning: ArraySlice<UInt8>) throws -> String {
        var units = Array(beginning)
        while place < bytes.count, bytes[place] >= 0x20 {
            let byte = bytes[place]
            place += 1
            if byte == UInt8(ascii: "\"") { return try text(units[...]) }
            guard byte == UInt8(ascii: "\\"), place < bytes.count else {
                units.append(byte)
                continue
            }
            let letter = bytes[place]
            place += 1
            switch letter {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(letter)
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "u"): units += try escapedScalar().utf8
            default: throw wrong()
            }
        }
        throw wrong()
    }

    private func text(_ units: ArraySlice<UInt8>) throws -> String {
        let ascii = units.withUnsafeBufferPointer { units in
            units.allSatisfy { $0 < 0x80 } ? String(decoding: units, as: UTF8.self) : nil
        }
        if let ascii { return ascii }
        guard let text = String(validating: units, as: UTF8.self) else { throw wrong() }
        return text
    }

    /// A surrogate without its other half is written as U+FFFD.
    private mutating func escapedScalar() throws -> String {
        var unit = try fourDigits()
        if (0xD800..<0xDC00).contains(unit), bytes[place...].starts(with: "\\u".utf8) {
            let start = place
            place += 2
            let low = try fourDigits()
            if (0xDC00..<0xE000).contains(low) {
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            } else {
                place = start
            }
        }
        return String(Unicode.Scalar(unit).map(Character.init) ?? "\u{FFFD}")
    }

    private mutating func fourDigits() throws -> UInt32 {
        let digits = bytes[place...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let unit = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw wrong() }
        place += 4
        return unit
    }

    /// The next byte that is not white space; stays where it is.
    private mutating func next() -> UInt8? {
        while place < bytes.count, bytes[place] <= 0x20, isEnd(bytes[place]) { place += 1 }
        return place < bytes.count ? bytes[place] : nil
    }

    private func wrong(_ what: String = "is not well-formed") -> JSONError {
        JSONError(description: "The JSON \(what), at byte \(place).")
    }
}
