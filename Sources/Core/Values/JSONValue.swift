/// Any JSON. Objects keep the order of their keys and numbers their text; as Codable it is its text,
/// so that both survive.
package indirect enum JSONValue: Hashable, Sendable {
    package struct Member: Hashable, Sendable {
        package let key: String
        package let value: JSONValue

        package init(_ key: String, _ value: JSONValue) { (self.key, self.value) = (key, value) }
    }

    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    package static let depthMax = 128
    package static let bytesMax = 32 * 1024 * 1024

    /// Throws `invalid` for what is not JSON (RFC 8259), deeper or longer than the limits, or has a
    /// key twice in one object.
    package init(parsing text: some Sequence<UInt8>) throws {
        var parser = JSONParser(bytes: Array(text))
        self = try parser.document()
    }

    package subscript(key: String) -> JSONValue? { members?.first { $0.key == key }?.value }

    package var members: [Member]? { if case .object(let members) = self { members } else { nil } }
    package var array: [JSONValue]? { if case .array(let values) = self { values } else { nil } }
    package var string: String? { if case .string(let text) = self { text } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var double: Double? { if case .number(let text) = self { Double(text) } else { nil } }
    package var int: Int? { double.flatMap { Int(exactly: $0) } }

    /// As compact as JSON is written.
    package var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let text): text
        case .string(let text): Self.quoted(text)
        case .array(let values): "[\(values.map(\.text).joined(separator: ","))]"
        case .object(let members):
            "{\(members.map { "\(Self.quoted($0.key)):\($0.value.text)" }.joined(separator: ","))}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case "\0"..<" ":
                quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension JSONValue {
    /// Objects are equal whatever the order of their keys, numbers where their text is.
    package static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): left == right
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)):
            left.count == right.count
                && zip(left.sorted { $0.key < $1.key }, right.sorted { $0.key < $1.key })
                    .allSatisfy { $0 == $1 }
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .array(let values): hasher.combine(values)
        case .object(let members): hasher.combine(Set(members))
        default: hasher.combine(text)
        }
    }
}

extension JSONValue: Codable {
    package init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self).utf8)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    var place = 0

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
            var keys: Set<String> = []
            return .object(
                try list(closing: "}") { parser in
                    guard parser.next() == UInt8(ascii: "\"") else { throw parser.wrong() }
                    let key = try parser.string()
                    guard keys.insert(key).inserted else { throw parser.wrong("has a key twice") }
                    guard parser.next() == UInt8(ascii: ":") else { throw parser.wrong() }
                    parser.place += 1
                    return JSONValue.Member(key, try parser.value(depth: depth + 1))
                })
        case UInt8(ascii: "["):
            return .array(try list(closing: "]") { try $0.value(depth: depth + 1) })
        case UInt8(ascii: "\""): return .string(try string())
        default:
            let start = place
            while place < bytes.count, !",]} \t\r\n".utf8.contains(bytes[place]) { place += 1 }
            let word = String(decoding: bytes[start..<place], as: UTF8.self)
            switch word {
            case "null": return .null
            case "true", "false": return .bool(word == "true")
            default:
                let number = /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/
                guard word.utf8.count < 1000, word.wholeMatch(of: number) != nil else {
                    throw wrong()
                }
                return .number(word)
            }
        }
    }

    private mutating func list<Element>(
        closing: Unicode.Scalar, _ element: (inout JSONParser) throws -> Element
    ) throws -> [Element] {
        var elements: [Element] = []
        place += 1
        if next() == UInt8(ascii: closing) {
            place += 1
            return elements
        }
        while true {
            elements.append(try element(&self))
            let byte = next()
            place += 1
            if byte == UInt8(ascii: closing) { return elements }
            guard byte == UInt8(ascii: ",") else { throw wrong() }
        }
    }

    private mutating func string() throws -> String {
        var units: [UInt8] = []
        place += 1
        while place < bytes.count, bytes[place] >= 0x20 {
            let byte = bytes[place]
            place += 1
            if byte == UInt8(ascii: "\"") {
                guard let text = String(validating: units, as: UTF8.self) else { throw wrong() }
                return text
            }
            guard byte == UInt8(ascii: "\\"), place < bytes.count else {
                units.append(byte)
                continue
            }
            let escapes: [Character: String] = [
                "\"": "\"", "\\": "\\", "/": "/", "b": "\u{8}", "f": "\u{C}", "n": "\n", "r": "\r",
                "t": "\t",
            ]
            let letter = Character(Unicode.Scalar(bytes[place]))
            place += 1
            if let plain = escapes[letter] {
                units += plain.utf8
            } else if letter == "u" {
                units += try escapedScalar().utf8
            } else {
                throw wrong()
            }
        }
        throw wrong()
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
        while place < bytes.count, " \t\r\n".utf8.contains(bytes[place]) { place += 1 }
        return place < bytes.count ? bytes[place] : nil
    }

    private func wrong(_ what: String = "is not well-formed") -> Failure {
        Failure(.invalid, "The JSON \(what), at byte \(place).")
    }
}
