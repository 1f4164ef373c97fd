import Core
import OrderedJSON

@testable import LocalModels

/// Whether a value is valid by a schema: the plain reading of JSON Schema, written apart from the
/// grammar that it checks.
struct SchemaValidator {
    let root: JSONValue

    func isValid(_ value: JSONValue, _ schema: JSONValue) -> Bool {
        if let all = schema.bool { return all }
        if let reference = schema["$ref"]?.string {
            var target = root
            for part in reference.dropFirst().split(separator: "/") {
                target = target[String(part)] ?? .bool(false)
            }
            return isValid(value, target)
        }
        if let values = schema["enum"]?.array, !values.contains(value) { return false }
        if let constant = schema["const"], constant != value { return false }
        if let any = schema["anyOf"]?.array, !any.contains(where: { isValid(value, $0) }) {
            return false
        }
        if let type = schema["type"] {
            let types = (type.array ?? [type]).compactMap(\.string)
            guard types.contains(where: { isType($0, value) }) else { return false }
        }
        switch value {
        case .string(let text):
            let length = text.unicodeScalars.count
            return length >= schema["minLength"]?.int ?? 0
                && length <= schema["maxLength"]?.int ?? .max
                && (schema["pattern"]?.string).map { matches(text, $0) } ?? true
        case .number(let text):
            let number = Double(text) ?? .nan
            return number >= schema["minimum"]?.double ?? -.infinity
                && number <= schema["maximum"]?.double ?? .infinity
                && number > schema["exclusiveMinimum"]?.double ?? -.infinity
                && number < schema["exclusiveMaximum"]?.double ?? .infinity
        case .array(let values):
            let prefix = schema["prefixItems"]?.array ?? []
            return values.count >= schema["minItems"]?.int ?? 0
                && values.count <= schema["maxItems"]?.int ?? .max
                && values.enumerated().allSatisfy { index, value in
                    isValid(
                        value,
                        index < prefix.count ? prefix[index] : schema["items"] ?? .bool(true))
                }
        case .object(let members):
            return (schema["required"]?.array ?? []).allSatisfy { value[$0.string ?? ""] != nil }
                && members.allSatisfy { member in
                    isValid(
                        member.value,
                        schema["properties"]?[member.key]
                            ?? schema["additionalProperties"] ?? .bool(true))
                }
        default: return true
        }
    }

    private func matches(_ text: String, _ pattern: String) -> Bool {
        (try? Regex(pattern)).map { text.firstMatch(of: $0) != nil } ?? false
    }

    private func isType(_ type: String, _ value: JSONValue) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array),
            ("object", .object), ("number", .number):
            true
        case ("integer", .number): value.double.map { $0 == $0.rounded() } ?? false
        default: false
        }
    }
}
