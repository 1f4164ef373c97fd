import Core

/// What of a request is read in the order of its keys: tools, and the form of the answer.
enum OpenAITools {
    static let toolsMax = 128

    static let nameMax = 64

    static func tools(_ value: JSONValue?) throws -> [ToolDefinition] {
        guard let value, value != .null else { return [] }
        guard let entries = value.array, entries.count <= toolsMax else {
            throw refusal("tools", "has to be an array of at most \(toolsMax) tools.")
        }
        var names: Set<String> = []
        return try entries.enumerated().map { index, entry in
            let field = "tools[\(index)]"
            guard entry["type"]?.string == "function", let function = entry["function"] else {
                throw OpenAIChatRequest.unsupported(
                    "\(field).type", "Only tools of type function are supported.")
            }
            guard let name = function["name"]?.string, isName(name) else {
                throw refusal("\(field).function.name", nameRule)
            }
            guard names.insert(name).inserted else {
                throw refusal("\(field).function.name", "is the name of another tool too.")
            }
            let parameters = present(function["parameters"])
            guard parameters.map({ $0.members != nil }) ?? true else {
                throw refusal("\(field).function.parameters", "has to be a JSON Schema.")
            }
            return ToolDefinition(
                name: name, description: function["description"]?.string ?? "",
                parameters: parameters, isStrict: function["strict"]?.bool ?? false)
        }
    }

    static func choice(_ value: JSONValue?, of tools: [ToolDefinition]) throws -> ToolChoice {
        guard let value = present(value) else { return .auto }
        switch value.string {
        case "none"?: return .none
        case "auto"?: return .auto
        case "required"?:
            guard !tools.isEmpty else { throw refusal("tool_choice", "needs `tools`.") }
            return .required
        default: break
        }
        guard value["type"]?.string == "function", let name = value["function"]?["name"]?.string
        else {
            throw refusal("tool_choice", "has to be none, auto, required or a function.")
        }
        guard tools.contains(where: { $0.name == name }) else {
            throw refusal("tool_choice", "names a function that is not among `tools`.")
        }
        return .named(name)
    }

    static func format(_ value: JSONValue?) throws -> ResponseFormat {
        guard let value = present(value) else { return .text }
        switch value["type"]?.string {
        case "text"?: return .text
        case "json_object"?: return .jsonObject
        case "json_schema"?: break
        default:
            throw refusal("response_format.type", "has to be text, json_object or json_schema.")
        }
        guard let format = value["json_schema"], let name = format["name"]?.string, isName(name)
        else { throw refusal("response_format.json_schema.name", nameRule) }
        guard let schema = format["schema"], schema.members != nil else {
            throw refusal("response_format.json_schema.schema", "has to be a JSON Schema.")
        }
        return .jsonSchema(name: name, schema: schema, isStrict: format["strict"]?.bool ?? false)
    }

    private static let nameRule = "has to be 1 to \(nameMax) letters, digits, `_` or `-`."

    static func isName(_ name: String, max: Int = nameMax) -> Bool {
        (1...max).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    private static func present(_ value: JSONValue?) -> JSONValue? { value == .null ? nil : value }

    private static func refusal(_ parameter: String, _ message: String) -> Refusal {
        OpenAIChatRequest.refusal(parameter, message)
    }
}
