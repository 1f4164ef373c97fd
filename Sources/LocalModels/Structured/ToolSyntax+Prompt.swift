package import Core

extension ToolSyntax {
    /// The conversation for a chat template that knows nothing of tools: they are described in the
    /// system message the way Hermes, Qwen and SmolLM were taught, calls and results are text.
    package func messages(
        _ messages: [ChatMessage], tools: [ToolDefinition], choice: ToolChoice
    ) -> [ChatMessage] {
        var result = messages.map(asText)
        guard !tools.isEmpty, choice != .none else { return result }
        let description = description(of: tools, choice)
        if let first = result.first, first.role == .system {
            result[0] = ChatMessage(.system, "\(first.text)\n\n\(description)")
        } else {
            result.insert(ChatMessage(.system, description), at: 0)
        }
        return result
    }

    private func description(of tools: [ToolDefinition], _ choice: ToolChoice) -> String {
        let lines = tools.map(Self.json).map(\.text).joined(separator: "\n")
        let form = "{\"name\": <function-name>, \"\(argumentsKey)\": <args-json-object>}"
        let how =
            switch self {
            case .tagged:
                "return a json object with function name and arguments within \(Self.opening)"
                    + "\(Self.closing) XML tags:\n\(Self.opening)\n\(form)\n\(Self.closing)"
            case .bare: "answer with nothing but a json object of this form:\n\(form)"
            case .listed: "answer with nothing but:\n\(Self.list)[\(form)]"
            }
        let must =
            switch choice {
            case .required: "\nYou have to call a function now."
            case .named(let name): "\nYou have to call the function \(name) now."
            case .auto, .none: ""
            }
        return """
            You may call one or more functions to assist with the user query.

            You are provided with function signatures within <tools></tools> XML tags:
            <tools>
            \(lines)
            </tools>

            For each function call, \(how)\(must)
            """
    }

    private static func json(_ tool: ToolDefinition) -> JSONValue {
        var function = [JSONValue.Member("name", .string(tool.name))]
        if !tool.description.isEmpty {
            function.append(JSONValue.Member("description", .string(tool.description)))
        }
        if let parameters = tool.parameters {
            function.append(JSONValue.Member("parameters", parameters))
        }
        return .object([
            JSONValue.Member("type", .string("function")),
            JSONValue.Member("function", .object(function)),
        ])
    }

    private func asText(_ message: ChatMessage) -> ChatMessage {
        if message.role == .tool {
            return ChatMessage(.user, "<tool_response>\n\(message.text)\n</tool_response>")
        }
        guard !message.toolCalls.isEmpty else { return message }
        let calls = message.toolCalls.map { call in
            "{\"name\": \(JSONValue.string(call.name).text), \"\(argumentsKey)\": \(call.arguments)}"
        }
        let written =
            switch self {
            case .tagged:
                calls.map { "\(Self.opening)\n\($0)\n\(Self.closing)" }.joined(separator: "\n")
            case .bare: calls.joined(separator: "\n")
            case .listed: "\(Self.list)[\(calls.joined(separator: ", "))]"
            }
        return ChatMessage(
            .assistant, message.text.isEmpty ? written : "\(message.text)\n\(written)")
    }
}
