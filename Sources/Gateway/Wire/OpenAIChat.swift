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
    let functions: [UnreadJSON]?
    let logprobs: Bool?
    let topLogprobs: Int?
    let presencePenalty: Double?
    let frequencyPenalty: Double?
    let repetitionPenalty: Double?
    let logitBias: [String: Double]?
    let parallelToolCalls: Bool?
    /// `auto` leaves the oldest messages out where the conversation is too long.
    let truncation: String?
    let modalities: [String]?

    enum CodingKeys: String, CodingKey {
        case model, messages, stream, temperature, stop, seed, n, functions, logprobs
        case modalities, truncation
        case streamOptions = "stream_options"
        case maxTokens = "max_tokens"
        case maxCompletionTokens = "max_completion_tokens"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case topLogprobs = "top_logprobs"
        case presencePenalty = "presence_penalty"
        case frequencyPenalty = "frequency_penalty"
        case repetitionPenalty = "repetition_penalty"
        case logitBias = "logit_bias"
        case parallelToolCalls = "parallel_tool_calls"
    }

    static let messagesMax = 4096
    /// Answers to one request. Each is a call of its own, metered and run as such.
    static let choicesMax = 8

    /// The call that is asked for. Throws a refusal that names the parameter.
    ///
    /// - Parameter body: the request in the order of its keys, which schemas are answered in.
    func call(
        of principal: Principal, model: String, body: JSONValue, purpose: String
    ) throws -> ChatRequest {
        try refuseUnsupported()
        guard !messages.isEmpty, messages.count <= Self.messagesMax else {
            throw Self.refusal("messages", "has to have 1 to \(Self.messagesMax) messages.")
        }
        var call = ChatRequest(
            principal: principal, model: model,
            messages: try messages.enumerated().map { try $1.message(at: $0) },
            sampling: try sampling(), purpose: purpose)
        call.tools = try OpenAITools.tools(body["tools"])
        call.toolChoice = try OpenAITools.choice(body["tool_choice"], of: call.tools)
        call.allowsParallelToolCalls = parallelToolCalls ?? true
        call.responseFormat = try OpenAITools.format(body["response_format"])
        call.truncates = truncation == "auto"
        call.streams = stream == true
        return call
    }

    /// How many answers are wanted.
    var choiceCount: Int { n ?? 1 }

    private func sampling() throws -> SamplingOptions {
        var options = SamplingOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP,
            seed: seed.map { UInt64(bitPattern: $0) }, stop: stop?.texts ?? [],
            outputTokensMax: maxCompletionTokens ?? maxTokens)
        try options.validate(naming: .openAI)
        func check(_ value: Double?, _ range: ClosedRange<Double>, _ name: String) throws {
            guard let value, !range.contains(value) else { return }
            throw Self.refusal(name, "has to be \(range.lowerBound) to \(range.upperBound).")
        }
        try check(presencePenalty, -2...2, "presence_penalty")
        try check(frequencyPenalty, -2...2, "frequency_penalty")
        try check(repetitionPenalty, 0.01...10, "repetition_penalty")
        options.presencePenalty = presencePenalty
        options.frequencyPenalty = frequencyPenalty
        options.repetitionPenalty = repetitionPenalty
        for (key, amount) in logitBias ?? [:] {
            guard let token = Int(key), (0..<1 << 24).contains(token) else {
                throw Self.refusal("logit_bias", "has a key that is not the number of a token.")
            }
            try check(amount, -100...100, "logit_bias")
            options.logitBias[token] = amount
        }
        guard options.logitBias.count <= SamplingOptions.logitBiasMax else {
            throw Self.refusal(
                "logit_bias", "has more than \(SamplingOptions.logitBiasMax) tokens.")
        }
        if let topLogprobs {
            guard logprobs == true else {
                throw Self.refusal("top_logprobs", "needs `logprobs` to be true.")
            }
            guard (0...SamplingOptions.topLogprobsMax).contains(topLogprobs) else {
                throw Self.refusal(
                    "top_logprobs", "has to be 0 to \(SamplingOptions.topLogprobsMax).")
            }
        }
        options.topLogprobs = logprobs == true ? topLogprobs ?? 0 : nil
        return options
    }

    private func refuseUnsupported() throws {
        guard functions?.isEmpty ?? true else {
            throw Self.unsupported("functions", "Functions are called tools now: send `tools`.")
        }
        guard (1...Self.choicesMax).contains(choiceCount) else {
            throw Self.refusal("n", "has to be 1 to \(Self.choicesMax).")
        }
        guard ["auto", "disabled"].contains(truncation ?? "disabled") else {
            throw Self.refusal("truncation", "has to be auto or disabled.")
        }
        guard modalities?.allSatisfy({ $0 == "text" }) ?? true else {
            throw Self.unsupported("modalities", "Only text is written here.")
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

/// A message, its content as text or as an array of parts.
struct OpenAIMessage: Decodable {
    struct Part: Decodable {
        struct Image: Decodable {
            let url: String?
            let detail: String?
        }

        let type: String
        let text: String?
        let image: Image?

        enum CodingKeys: String, CodingKey {
            case type, text
            case image = "image_url"
        }
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

    struct Call: Decodable {
        struct Function: Decodable {
            let name: String
            let arguments: String
        }

        let id: String
        let type: String?
        let function: Function?
    }

    let role: String
    let content: Content?
    let name: String?
    let toolCalls: [Call]?
    let toolCallID: String?

    enum CodingKeys: String, CodingKey {
        case role, content, name
        case toolCalls = "tool_calls"
        case toolCallID = "tool_call_id"
    }

    func message(at index: Int) throws -> ChatMessage {
        let field = "messages[\(index)]"
        let role: ChatMessage.Role
        switch self.role {
        case "system", "developer": role = .system
        case "user": role = .user
        case "assistant": role = .assistant
        case "tool": role = .tool
        default:
            throw OpenAIChatRequest.refusal(
                "\(field).role", "has to be system, developer, user, assistant or tool.")
        }
        var message = ChatMessage(role, try parts(for: role, field))
        message.name = name
        if role == .tool {
            guard let toolCallID else {
                throw OpenAIChatRequest.refusal("\(field).tool_call_id", "is missing.")
            }
            message.toolCallID = toolCallID
        }
        let calls = toolCalls ?? []
        guard calls.isEmpty || role == .assistant, calls.count <= OpenAITools.toolsMax else {
            throw OpenAIChatRequest.refusal("\(field).tool_calls", "is for an assistant's message.")
        }
        message.toolCalls = try calls.enumerated().map { place, call in
            guard let function = call.function, call.type ?? "function" == "function" else {
                throw OpenAIChatRequest.refusal(
                    "\(field).tool_calls[\(place)]", "has to be the call of a function.")
            }
            return ToolCall(id: call.id, name: function.name, arguments: function.arguments)
        }
        return message
    }

    private func parts(for role: ChatMessage.Role, _ field: String) throws -> [ContentPart] {
        switch content {
        case .text(let text): return [.text(text)]
        case .parts(let parts):
            return try parts.enumerated().map { place, part in
                let field = "\(field).content[\(place)]"
                switch (part.type, part.text, part.image) {
                case ("text", let text?, _): return .text(text)
                case ("image_url", _, let image?) where role == .user:
                    guard let source = image.url.flatMap(ImageAddress.source) else {
                        throw OpenAIChatRequest.refusal(
                            "\(field).image_url.url",
                            "has to be an https address, or a PNG, JPEG, GIF or WebP image as"
                                + " data:image/png;base64,...")
                    }
                    return .image(ChatImage(source, detail: image.detail))
                default:
                    throw OpenAIChatRequest.unsupported(
                        field, "Text and, from users, images are read here; audio and files not.")
                }
            }
        case nil:
            guard role == .assistant else {
                throw OpenAIChatRequest.refusal("\(field).content", "is missing.")
            }
            return []
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
