import Core
import HTTPTypes
import OrderedJSON

/// `POST /v1/chat/completions`, as far as it is spoken here. Fields that are not named are ignored;
/// those that would change the answer and cannot be honoured are refused.
struct OpenAIChatRequest {
    let model: String?
    let messages: [OpenAIMessage]
    let stream: Bool?
    let includesUsage: Bool
    let outputTokensMax: Int?
    let temperature: Double?
    let topP: Double?
    let topK: Int?
    let minP: Double?
    let stop: [String]
    let seed: Int?
    let choices: Int?
    let hasFunctions: Bool
    let logprobs: Bool?
    let topLogprobs: Int?
    let presencePenalty: Double?
    let frequencyPenalty: Double?
    let repetitionPenalty: Double?
    let logitBias: [(token: String, amount: Double)]
    let parallelToolCalls: Bool?
    /// `auto` leaves the oldest messages out where the conversation is too long.
    let truncation: String?
    let modalities: [String]

    /// Throws a refusal that names the field.
    init(_ fields: JSONFields) throws {
        model = try fields.string("model")
        messages = try fields.required("messages", fields.list("messages")).map {
            try OpenAIMessage($0)
        }
        stream = try fields.bool("stream")
        includesUsage = try fields.fields("stream_options")?.bool("include_usage") ?? false
        outputTokensMax = try fields.int("max_completion_tokens") ?? fields.int("max_tokens")
        temperature = try fields.number("temperature")
        topP = try fields.number("top_p")
        topK = try fields.int("top_k")
        minP = try fields.number("min_p")
        stop = try fields.oneOrMany("stop")
        seed = try fields.int("seed")
        choices = try fields.int("n")
        hasFunctions = try fields.array("functions")?.isEmpty == false
        logprobs = try fields.bool("logprobs")
        topLogprobs = try fields.int("top_logprobs")
        presencePenalty = try fields.number("presence_penalty")
        frequencyPenalty = try fields.number("frequency_penalty")
        repetitionPenalty = try fields.number("repetition_penalty")
        let biases = try fields.fields("logit_bias")
        logitBias = try (biases?.value.members ?? []).map { member in
            guard let amount = member.value.double else {
                throw JSONFields.refusal("logit_bias.\(member.key)", "has to be a number.")
            }
            return (member.key, amount)
        }
        parallelToolCalls = try fields.bool("parallel_tool_calls")
        truncation = try fields.string("truncation")
        modalities = try fields.strings("modalities") ?? []
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
        call.reasoning = try OpenAITools.reasoning(body["reasoning_effort"], "reasoning_effort")
        call.truncates = truncation == "auto"
        call.streams = stream == true
        return call
    }

    /// How many answers are wanted.
    var choiceCount: Int { choices ?? 1 }

    private func sampling() throws -> SamplingOptions {
        var options = SamplingOptions(
            temperature: temperature, topK: topK, topP: topP, minP: minP,
            seed: seed.map { UInt64(bitPattern: Int64($0)) }, stop: stop,
            outputTokensMax: outputTokensMax)
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
        for (key, amount) in logitBias {
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
        guard !hasFunctions else {
            throw Self.unsupported("functions", "Functions are called tools now: send `tools`.")
        }
        guard (1...Self.choicesMax).contains(choiceCount) else {
            throw Self.refusal("n", "has to be 1 to \(Self.choicesMax).")
        }
        guard ["auto", "disabled"].contains(truncation ?? "disabled") else {
            throw Self.refusal("truncation", "has to be auto or disabled.")
        }
        guard modalities.allSatisfy({ $0 == "text" }) else {
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
struct OpenAIMessage {
    struct Part {
        let type: String
        let text: String?
        let imageURL: String?
        let detail: String?
        let hasImage: Bool

        init(_ fields: JSONFields) throws {
            type = try fields.required("type", fields.string("type"))
            text = try fields.string("text")
            let image = try fields.fields("image_url")
            hasImage = image != nil
            imageURL = try image?.string("url")
            detail = try image?.string("detail")
        }
    }

    enum Content {
        case text(String)
        case parts([Part])
    }

    let role: String
    let content: Content?
    let name: String?
    let toolCalls: [JSONFields]
    let toolCallID: String?

    init(_ fields: JSONFields) throws {
        role = try fields.required("role", fields.string("role"))
        if let text = fields["content"]?.string {
            content = .text(text)
        } else if fields["content"] == nil || fields["content"]?.array != nil {
            content = try fields.list("content").map { .parts(try $0.map { try Part($0) }) }
        } else {
            throw fields.refusal("content", "has to be a string or an array of parts.")
        }
        name = try fields.string("name")
        toolCalls = try fields.list("tool_calls") ?? []
        toolCallID = try fields.string("tool_call_id")
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
        guard toolCalls.isEmpty || role == .assistant, toolCalls.count <= OpenAITools.toolsMax
        else {
            throw OpenAIChatRequest.refusal("\(field).tool_calls", "is for an assistant's message.")
        }
        message.toolCalls = try toolCalls.map { call in
            guard let function = try call.fields("function"),
                try call.string("type") ?? "function" == "function"
            else {
                throw OpenAIChatRequest.refusal(call.path, "has to be the call of a function.")
            }
            return ToolCall(
                id: try call.required("id", call.string("id")),
                name: try function.required("name", function.string("name")),
                arguments: try function.required("arguments", function.string("arguments")))
        }
        return message
    }

    private func parts(for role: ChatMessage.Role, _ field: String) throws -> [ContentPart] {
        switch content {
        case .text(let text): return [.text(text)]
        case .parts(let parts):
            return try parts.enumerated().map { place, part in
                let field = "\(field).content[\(place)]"
                switch (part.type, part.text) {
                case ("text", let text?): return .text(text)
                case ("image_url", _) where role == .user && part.hasImage:
                    guard let source = part.imageURL.flatMap(ImageAddress.source) else {
                        throw OpenAIChatRequest.refusal(
                            "\(field).image_url.url",
                            "has to be an https address, or a PNG, JPEG, GIF or WebP image as"
                                + " data:image/png;base64,...")
                    }
                    return .image(ChatImage(source, detail: part.detail))
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
