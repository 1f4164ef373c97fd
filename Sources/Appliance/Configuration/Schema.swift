/// A group of settings: every property has a default, so that an empty file is a good one.
protocol Section: Codable, Sendable {
    init()
}

/// A map of sections under names the operator makes up, such as providers.
protocol SectionMap {
    static var entry: any Section { get }
}

extension Dictionary: SectionMap where Key == String, Value: Section {
    static var entry: any Section { Value() }
}

/// What keys a configuration file may have, read off the settings' own types.
indirect enum Schema: Sendable {
    enum Kind: String, Sendable {
        case string = "text"
        case integer = "a whole number"
        case number = "a number"
        case boolean = "true or false"
        case strings = "a list of texts"
    }

    case section([(key: String, schema: Schema)])
    /// Entries under free names, all of one shape, and the defaults of one entry.
    case map(Schema)
    case leaf(Kind, Tree)

    init(of section: any Section) { self = Self.reflect(section) }

    private static func reflect(_ value: Any) -> Schema {
        switch value {
        case let value as String: return .leaf(.string, .string(value))
        case let value as Bool: return .leaf(.boolean, .boolean(value))
        case let value as Int: return .leaf(.integer, .integer(value))
        case let value as Double: return .leaf(.number, .number(value))
        case let value as [String]: return .leaf(.strings, .list(value.map { .string($0) }))
        // A choice, such as an enum of words; the decoder knows which there are.
        case let value as any RawRepresentable<String>:
            return .leaf(.string, .string(value.rawValue))
        case let value as any SectionMap: return .map(reflect(type(of: value).entry))
        default:
            let children = Mirror(reflecting: value).children
            precondition(
                Mirror(reflecting: value).displayStyle == .struct,
                "A setting of type \(type(of: value)) cannot be written in a configuration file.")
            return .section(
                children.map { child in
                    (key: Self.snakeCase(child.label ?? ""), schema: reflect(child.value))
                })
        }
    }

    /// `uploadBytesMax` as `upload_bytes_max`.
    static func snakeCase(_ name: String) -> String {
        name.reduce(into: "") { result, character in
            if character.isUppercase { result += "_" }
            result += character.lowercased()
        }
    }

    /// The reverse of `snakeCase`.
    static func camelCase(_ key: String) -> String {
        let parts = key.split(separator: "_", omittingEmptySubsequences: false)
        return parts.dropFirst().reduce(into: parts.first.map(String.init) ?? "") { result, part in
            result += part.prefix(1).uppercased() + part.dropFirst()
        }
    }

    /// The tree of defaults: every key is there.
    var defaults: Tree {
        switch self {
        case .section(let members):
            return .object(members.map { ($0.key, $0.schema.defaults) })
        case .map: return .object([])
        case .leaf(_, let value): return value
        }
    }
}

/// A value of a configuration file, keys in their order.
indirect enum Tree: Sendable {
    case string(String)
    case integer(Int)
    case number(Double)
    case boolean(Bool)
    case list([Tree])
    case object([(key: String, value: Tree)])
}

/// As JSON for the decoder of the settings' types. Keys of sections become the properties' names;
/// keys of maps are the operator's and stay.
struct SettingsJSON: Encodable {
    let tree: Tree
    let schema: Schema

    func encode(to encoder: any Encoder) throws {
        switch (tree, schema) {
        case (.object(let members), .section(let known)):
            var container = encoder.container(keyedBy: Key.self)
            for (key, value) in members {
                guard let schema = known.first(where: { $0.key == key })?.schema else { continue }
                try container.encode(
                    SettingsJSON(tree: value, schema: schema), forKey: Key(Schema.camelCase(key)))
            }
        case (.object(let members), .map(let entry)):
            var container = encoder.container(keyedBy: Key.self)
            for (key, value) in members {
                try container.encode(SettingsJSON(tree: value, schema: entry), forKey: Key(key))
            }
        default: try encodeLeaf(to: encoder)
        }
    }

    private func encodeLeaf(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch tree {
        case .string(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .boolean(let value): try container.encode(value)
        case .list(let values):
            try container.encode(values.map { SettingsJSON(tree: $0, schema: schema) })
        case .object: try container.encodeNil()
        }
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }
}
