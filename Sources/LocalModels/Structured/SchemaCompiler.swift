import Core
import OrderedJSON

/// Makes a grammar of a JSON Schema (2020-12), as far as OpenAI's structured outputs go: what the
/// grammar allows is valid by the schema. Whatever cannot be kept to is refused with its place.
///
/// Properties come in the schema's order. White space is what models write, and no more: one space
/// after a colon or comma, or a line break and its indentation.
struct SchemaCompiler {
    private let root: JSONValue
    /// Every property is written; else those that are not required may be left out.
    private let isStrict: Bool
    private var builder: GrammarBuilder

    private static let annotations: Set<String> = [
        "title", "description", "default", "examples", "example", "$schema", "$id", "$comment",
        "$defs", "definitions", "deprecated", "readOnly", "writeOnly", "discriminator", "strict",
        "contentMediaType", "contentEncoding",
    ]

    private init(_ root: JSONValue, isStrict: Bool, _ builder: GrammarBuilder) {
        self.root = root
        self.isStrict = isStrict
        self.builder = builder
    }

    /// Adds a value of the schema in front of `next`.
    ///
    /// - Parameter name: what refusals call the schema.
    static func add(
        _ schema: JSONValue, isStrict: Bool, name: String, to builder: inout GrammarBuilder,
        _ next: Int32
    ) throws -> Int32 {
        var compiler = SchemaCompiler(schema, isStrict: isStrict, builder)
        // References start over in every schema: their rules are named for it.
        let start = try compiler.value(schema, "\(name)#", next)
        builder = compiler.builder
        return start
    }

    /// The grammar of one schema. Throws `invalid` for one that cannot be kept to.
    static func grammar(_ schema: JSONValue, isStrict: Bool, name: String = "") throws -> Grammar {
        var builder = GrammarBuilder()
        let rule = builder.reserveRule()
        builder.define(
            rule, try add(schema, isStrict: isStrict, name: name, to: &builder, builder.end))
        guard let grammar = builder.grammar(rule) else {
            throw refusal("\(name)#", "describes values without an end.")
        }
        return grammar
    }

    // MARK: Any schema

    private mutating func value(_ schema: JSONValue, _ path: String, _ next: Int32) throws -> Int32
    {
        if schema.bool == true { return try builder.call(anyValue(), next) }
        guard let members = schema.members else {
            throw Self.refusal(path, "is not a schema.")
        }
        if let reference = schema["$ref"] {
            try allow(members, ["$ref"], path)
            return try self.reference(reference, "\(path)/$ref", path, next)
        }
        if let values = schema["enum"] ?? schema["const"].map({ .array([$0]) }) {
            try allow(members, ["enum", "const", "type"], path)
            return try constants(values, schema["type"], path, next)
        }
        if schema["anyOf"] != nil || schema["oneOf"] != nil || schema["allOf"] != nil {
            return try combined(schema, members, path, next)
        }
        switch schema["type"] {
        case .string(let type)?: return try typed(type, schema, members, path, next)
        case .array(let types)?:
            guard !types.isEmpty else { throw Self.refusal("\(path)/type", "names no type.") }
            return try builder.either(
                try types.map { type in
                    guard let type = type.string else {
                        throw Self.refusal("\(path)/type", "has to name types.")
                    }
                    return try typed(
                        type, schema, members.filter { Self.applies($0.key, to: type) }, path, next)
                })
        case nil:
            for (keyword, type) in [
                ("properties", "object"), ("items", "array"), ("prefixItems", "array"),
                ("pattern", "string"), ("format", "string"), ("minimum", "number"),
                ("maximum", "number"),
            ] where schema[keyword] != nil {
                return try typed(type, schema, members, path, next)
            }
            try allow(members, [], path)
            return try builder.call(anyValue(), next)
        default: throw Self.refusal("\(path)/type", "has to be a type or a list of types.")
        }
    }

    private mutating func combined(
        _ schema: JSONValue, _ members: [JSONValue.Member], _ path: String, _ next: Int32
    ) throws -> Int32 {
        let keyword = ["anyOf", "oneOf", "allOf"].first { schema[$0] != nil } ?? "anyOf"
        // The type beside it only repeats what its schemas say.
        try allow(members, [keyword, "type"], path)
        guard let schemas = schema[keyword]?.array, !schemas.isEmpty else {
            throw Self.refusal("\(path)/\(keyword)", "has to be a list of schemas.")
        }
        if keyword == "allOf", schemas.count > 1 {
            throw Self.refusal("\(path)/allOf", "is only supported with one schema.")
        }
        if keyword == "oneOf", schemas.count > 1, schema["discriminator"] == nil {
            throw Self.refusal("\(path)/oneOf", "is not supported; use `anyOf`.")
        }
        return try builder.either(
            try schemas.enumerated().map { try value($1, "\(path)/\(keyword)/\($0)", next) })
    }

    private mutating func reference(
        _ reference: JSONValue, _ place: String, _ path: String, _ next: Int32
    ) throws -> Int32 {
        guard let text = reference.string, text.hasPrefix("#") else {
            throw Self.refusal(place, "has to lead to a place in this schema: `#/$defs/Name`.")
        }
        var target = root
        for part in text.dropFirst().split(separator: "/") {
            let key = String(part).replacing("~1", with: "/").replacing("~0", with: "~")
            let found =
                target[key]
                ?? Int(key).flatMap { index in
                    target.array.flatMap { $0.indices.contains(index) ? $0[index] : nil }
                }
            guard let found else { throw Self.refusal(place, "leads nowhere.") }
            target = found
        }
        let scope = path.prefix { $0 != "#" } + text
        if let rule = builder.named(String(scope)) { return try builder.call(rule, next) }
        let rule = builder.reserveRule(named: String(scope))
        builder.define(rule, try value(target, String(scope), builder.end))
        return try builder.call(rule, next)
    }

    private mutating func constants(
        _ values: JSONValue, _ type: JSONValue?, _ path: String, _ next: Int32
    ) throws -> Int32 {
        guard let values = values.array, !values.isEmpty else {
            throw Self.refusal("\(path)/enum", "has to be a list of values.")
        }
        let types = type.map { $0.array ?? [$0] }?.compactMap(\.string)
        let fitting = values.filter { value in
            types.map { $0.contains { Self.isType($0, value) } } ?? true
        }
        guard !fitting.isEmpty else {
            throw Self.refusal("\(path)/enum", "has no value of the schema's type.")
        }
        return try builder.oneOf(Array(Set(fitting.map { Array($0.text.utf8) })), next)
    }

    // MARK: By type

    private mutating func typed(
        _ type: String, _ schema: JSONValue, _ members: [JSONValue.Member], _ path: String,
        _ next: Int32
    ) throws -> Int32 {
        switch type {
        case "null":
            try allow(members, ["type"], path)
            return try builder.literal("null".utf8, next)
        case "boolean":
            try allow(members, ["type"], path)
            return try builder.oneOf([Array("true".utf8), Array("false".utf8)], next)
        case "integer", "number":
            try allow(members, Self.numberKeywords, path)
            return try number(schema, isInteger: type == "integer", path, next)
        case "string":
            try allow(members, Self.stringKeywords, path)
            return try string(schema, path, next)
        case "array":
            try allow(members, Self.arrayKeywords, path)
            return try array(schema, path, next)
        case "object":
            try allow(members, Self.objectKeywords, path)
            return try object(schema, path, next)
        default: throw Self.refusal("\(path)/type", "is not a type of JSON: \(type.prefix(50)).")
        }
    }

    private mutating func object(_ schema: JSONValue, _ path: String, _ next: Int32) throws -> Int32
    {
        if let properties = schema["properties"], properties.members == nil {
            throw Self.refusal("\(path)/properties", "has to be an object of schemas.")
        }
        let properties = schema["properties"]?.members ?? []
        let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
        for name in required where !properties.contains(where: { $0.key == name }) {
            throw Self.refusal("\(path)/required", "names `\(name)`, which is not a property.")
        }
        var others = schema["additionalProperties"] ?? .bool(properties.isEmpty)
        // Nobody has to write what the schema does not ask for.
        if isStrict, !properties.isEmpty { others = .bool(false) }

        let close = try builder.literal("}".utf8, next)
        let lastClose = try space(close)
        // From the last to the first: what may follow when something stands before, and when not.
        var afterSome = lastClose
        var afterNone = close
        if others != .bool(false) {
            let member = try otherMember(others, excluding: properties.map(\.key), path)
            let more = builder.reserveRule()
            builder.define(more, try separator(try builder.call(member, builder.end)))
            afterSome = try builder.times(more, 0, nil, lastClose)
            afterNone = try builder.either([try space(try builder.call(member, afterSome)), close])
        }
        for property in properties.reversed() {
            let key = Array(JSONValue.string(property.key).text.utf8) + Array(":".utf8)
            let rule = builder.reserveRule()
            let content = try value(
                property.value, "\(path)/properties/\(property.key)", builder.end)
            builder.define(rule, try builder.literal(key, try blank(content)))
            let written = try builder.call(rule, afterSome)
            let isRequired = isStrict || required.contains(property.key)
            let some = try separator(written)
            let none = try space(written)
            afterSome = isRequired ? some : try builder.either([some, afterSome])
            afterNone = isRequired ? none : try builder.either([none, afterNone])
        }
        return try builder.literal("{".utf8, afterNone)
    }

    /// A rule: a key that is none of `keys`, and its value.
    private mutating func otherMember(_ schema: JSONValue, excluding keys: [String], _ path: String)
        throws -> Int32
    {
        let content = try value(schema, "\(path)/additionalProperties", builder.end)
        let rest = try builder.literal(":".utf8, try blank(content))
        let rule = builder.reserveRule()
        let quote = try builder.literal("\"".utf8, rest)
        let start =
            keys.isEmpty
            ? try builder.times(try builder.textCharacter(), 0, nil, quote)
            : try builder.text(excluding: keys.map { Array($0.unicodeScalars) }, quote)
        builder.define(rule, try builder.literal("\"".utf8, start))
        return rule
    }

    private mutating func array(_ schema: JSONValue, _ path: String, _ next: Int32) throws -> Int32
    {
        if schema["uniqueItems"]?.bool == true {
            throw Self.refusal("\(path)/uniqueItems", "is not supported.")
        }
        let (least, most) = try bounds(schema, "minItems", "maxItems", path)
        let prefix = (schema["prefixItems"]?.array ?? []).prefix(most ?? .max)
        var items = schema["items"]
        if items == nil, prefix.isEmpty || least > prefix.count { items = .bool(true) }
        if items == .bool(false) { items = nil }
        let room = most.map { $0 - prefix.count }
        guard items != nil || least <= prefix.count else {
            throw Self.refusal("\(path)/minItems", "asks for more items than there are schemas.")
        }

        let close = try builder.literal("]".utf8, next)
        var rest = try space(close)
        var first: Int32?
        if let items, room != 0 {
            let item = builder.reserveRule()
            builder.define(item, try value(items, "\(path)/items", builder.end))
            let more = builder.reserveRule()
            builder.define(more, try separator(try builder.call(item, builder.end)))
            if prefix.isEmpty {
                rest = try builder.times(more, max(0, least - 1), room.map { $0 - 1 }, rest)
                first = try space(try builder.call(item, rest))
            } else {
                rest = try builder.times(more, max(0, least - prefix.count), room, rest)
            }
        }
        for (index, schema) in prefix.enumerated().reversed() {
            let item = try value(schema, "\(path)/prefixItems/\(index)", rest)
            rest = try index == 0 ? space(item) : separator(item)
            first = rest
        }
        guard let first else { return try builder.literal("[]".utf8, next) }
        let isEmptyAllowed = prefix.isEmpty && least == 0
        return try builder.literal(
            "[".utf8, isEmptyAllowed ? try builder.either([first, close]) : first)
    }

    private mutating func string(_ schema: JSONValue, _ path: String, _ next: Int32) throws -> Int32
    {
        let (least, most) = try bounds(schema, "minLength", "maxLength", path)
        let quote = try builder.literal("\"".utf8, next)
        var pattern = schema["pattern"]?.string
        if let format = schema["format"]?.string {
            let known = Pattern.formats[format]
            guard known != nil || !isStrict else {
                throw Self.refusal(
                    "\(path)/format",
                    "\(format.prefix(50)) is not known. Known are: "
                        + "\(Pattern.formats.keys.sorted().joined(separator: ", ")).")
            }
            guard known == nil || pattern == nil else {
                throw Self.refusal("\(path)/format", "is not supported together with `pattern`.")
            }
            pattern = pattern ?? known
        } else if schema["format"] != nil {
            throw Self.refusal("\(path)/format", "has to be a name.")
        }
        if schema["pattern"] != nil, schema["pattern"]?.string == nil {
            throw Self.refusal("\(path)/pattern", "has to be a regular expression.")
        }
        let content: Int32
        if let pattern {
            guard least == 0, most == nil else {
                throw Self.refusal(
                    path, "has a pattern or format and a length; only one of them is supported.")
            }
            do {
                content = try builder.pattern(try Pattern(pattern), quote)
            } catch let problem as Pattern.Problem {
                throw Self.refusal("\(path)/pattern", problem.sentence)
            }
        } else {
            content = try builder.times(try builder.textCharacter(), least, most, quote)
        }
        return try builder.literal("\"".utf8, content)
    }

    // MARK: Numbers

    private mutating func number(
        _ schema: JSONValue, isInteger: Bool, _ path: String, _ next: Int32
    ) throws -> Int32 {
        let range = try NumberRange(schema, isInteger: isInteger, path)
        guard let range else { return try builder.anyNumber(isInteger: isInteger, next) }
        let starts = try range.parts.map { part in
            let digits = try builder.digits(part.magnitudes, fraction: part.fraction, next)
            return part.isNegative ? try builder.literal("-".utf8, digits) : digits
        }
        guard !starts.isEmpty else {
            throw Self.refusal("\(path)/minimum", "leaves no number that can be written.")
        }
        return try builder.either(starts)
    }

    // MARK: Parts

    private mutating func anyValue() throws -> Int32 {
        if let rule = builder.named("any value") { return rule }
        let any = builder.reserveRule(named: "any value")
        let end = builder.end
        let character = try builder.textCharacter()
        let string = try builder.literal(
            "\"".utf8,
            try builder.times(character, 0, nil, try builder.literal("\"".utf8, end)))
        let words = try builder.oneOf(["true", "false", "null"].map { Array($0.utf8) }, end)
        let number = try builder.anyNumber(isInteger: false, end)
        let item = try builder.call(any, end)
        let array = try builder.list("[", "]", item)
        builder.define(
            any, try builder.either([string, number, words, array, try anyObject(item)]))
        return any
    }

    private mutating func anyObject(_ item: Int32) throws -> Int32 {
        let key = try builder.times(
            try builder.textCharacter(), 0, nil,
            try builder.literal("\":".utf8, try builder.blank(item)))
        return try builder.list("{", "}", try builder.literal("\"".utf8, key))
    }

    private mutating func blank(_ next: Int32) throws -> Int32 { try builder.blank(next) }
    private mutating func space(_ next: Int32) throws -> Int32 { try builder.space(next) }
    private mutating func separator(_ next: Int32) throws -> Int32 {
        try builder.literal(",".utf8, try builder.space(next))
    }

    private func bounds(_ schema: JSONValue, _ least: String, _ most: String, _ path: String) throws
        -> (Int, Int?)
    {
        func bound(_ keyword: String) throws -> Int? {
            guard let value = schema[keyword] else { return nil }
            guard let bound = value.int, bound >= 0 else {
                throw Self.refusal("\(path)/\(keyword)", "has to be a whole number from 0.")
            }
            return bound
        }
        let (min, max) = (try bound(least) ?? 0, try bound(most))
        guard min <= max ?? .max else {
            throw Self.refusal("\(path)/\(least)", "is more than `\(most)`.")
        }
        return (min, max)
    }

    private func allow(_ members: [JSONValue.Member], _ keywords: Set<String>, _ path: String)
        throws
    {
        for member in members
        where !keywords.contains(member.key) && !Self.annotations.contains(member.key)
            && !member.key.hasPrefix("x-")
        {
            throw Self.refusal("\(path)/\(member.key)", "is not supported here.")
        }
    }

    private static let numberKeywords: Set<String> = [
        "type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "format",
    ]
    private static let stringKeywords: Set<String> = [
        "type", "minLength", "maxLength", "pattern", "format",
    ]
    private static let arrayKeywords: Set<String> = [
        "type", "items", "prefixItems", "minItems", "maxItems", "uniqueItems",
    ]
    private static let objectKeywords: Set<String> = [
        "type", "properties", "required", "additionalProperties",
    ]

    /// Of a schema of several types, each keyword is for one of them.
    private static func applies(_ keyword: String, to type: String) -> Bool {
        let kinds: [(Set<String>, Set<String>)] = [
            (numberKeywords, ["number", "integer"]), (stringKeywords, ["string"]),
            (arrayKeywords, ["array"]), (objectKeywords, ["object"]),
        ]
        let owners = kinds.filter { $0.0.contains(keyword) }
        return keyword == "type" || owners.isEmpty || owners.contains { $0.1.contains(type) }
    }

    private static func isType(_ type: String, _ value: JSONValue) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array),
            ("object", .object), ("number", .number):
            true
        case ("integer", .number(let text)): Double(text).map { $0 == $0.rounded() } ?? false
        default: false
        }
    }

    static func refusal(_ path: String, _ sentence: String) -> Failure {
        Failure(.invalid, "The schema cannot be followed: `\(path.prefix(300))` \(sentence)")
    }
}
