import Core
import OrderedJSON

/// The response object: what was asked, and how far the answer has come.
struct ResponsesAnswer: Sendable {
    enum State: Sendable {
        case inProgress
        case ended(Completion, at: Timestamp)
        case failed(Refusal)
    }

    /// The same in all identifiers of one response.
    let key: String
    let createdAt: Timestamp
    let request: ChatRequest
    let metadata: JSONValue
    let instructions: String?
    var fileSearch: FileSearchTool?

    var id: String { "resp_\(key)" }

    func object(_ state: State, output: [JSONValue]) -> JSONValue {
        let sampling = request.sampling
        let (status, incomplete) = Self.status(of: state)
        var (error, usage, completedAt) = (JSONValue.null, JSONValue.null, JSONValue.null)
        switch state {
        case .inProgress: break
        case .ended(let completion, let time):
            usage = Self.usage(completion.usage)
            if status == "completed" { completedAt = .number("\(time.seconds)") }
        case .failed(let refusal):
            error = [
                "code": .string(Self.errorCode(refusal.failure)),
                "message": .string(refusal.failure.message),
            ]
        }
        return [
            "id": .string(id), "object": "response",
            "created_at": .number("\(createdAt.seconds)"), "status": .string(status),
            "background": false, "completed_at": completedAt, "error": error,
            "incomplete_details": incomplete.map { ["reason": .string($0)] } ?? .null,
            "instructions": instructions.map { .string($0) } ?? .null,
            "max_output_tokens": Self.number(sampling.outputTokensMax), "max_tool_calls": .null,
            "model": .string(request.model), "output": .array(output),
            "parallel_tool_calls": .bool(request.allowsParallelToolCalls),
            "previous_response_id": .null,
            "reasoning": [
                "effort": request.reasoning?.effort.map { .string($0.rawValue) } ?? .null,
                "summary": .null,
            ],
            "store": false, "temperature": Self.number(sampling.temperature),
            "text": ["format": format], "tool_choice": toolChoice,
            "tools": .array((fileSearch.map { [$0.json] } ?? []) + request.tools.map(Self.tool)),
            "top_logprobs": Self.number(sampling.topLogprobs),
            "top_p": Self.number(sampling.topP),
            "truncation": request.truncates ? "auto" : "disabled", "usage": usage,
            "user": .null, "metadata": metadata,
        ]
    }

    /// The status, and why an answer is not whole.
    static func status(of state: State) -> (String, incomplete: String?) {
        switch state {
        case .inProgress: return ("in_progress", nil)
        case .failed: return ("failed", nil)
        case .ended(let completion, _):
            switch completion.finishReason {
            case .stop, .toolCalls: return ("completed", nil)
            case .length: return ("incomplete", "max_output_tokens")
            case .contentFilter: return ("incomplete", "content_filter")
            }
        }
    }

    private var format: JSONValue {
        switch request.responseFormat {
        case .text: ["type": "text"]
        case .jsonObject: ["type": "json_object"]
        case .jsonSchema(let name, let schema, let isStrict):
            [
                "type": "json_schema", "name": .string(name), "schema": schema,
                "strict": .bool(isStrict),
            ]
        }
    }

    private var toolChoice: JSONValue {
        if let choice = fileSearch?.choice { return choice }
        return switch request.toolChoice {
        case .auto: "auto"
        case .none: "none"
        case .required: "required"
        case .named(let name): ["type": "function", "name": .string(name)]
        }
    }

    private static func tool(_ tool: ToolDefinition) -> JSONValue {
        [
            "type": "function", "name": .string(tool.name),
            "description": .string(tool.description), "parameters": tool.parameters ?? .null,
            "strict": .bool(tool.isStrict),
        ]
    }

    private static func usage(_ usage: TokenUsage) -> JSONValue {
        [
            "input_tokens": .number("\(usage.input)"),
            "input_tokens_details": [
                "cached_tokens": .number("\(usage.cacheRead)"),
                "cache_write_tokens": .number("\(usage.cacheWrite)"),
            ],
            "output_tokens": .number("\(usage.output)"),
            "output_tokens_details": ["reasoning_tokens": .number("\(usage.reasoning)")],
            "total_tokens": .number("\(usage.input &+ usage.output)"),
        ]
    }

    /// The API knows few codes; clients switch over them.
    private static func errorCode(_ failure: Failure) -> String {
        switch failure.code {
        case .rateLimited, .budgetExceeded: "rate_limit_exceeded"
        case .invalid, .tooLarge, .unsupported: "invalid_prompt"
        default: "server_error"
        }
    }

    private static func number<Number: LosslessStringConvertible>(_ value: Number?) -> JSONValue {
        value.map { .number($0.description) } ?? .null
    }
}
