import Core
import OrderedJSON

/// A JSON schema (2020-12, which OpenAPI 3.1 uses), written by hand beside the routes.
struct Schema: Sendable {
    let json: JSONValue

    init(_ json: JSONValue) { self.json = json }

    static let string = Schema(["type": "string"])
    static let integer = Schema(["type": "integer"])
    static let number = Schema(["type": "number"])
    static let boolean = Schema(["type": "boolean"])
    static let identifier = Schema(["type": "string", "format": "uuid"])
    static let timestamp = Schema(["type": "string", "format": "date-time"])
    static let picodollars = Schema([
        "type": "integer", "format": "int64", "description": "Picodollars: 1e-12 USD.",
    ])
    static let attribute = oneOf([.string, .number, .boolean])
    static let traceID = Schema(["type": "string", "pattern": "^[0-9a-f]{32}$"])

    static func choice(_ values: [String]) -> Schema {
        Schema(["type": "string", "enum": .array(values.map { .string($0) })])
    }

    static func reference(_ name: String) -> Schema {
        Schema(["$ref": .string("#/components/schemas/\(name)")])
    }

    static func array(_ element: Schema) -> Schema {
        Schema(["type": "array", "items": element.json])
    }

    /// An array of a named schema.
    static func list(_ name: String) -> Schema { array(.reference(name)) }

    static func map(_ element: Schema) -> Schema {
        Schema(["type": "object", "additionalProperties": element.json])
    }

    static func oneOf(_ schemas: [Schema]) -> Schema {
        Schema(["oneOf": .array(schemas.map(\.json))])
    }

    /// An object. A name that ends in `?` may be left out.
    static func record(_ members: [String: Schema], _ description: String = "") -> Schema {
        var properties: [String: JSONValue] = [:]
        var required: [JSONValue] = []
        for (key, schema) in members.sorted(by: { $0.key < $1.key }) {
            let name = key.hasSuffix("?") ? String(key.dropLast()) : key
            properties[name] = schema.json
            if name == key { required.append(.string(name)) }
        }
        var object: [String: JSONValue] = ["type": "object", "properties": JSONValue(properties)]
        if !required.isEmpty { object["required"] = .array(required) }
        if !description.isEmpty { object["description"] = .string(description) }
        return Schema(JSONValue(object))
    }
}
