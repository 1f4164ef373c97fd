import Core
import OrderedJSON

struct OpenAIUsage {
    let promptTokens: Int
    let completionTokens: Int
    let cachedTokens: Int
    let cacheWriteTokens: Int
    let reasoningTokens: Int

    /// Of all choices together: their prompt is one, and counts once.
    init(_ usages: [TokenUsage]) {
        promptTokens = usages.first?.input ?? 0
        completionTokens = usages.reduce(0) { $0 &+ $1.output }
        cachedTokens = usages.first?.cacheRead ?? 0
        cacheWriteTokens = usages.first?.cacheWrite ?? 0
        reasoningTokens = usages.reduce(0) { $0 &+ $1.reasoning }
    }

    var json: JSONValue {
        [
            "prompt_tokens": .of(promptTokens), "completion_tokens": .of(completionTokens),
            "total_tokens": .of(promptTokens &+ completionTokens),
            "prompt_tokens_details": [
                "cached_tokens": .of(cachedTokens), "cache_write_tokens": .of(cacheWriteTokens),
            ],
            "completion_tokens_details": ["reasoning_tokens": .of(reasoningTokens)],
        ]
    }
}

/// An answer in one piece, or one chunk of a stream: the two differ in `message` and `delta`.
struct OpenAIChatAnswer {
    /// A message, or what is new of one.
    struct Message {
        var role: String?
        var content: String?
        /// What OpenAI's own API does not show, as DeepSeek, vLLM and others do.
        var reasoning: String?
        var toolCalls: [ToolCall]?
        /// Whole messages have all of their fields, be they null.
        var isWhole = false

        var json: JSONValue {
            var fields: [JSONValue.Member] = []
            if let role { fields.append(.init("role", .string(role))) }
            if let content {
                fields.append(.init("content", .string(content)))
            } else if isWhole {
                fields.append(.init("content", .null))
            }
            if isWhole { fields.append(.init("refusal", .null)) }
            if let reasoning { fields.append(.init("reasoning_content", .string(reasoning))) }
            if let toolCalls {
                fields.append(.init("tool_calls", .array(toolCalls.map(\.json))))
            }
            return .object(fields)
        }
    }

    struct ToolCall {
        /// Nil in a whole answer.
        var index: Int?
        var id: String?
        var type: String?
        var name: String?
        var arguments: String

        var json: JSONValue {
            var fields: [JSONValue.Member] = []
            if let index { fields.append(.init("index", .of(index))) }
            if let id { fields.append(.init("id", .string(id))) }
            if let type { fields.append(.init("type", .string(type))) }
            var function: [JSONValue.Member] = []
            if let name { function.append(.init("name", .string(name))) }
            function.append(.init("arguments", .string(arguments)))
            fields.append(.init("function", .object(function)))
            return .object(fields)
        }
    }

    struct Choice {
        var index = 0
        var message: Message?
        var delta: Message?
        var finishReason: String?
        var logprobs: OpenAILogprobs?
        /// Ours: another candidate answers from here on. Clients pass over what they do not know.
        var switched: CandidateSwitch?

        func json() throws -> JSONValue {
            var fields: [JSONValue.Member] = [.init("index", .of(index))]
            if let message { fields.append(.init("message", message.json)) }
            if let delta { fields.append(.init("delta", delta.json)) }
            if let switched {
                fields.append(
                    .init("heptad_switched", try JSONValue(parsing: try JSON.encode(switched))))
            }
            fields.append(.init("logprobs", logprobs?.json ?? .null))
            fields.append(.init("finish_reason", finishReason.map { .string($0) } ?? .null))
            return .object(fields)
        }
    }

    let id: String
    let object: String
    let created: Int64
    let model: String
    var choices: [Choice]
    var usage: OpenAIUsage?

    func json() throws -> JSONValue {
        var fields: [JSONValue.Member] = [
            .init("id", .string(id)), .init("object", .string(object)),
            .init("created", .number(String(created))), .init("model", .string(model)),
            .init("choices", .array(try choices.map { try $0.json() })),
        ]
        if let usage { fields.append(.init("usage", usage.json)) }
        return .object(fields)
    }
}

extension Completion.FinishReason {
    var openAIName: String {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .contentFilter: "content_filter"
        case .toolCalls: "tool_calls"
        }
    }
}

/// How likely each token was.
struct OpenAILogprobs {
    private let tokens: [TokenLogprob]

    /// Nil for none.
    init?(_ tokens: [TokenLogprob]) {
        guard !tokens.isEmpty else { return nil }
        self.tokens = tokens
    }

    var json: JSONValue {
        [
            "content": .array(
                tokens.map { token in
                    var fields = Self.fields(token)
                    fields.append(
                        .init("top_logprobs", .array(token.top.map { .object(Self.fields($0)) })))
                    return .object(fields)
                }), "refusal": .null,
        ]
    }

    private static func fields(_ token: TokenLogprob) -> [JSONValue.Member] {
        [
            .init("token", .string(token.token)),
            .init("logprob", .number("\(token.logprob.isFinite ? token.logprob : leastLogprob)")),
            .init("bytes", .array(token.bytes.map { .of(Int($0)) })),
        ]
    }

    // As OpenAI writes what is all but impossible.
    private static let leastLogprob = -9999.0
}
