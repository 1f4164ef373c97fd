import Core

struct OpenAIUsage: Encodable {
    struct PromptDetails: Encodable {
        let cachedTokens: Int
        let cacheWriteTokens: Int

        enum CodingKeys: String, CodingKey {
            case cachedTokens = "cached_tokens"
            case cacheWriteTokens = "cache_write_tokens"
        }
    }

    struct CompletionDetails: Encodable {
        let reasoningTokens: Int

        enum CodingKeys: String, CodingKey { case reasoningTokens = "reasoning_tokens" }
    }

    let promptTokens: Int
    let completionTokens: Int
    let totalTokens: Int
    let promptDetails: PromptDetails
    let completionDetails: CompletionDetails

    enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
        case totalTokens = "total_tokens"
        case promptDetails = "prompt_tokens_details"
        case completionDetails = "completion_tokens_details"
    }

    /// Of all choices together: their prompt is one, and counts once.
    init(_ usages: [TokenUsage]) {
        promptTokens = usages.first?.input ?? 0
        completionTokens = usages.reduce(0) { $0 &+ $1.output }
        totalTokens = promptTokens &+ completionTokens
        promptDetails = PromptDetails(
            cachedTokens: usages.first?.cacheRead ?? 0,
            cacheWriteTokens: usages.first?.cacheWrite ?? 0)
        completionDetails = CompletionDetails(
            reasoningTokens: usages.reduce(0) { $0 &+ $1.reasoning })
    }
}

/// An answer in one piece, or one chunk of a stream: the two differ in `message` and `delta`.
struct OpenAIChatAnswer: Encodable {
    /// A message, or what is new of one.
    struct Message: Encodable {
        var role: String?
        var content: String?
        /// What OpenAI's own API does not show, as DeepSeek, vLLM and others do.
        var reasoning: String?
        var toolCalls: [ToolCall]?
        /// Whole messages have all of their fields, be they null.
        var isWhole = false

        enum CodingKeys: String, CodingKey {
            case role, content, refusal
            case reasoning = "reasoning_content"
            case toolCalls = "tool_calls"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encodeIfPresent(role, forKey: .role)
            if isWhole {
                try container.encode(content, forKey: .content)
                try container.encodeNil(forKey: .refusal)
            } else {
                try container.encodeIfPresent(content, forKey: .content)
            }
            try container.encodeIfPresent(reasoning, forKey: .reasoning)
            try container.encodeIfPresent(toolCalls, forKey: .toolCalls)
        }
    }

    struct ToolCall: Encodable {
        struct Function: Encodable {
            var name: String?
            var arguments: String
        }

        /// Nil in a whole answer.
        var index: Int?
        var id: String?
        var type: String?
        var function: Function
    }

    struct Choice: Encodable {
        var index = 0
        var message: Message?
        var delta: Message?
        var finishReason: String?
        var logprobs: OpenAILogprobs?
        /// Ours: another candidate answers from here on. Clients pass over what they do not know.
        var switched: CandidateSwitch?

        enum CodingKeys: String, CodingKey {
            case index, message, delta, logprobs
            case switched = "heptad_switched"
            case finishReason = "finish_reason"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(index, forKey: .index)
            try container.encodeIfPresent(message, forKey: .message)
            try container.encodeIfPresent(delta, forKey: .delta)
            try container.encodeIfPresent(switched, forKey: .switched)
            try container.encode(logprobs, forKey: .logprobs)
            try container.encode(finishReason, forKey: .finishReason)
        }
    }

    let id: String
    let object: String
    let created: Int64
    let model: String
    var choices: [Choice]
    var usage: OpenAIUsage?
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
struct OpenAILogprobs: Encodable {
    struct Token: Encodable {
        let token: String
        let logprob: Double
        let bytes: [UInt8]
        /// Nil in one that is an alternative itself.
        let topLogprobs: [Token]?

        enum CodingKeys: String, CodingKey {
            case token, logprob, bytes
            case topLogprobs = "top_logprobs"
        }

        init(_ token: TokenLogprob, isAlternative: Bool = false) {
            self.token = token.token
            logprob = token.logprob
            bytes = token.bytes
            topLogprobs = isAlternative ? nil : token.top.map { Token($0, isAlternative: true) }
        }
    }

    let content: [Token]

    enum CodingKeys: String, CodingKey { case content, refusal }

    /// Nil for none.
    init?(_ tokens: [TokenLogprob]) {
        guard !tokens.isEmpty else { return nil }
        content = tokens.map { Token($0) }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(content, forKey: .content)
        try container.encodeNil(forKey: .refusal)
    }
}
