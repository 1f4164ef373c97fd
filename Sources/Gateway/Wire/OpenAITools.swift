import Core
import OrderedJSON

/// What of a request is read in the order of its keys: tools, and the form of the answer.
enum OpenAITools {
    /// How deep the two APIs put what they say of a function or a schema.
    enum Shape {
        /// Chat Completions: `{"type": "function", "function": {"name": ...}}`.
        case nested
        /// Responses: `{"type": "function", "name": ...}`.
        case flat
    }

    static let toolsMax = 128

    static let nameMax = 64

    static func tools(_ value: JSONValue?, _ shape: Shape = .nested) throws -> [ToolDefinition] {
        guard let value, value != .null else { return [] }
        guard let entries = value.array, entries.count <= toolsMax else {
            throw refusal("tools", "has to be an array of at most \(toolsMax) tools.")
        }
        var names: Set<String> = []
        return try entries.enumerated().compactMap { index, entry in
            // Read by itself: `FileSearchTool`.
            if shape == .flat, entry["type"]?.string == FileSearchTool.type { return nil }
            guard entry["type"]?.string == "function", let function = body(of: entry, shape) else {
                throw OpenAIChatRequest.unsupported(
                    "tools[\(index)].type",
                    shape == .flat
                        ? "Only tools of the types function and file_search are supported."
                        : "Only tools of type function are supported.")
            }
            let field = shape == .nested ? "tools[\(index)].function" : "tools[\(index)]"
            guard let name = function["name"]?.string, isName(name) else {
                throw refusal("\(field).name", nameRule)
            }
            guard names.insert(name).inserted else {
                throw refusal("\(field).name", "is the name of another tool too.")
            }
            let parameters = present(function["parameters"])
            guard parameters.map({ $0.members != nil }) ?? true else {
                throw refusal("\(field).parameters", "has to be a JSON Schema.")
            }
            return ToolDefinition(
                name: name, description: function["description"]?.string ?? "",
                parameters: parameters, isStrict: function["strict"]?.bool ?? false)
        }
    }

    static func choice(
        _ value: JSONValue?, of tools: [ToolDefinition], _ shape: Shape = .nested
    ) throws -> ToolChoice {
        guard let value = present(value) else { return .auto }
        switch value.string {
        case "none"?: return .none
        case "auto"?: return .auto
        case "required"?:
            guard !tools.isEmpty else { throw refusal("tool_choice", "needs `tools`.") }
            return .required
        default: break
        }
        guard value["type"]?.string == "function",
            let name = body(of: value, shape)?["name"]?.string
        else {
            throw refusal("tool_choice", "has to be none, auto, required or a function.")
        }
        guard tools.contains(where: { $0.name == name }) else {
            throw refusal("tool_choice", "names a function that is not among `tools`.")
        }
        return .named(name)
    }

    /// - Parameter field: what holds the form, as a refusal names it.
    static func format(
        _ value: JSONValue?, _ shape: Shape = .nested, field: String = "response_format"
    ) throws -> ResponseFormat {
        guard let value = present(value) else { return .text }
        switch value["type"]?.string {
        case "text"?: return .text
        case "json_object"?: return .jsonObject
        case "json_schema"?: break
        default:
            throw refusal("\(field).type", "has to be text, json_object or json_schema.")
        }
        let format = shape == .nested ? value["json_schema"] : value
        let field = shape == .nested ? "\(field).json_schema" : field
        guard let format, let name = format["name"]?.string, isName(name)
        else { throw refusal("\(field).name", nameRule) }
        guard let schema = format["schema"], schema.members != nil else {
            throw refusal("\(field).schema", "has to be a JSON Schema.")
        }
        return .jsonSchema(name: name, schema: schema, isStrict: format["strict"]?.bool ?? false)
    }

    /// How hard to think.
    static func reasoning(_ value: JSONValue?, _ field: String) throws -> ReasoningRequest? {
        guard let value = present(value) else { return nil }
        guard let effort = value.string.flatMap({ ReasoningRequest.Effort(rawValue: $0) }) else {
            throw refusal(field, "has to be none, minimal, low, medium, high, xhigh or max.")
        }
        return ReasoningRequest(effort: effort)
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

    private static func body(of value: JSONValue, _ shape: Shape) -> JSONValue? {
        shape == .nested ? value["function"] : value
    }

    private static func present(_ value: JSONValue?) -> JSONValue? { value == .null ? nil : value }

    private static func refusal(_ parameter: String, _ message: String) -> Refusal {
        OpenAIChatRequest.refusal(parameter, message)
    }
}
