import Core
import OrderedJSON

/// An object of a request. Each field says its name when it is not what it has to be; null is as
/// good as left out.
struct JSONFields {
    let value: JSONValue
    let path: String

    /// Throws a refusal for what is no object.
    init(_ value: JSONValue, at path: String = "") throws {
        guard value.members != nil else {
            throw path.isEmpty
                ? Refusal.invalid("The body has to be a JSON object.")
                : Self.refusal(path, "has to be an object.")
        }
        self.value = value
        self.path = path
    }

    func name(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

    subscript(key: String) -> JSONValue? { value[key].flatMap { $0 == .null ? nil : $0 } }

    func string(_ key: String) throws -> String? {
        try read(key, "a string", \.string)
    }

    func bool(_ key: String) throws -> Bool? { try read(key, "true or false", \.bool) }
    func int(_ key: String) throws -> Int? { try read(key, "a whole number", \.int) }
    func number(_ key: String) throws -> Double? { try read(key, "a number", \.double) }
    func array(_ key: String) throws -> [JSONValue]? { try read(key, "an array", \.array) }

    func fields(_ key: String) throws -> JSONFields? {
        try self[key].map { try JSONFields($0, at: name(of: key)) }
    }

    /// A schema, or another object that is passed on as it was written.
    func object(_ key: String) throws -> JSONValue? { try fields(key)?.value }

    func strings(_ key: String) throws -> [String]? {
        try array(key)?.enumerated().map { place, value in
            guard let text = value.string else {
                throw Self.refusal("\(name(of: key))[\(place)]", "has to be a string.")
            }
            return text
        }
    }

    /// `"a"` or `["a", "b"]`; none where the field is left out.
    func oneOrMany(_ key: String) throws -> [String] {
        guard let value = self[key] else { return [] }
        if let text = value.string { return [text] }
        guard value.array != nil else {
            throw refusal(key, "has to be a string or an array of strings.")
        }
        return try strings(key) ?? []
    }

    /// The objects of an array, each with its place in its name.
    func list(_ key: String) throws -> [JSONFields]? {
        try array(key)?.enumerated().map { place, value in
            try JSONFields(value, at: "\(name(of: key))[\(place)]")
        }
    }

    func required<Value>(_ key: String, _ value: Value?) throws -> Value {
        guard let value else { throw refusal(key, "is missing.") }
        return value
    }

    func refusal(_ key: String, _ message: String) -> Refusal {
        Self.refusal(name(of: key), message)
    }

    static func refusal(_ parameter: String, _ message: String) -> Refusal {
        var refusal = Refusal.invalid("`\(parameter.prefix(200))` \(message)")
        refusal.parameter = String(parameter.prefix(200))
        return refusal
    }

    private func read<Value>(
        _ key: String, _ kind: String, _ value: (JSONValue) -> Value?
    ) throws -> Value? {
        guard let found = self[key] else { return nil }
        guard let value = value(found) else { throw refusal(key, "has to be \(kind).") }
        return value
    }
}
