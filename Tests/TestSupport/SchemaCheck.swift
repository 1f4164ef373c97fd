import Core
package import OrderedJSON

/// Holds values against named JSON schemas of the kinds that we write.
package struct SchemaCheck: Sendable {
    private let components: [String: JSONValue]

    package init(_ components: [String: JSONValue]) { self.components = components }

    /// Where a value does not fit the schema of that name; nil when it fits.
    package func mismatch(_ value: JSONValue, _ name: String) -> String? {
        guard let schema = components[name] else { return "There is no schema \(name)." }
        return mismatch(value, schema, at: name)
    }

    /// Where a value does not fit a schema of the kinds that we write; nil when it fits. A member
    /// the schema does not know is a mismatch too, so that a new one has to be described.
    private func mismatch(_ value: JSONValue, _ schema: JSONValue, at path: String) -> String? {
        if case .string(let reference)? = schema["$ref"] {
            let name = reference.split(separator: "/").last.map(String.init) ?? ""
            guard let target = components[name] else { return "\(path): no \(name)" }
            return mismatch(value, target, at: path)
        }
        if case .array(let choices)? = schema["oneOf"] {
            let fits = choices.contains { mismatch(value, $0, at: path) == nil }
            return fits ? nil : "\(path): none fits"
        }
        if case .array(let allowed)? = schema["enum"], !allowed.contains(value) {
            return "\(path): \(value) is not allowed"
        }
        switch (schema["type"]?.string ?? "choice", value) {
        case ("string", .string), ("boolean", .bool), ("number", .number), ("null", .null):
            return nil
        // Several types: text or nothing.
        case ("choice", .string) where schema["type"]?.array != nil: return nil
        case ("choice", .null) where schema["type"]?.array != nil: return nil
        case ("integer", .number):
            return value.int != nil ? nil : "\(path): not whole"
        case ("array", .array(let elements)):
            let element = schema["items"] ?? .null
            return elements.lazy.compactMap { mismatch($0, element, at: "\(path)[]") }.first
        case ("object", .object(let members)):
            if let any = schema["additionalProperties"] {
                return members.lazy.compactMap {
                    mismatch($0.value, any, at: "\(path).\($0.key)")
                }.first
            }
            if case .array(let required)? = schema["required"] {
                for case .string(let name) in required where value[name] == nil {
                    return "\(path): no \(name)"
                }
            }
            return members.lazy.compactMap { member -> String? in
                guard let schema = schema["properties"]?[member.key] else {
                    return "\(path): \(member.key) is not described"
                }
                return mismatch(member.value, schema, at: "\(path).\(member.key)")
            }.first
        default: return "\(path): \(value) is not \(schema["type"] ?? .null)"
        }
    }
}
