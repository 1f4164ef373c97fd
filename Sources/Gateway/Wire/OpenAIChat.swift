import Core
import Foundation
import HTTPTypes

/// `POST /v1/chat/completions`, as far as it is spoken here. Fields that are not named are ignored;
/// those that would change the answer and cannot be honoured are refused.
struct OpenAIChatRequest: Decodable {
    struct StreamOptions: Decodable {
        let includeUsage: Bool?

        enum CodingKeys: String, CodingKey { case includeUsage = "include_usage" }
    }

    struct ResponseFormat: Decodable {
        let type: String
    }

    let model: String?
    let messages: [OpenAIMessage]
    let stream: Bool?
    let streamOptions: StreamOptions?
    let maxTokens: Int?
    let maxCompletionTokens: Int?
    let temperature: Double?
    let topP: Double?
    let topK: Int?
    let minP: Double?
    let stop: OneOrMany?
    let seed: Int64?
    let n: Int?
    let tools: [UnreadJSON]?
    let functions: [UnreadJSON]?
    let responseFormat: ResponseFormat?
    let logprobs: Bool?
    let presencePenalty: Double?
    let frequencyPenalty: Double?
    let modalities: [String]?

    enum CodingKeys: String, CodingKey {
        case model, messages, stream, temperature, stop, seed, n, tools, functions, logprobs
        case modalities
        case streamOptions = "stream_options"
        case maxTokens = "max_tokens"
        case maxCompletionTokens = "max_completion_tokens"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case responseFormat = "response_format"
        case presencePenalty = "presence_penalty"
        case frequencyPenalty = "frequency_penalty"
    }

    static let messagesMax = 4096

    /// Throws a refusal that names the parameter.
    func checked() throws -> (messages: [ChatMessage], sampling: SamplingOptions) {
        try refuseUnsupported()
        guard !messages.isEmpty, messages.count <= Self.messagesMax else {
            throw Self.refusal("messages", "has to have 1 to \(Self.messagesMax) messages.")
        }
        let options = SamplingOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP,
            seed: seed.map { UInt64(bitPattern: $0) }, stop: stop?.texts ?? [],
            outputTokensMax: maxCompletionTokens ?? maxTokens)
        try options.validate(naming: .openAI)
        let chat = try messages.enumerated().map { try $1.message(at: $0) }
        return (chat, options)
    }

    private func refuseUnsupported() throws {
        let unsupported: [(Bool, String, String)] = [
            (tools?.isEmpty == false, "tools", "Tools are not supported yet."),
            (functions?.isEmpty == false, "functions", "Functions are not supported yet."),
            (n ?? 1 != 1, "n", "Only one choice is made; leave `n` out or send 1."),
            (
                responseFormat.map { $0.type != "text" } ?? false, "response_format",
                "Only the response format `text` is supported yet."
            ),
            (logprobs == true, "logprobs", "Log probabilities are not supported."),
            (
                presencePenalty ?? 0 != 0, "presence_penalty",
                "Penalties are not supported; leave them out or send 0."
            ),
            (
                frequencyPenalty ?? 0 != 0, "frequency_penalty",
                "Penalties are not supported; leave them out or send 0."
            ),
            (
                modalities?.contains { $0 != "text" } ?? false, "modalities",
                "Only text is written here."
            ),
        ]
        for (isAsked, parameter, message) in unsupported where isAsked {
            throw Self.unsupported(parameter, message)
        }
    }

    static func unsupported(_ parameter: String, _ message: String) -> Refusal {
        var refusal = Refusal(Failure(.unsupported, message), status: .badRequest)
        refusal.parameter = parameter
        refusal.openAICode = "unsupported_parameter"
        return refusal
    }

    static func refusal(_ parameter: String, _ message: String) -> Refusal {
        var refusal = Refusal.invalid("`\(parameter)` \(message)")
        refusal.parameter = parameter
        return refusal
    }
}

/// A message, its content as text or as an array of parts that are all text.
struct OpenAIMessage: Decodable {
    struct Part: Decodable {
        let type: String
        let text: String?
    }

    enum Content: Decodable {
        case text(String)
        case parts([Part])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .parts(try container.decode([Part].self))
            }
        }
    }

    let role: String
    let content: Content?
    let toolCalls: [UnreadJSON]?

    enum CodingKeys: String, CodingKey {
        case role, content
        case toolCalls = "tool_calls"
    }

    func message(at index: Int) throws -> ChatMessage {
        let field = "messages[\(index)]"
        let role: ChatMessage.Role
        switch self.role {
        case "system", "developer": role = .system
        case "user": role = .user
        case "assistant": role = .assistant
        case "tool", "function":
            throw OpenAIChatRequest.unsupported(
                "\(field).role", "Tools are not supported yet, so neither are their results.")
        default:
            throw OpenAIChatRequest.refusal(
                "\(field).role", "has to be system, developer, user or assistant.")
        }
        guard toolCalls?.isEmpty ?? true else {
            throw OpenAIChatRequest.unsupported(
                "\(field).tool_calls", "Tools are not supported yet.")
        }
        switch content {
        case .text(let text): return ChatMessage(role, text)
        case .parts(let parts):
            let texts = try parts.enumerated().map { place, part in
                guard part.type == "text", let text = part.text else {
                    throw OpenAIChatRequest.unsupported(
                        "\(field).content[\(place)]",
                        "Only text is read here; images, audio and files are not.")
                }
                return text
            }
            return ChatMessage(role, texts.joined(separator: "\n"))
        case nil:
            guard role == .assistant else {
                throw OpenAIChatRequest.refusal("\(field).content", "is missing.")
            }
            return ChatMessage(role, "")
        }
    }
}

/// Something of JSON that is there, whatever it is.
struct UnreadJSON: Decodable {
    init(from decoder: any Decoder) {}
}

/// `"a"` or `["a", "b"]`.
struct OneOrMany: Decodable {
    let texts: [String]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            texts = [text]
        } else {
            texts = try container.decode([String].self)
        }
    }
}

struct OpenAIUsage: Encodable {
    struct PromptDetails: Encodable {
        let cachedTokens: Int

        enum CodingKeys: String, CodingKey { case cachedTokens = "cached_tokens" }
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

    init(_ usage: TokenUsage) {
        promptTokens = usage.input
        completionTokens = usage.output
        totalTokens = usage.input &+ usage.output
        promptDetails = PromptDetails(cachedTokens: usage.cacheRead)
        completionDetails = CompletionDetails(reasoningTokens: usage.reasoning)
    }
}

/// An answer in one piece, or one chunk of a stream: the two differ in `message` and `delta`.
struct OpenAIChatAnswer: Encodable {
    struct Message: Encodable {
        var role: String?
        var content: String?
    }

    struct Choice: Encodable {
        let index = 0
        var message: Message?
        var delta: Message?
        var finishReason: String?

        enum CodingKeys: String, CodingKey {
            case index, message, delta, logprobs
            case finishReason = "finish_reason"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(index, forKey: .index)
            try container.encodeIfPresent(message, forKey: .message)
            try container.encodeIfPresent(delta, forKey: .delta)
            try container.encodeNil(forKey: .logprobs)
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
