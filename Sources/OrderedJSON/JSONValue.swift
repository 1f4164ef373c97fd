/// Any JSON. Objects keep the order of their keys and numbers their text; as Codable it is its text,
/// so that both survive.
package enum JSONValue: Hashable, Sendable {
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
    private static let bytesUsual = 512
    package static let bytesMax = 32 * 1024 * 1024

    /// Throws `JSONError` for what is not JSON (RFC 8259), deeper or longer than the limits, or has a
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
    package var int: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text) ?? Double(text).flatMap { Int(exactly: $0) }
    }

    /// As compact as JSON is written.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The same in UTF-8.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.bytesUsual)
        write(to: &bytes)
        return bytes
    }

    private func write(to out: inout [UInt8]) {
        switch self {
        case .null: out += "null".utf8
        case .bool(let value): out += (value ? "true" : "false").utf8
        case .number(let text): out += text.utf8
        case .string(let text): JSONText.quote(text, to: &out)
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (place, value) in values.enumerated() {
                if place > 0 { out.append(UInt8(ascii: ",")) }
                value.write(to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            for (place, member) in members.enumerated() {
                if place > 0 { out.append(UInt8(ascii: ",")) }
                JSONText.quote(member.key, to: &out)
                out.append(UInt8(ascii: ":"))
                member.value.write(to: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }
}

/// What is wrong with a text that should be JSON, in a sentence, and where.
package struct JSONError: Error, Hashable, CustomStringConvertible {
    package let description: String
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
