import Core
import Foundation

/// The body of `POST /chat/completions`.
struct OpenAIChatRequest: Encodable {
    struct Message: Encodable {
        struct Call: Encodable {
            struct Function: Encodable {
                let name: String
                let arguments: String
            }

            let id: String
            let type = "function"
            let function: Function
        }

        let role: String
        let content: OpenAIContent?
        let name: String?
        let toolCalls: [Call]?
        let toolCallID: String?

        enum CodingKeys: String, CodingKey {
            case role, content, name
            case toolCalls = "tool_calls"
            case toolCallID = "tool_call_id"
        }

        init(_ message: ChatMessage) {
            role = message.role.rawValue
            // An assistant that only calls tools says nothing.
            content =
                message.text.isEmpty && !message.toolCalls.isEmpty ? nil : OpenAIContent(message)
            name = message.role == .tool ? nil : message.name
            let calls = message.toolCalls.map {
                Call(id: $0.id, function: Call.Function(name: $0.name, arguments: $0.arguments))
            }
            toolCalls = calls.isEmpty ? nil : calls
            toolCallID = message.toolCallID
        }
    }

    struct StreamOptions: Encodable {
        let includeUsage = true
        let includeObfuscation: Bool?

        enum CodingKeys: String, CodingKey {
            case includeUsage = "include_usage"
            case includeObfuscation = "include_obfuscation"
        }
    }

    let model: String
    let messages: [Message]
    let stream = true
    let streamOptions: StreamOptions
    let temperature: Double?
    let topP: Double?
    let topK: Int?
    let minP: Double?
    let seed: Int64?
    let stop: [String]?
    let maxTokens: Int?
    let maxCompletionTokens: Int?
    let presencePenalty: Double?
    let frequencyPenalty: Double?
    let repetitionPenalty: Double?
    let logitBias: [String: Double]?
    let logprobs: Bool?
    let topLogprobs: Int?
    let parallelToolCalls: Bool?

    enum CodingKeys: String, CodingKey {
        case model, messages, stream, temperature, seed, stop, logprobs
        case presencePenalty = "presence_penalty"
        case frequencyPenalty = "frequency_penalty"
        case repetitionPenalty = "repetition_penalty"
        case logitBias = "logit_bias"
        case topLogprobs = "top_logprobs"
        case parallelToolCalls = "parallel_tool_calls"
        case streamOptions = "stream_options"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case maxTokens = "max_tokens"
        case maxCompletionTokens = "max_completion_tokens"
    }

    /// - Parameter isOpenAI: OpenAI's own API refuses `top_k` and `min_p`, and calls the limit of
    ///   the answer by a newer name; the others know the old name, and many know the two.
    init(_ request: ProviderRequest, isOpenAI: Bool) {
        let sampling = request.sampling
        model = request.model
        messages = request.messages.map { Message($0) }
        streamOptions = StreamOptions(includeObfuscation: isOpenAI ? false : nil)
        temperature = sampling.temperature
        topP = sampling.topP
        topK = isOpenAI ? nil : sampling.topK
        minP = isOpenAI ? nil : sampling.minP
        // Signed on the wire; the highest bit says nothing that the others do not.
        seed = sampling.seed.map { Int64(truncatingIfNeeded: $0 & 0x7FFF_FFFF_FFFF_FFFF) }
        stop = sampling.stop.isEmpty ? nil : sampling.stop
        maxTokens = isOpenAI ? nil : sampling.outputTokensMax
        maxCompletionTokens = isOpenAI ? sampling.outputTokensMax : nil
        presencePenalty = sampling.presencePenalty
        frequencyPenalty = sampling.frequencyPenalty
        repetitionPenalty = isOpenAI ? nil : sampling.repetitionPenalty
        let bias = sampling.logitBias.map { ("\($0)", $1) }
        logitBias = bias.isEmpty ? nil : Dictionary(bias) { $1 }
        logprobs = sampling.topLogprobs == nil ? nil : true
        topLogprobs = sampling.topLogprobs
        let isLimited = !request.tools.isEmpty && !request.allowsParallelToolCalls
        parallelToolCalls = isLimited ? false : nil
    }

    /// The body as it is sent. Schemas stand in it as they were written: models answer in the order
    /// of their keys, which encoders do not keep.
    static func body(of request: ProviderRequest, isOpenAI: Bool) throws -> [UInt8] {
        let plain = try JSONEncoder().encode(OpenAIChatRequest(request, isOpenAI: isOpenAI))
        var members = try JSONValue(parsing: plain).members ?? []
        if !request.tools.isEmpty {
            members.append(.init("tools", .array(request.tools.map(Self.tool))))
            members.append(.init("tool_choice", Self.choice(request.toolChoice)))
        }
        switch request.responseFormat {
        case .text: break
        case .jsonObject:
            members.append(
                .init("response_format", .object([.init("type", .string("json_object"))])))
        case .jsonSchema(let name, let schema, let isStrict):
            let content: [JSONValue.Member] = [
                .init("name", .string(name)), .init("strict", .bool(isStrict)),
                .init("schema", schema),
            ]
            members.append(
                .init(
                    "response_format",
                    .object([
                        .init("type", .string("json_schema")),
                        .init("json_schema", .object(content)),
                    ])))
        }
        return Array(JSONValue.object(members).text.utf8)
    }

    private static func tool(_ tool: ToolDefinition) -> JSONValue {
        var function: [JSONValue.Member] = [.init("name", .string(tool.name))]
        if !tool.description.isEmpty {
            function.append(.init("description", .string(tool.description)))
        }
        if let parameters = tool.parameters { function.append(.init("parameters", parameters)) }
        if tool.isStrict { function.append(.init("strict", .bool(true))) }
        return .object([
            .init("type", .string("function")), .init("function", .object(function)),
        ])
    }

    private static func choice(_ choice: ToolChoice) -> JSONValue {
        switch choice {
        case .auto: .string("auto")
        case .none: .string("none")
        case .required: .string("required")
        case .named(let name):
            .object([
                .init("type", .string("function")),
                .init("function", .object([.init("name", .string(name))])),
            ])
        }
    }
}

/// A message's text, or with images in it its parts.
enum OpenAIContent: Encodable {
    case text(String)
    case parts([ContentPart])

    init(_ message: ChatMessage) {
        self = message.hasImages ? .parts(message.parts) : .text(message.text)
    }

    private enum PartKeys: String, CodingKey { case type, text, image_url }
    private enum ImageKeys: String, CodingKey { case url, detail }

    func encode(to encoder: any Encoder) throws {
        switch self {
        case .text(let text):
            var container = encoder.singleValueContainer()
            try container.encode(text)
        case .parts(let parts):
            var list = encoder.unkeyedContainer()
            for part in parts {
                var fields = list.nestedContainer(keyedBy: PartKeys.self)
                switch part {
                case .text(let text):
                    try fields.encode("text", forKey: .type)
                    try fields.encode(text, forKey: .text)
                case .image(let image):
                    try fields.encode("image_url", forKey: .type)
                    var inner = fields.nestedContainer(keyedBy: ImageKeys.self, forKey: .image_url)
                    try inner.encode(image.source.text, forKey: .url)
                    try inner.encodeIfPresent(image.detail, forKey: .detail)
                }
            }
        }
    }
}

extension ChatImage.Source {
    /// The address, or the image itself as one.
    var text: String {
        switch self {
        case .address(let address): address
        case .inline(let mediaType, let base64): "data:\(mediaType);base64,\(base64)"
        }
    }
}

/// One chunk of a stream, or a whole answer: the two differ in the name of one field. Everything is
/// optional and of a type that may be wrong, since every server leaves out something else.
struct OpenAIChunk: Decodable {
    struct Choice: Decodable {
        struct Delta: Decodable {
            let content: String?
            let refusal: String?
            let reasoning: String?
            let toolCalls: [ToolCallDelta]?

            enum CodingKeys: String, CodingKey {
                case content, refusal, reasoning
                case toolCalls = "tool_calls"
                case reasoningContent = "reasoning_content"
            }

            init(from decoder: any Decoder) throws {
                let fields = try decoder.container(keyedBy: CodingKeys.self)
                content = fields.lenient(String.self, .content)
                refusal = fields.lenient(String.self, .refusal)
                toolCalls = fields.lenient([ToolCallDelta].self, .toolCalls)
                reasoning =
                    fields.lenient(String.self, .reasoningContent)
                    ?? fields.lenient(String.self, .reasoning)
            }
        }

        let delta: Delta?
        let finishReason: String?
        let logprobs: Logprobs?

        enum CodingKeys: String, CodingKey {
            case delta, message, logprobs
            case finishReason = "finish_reason"
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            delta = fields.lenient(Delta.self, .delta) ?? fields.lenient(Delta.self, .message)
            finishReason = fields.lenient(String.self, .finishReason)
            logprobs = fields.lenient(Logprobs.self, .logprobs)
        }
    }

    let model: String?
    let choices: [Choice]
    let usage: OpenAIUsage?
    let error: OpenAIError?

    enum CodingKeys: String, CodingKey { case model, choices, usage, error }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        model = fields.lenient(String.self, .model)
        choices = fields.lenient([Choice].self, .choices) ?? []
        usage = fields.lenient(OpenAIUsage.self, .usage)
        error = fields.lenient(OpenAIError.self, .error)
    }
}

extension OpenAIChunk.Choice {
    /// A piece of a call; of a whole answer, all of it.
    struct ToolCallDelta: Decodable {
        struct Function: Decodable {
            let name: String?
            let arguments: String?
        }

        let index: Int?
        let id: String?
        let function: Function?

        func piece(at place: Int) -> ToolCallPiece {
            ToolCallPiece(
                index: min(max(0, index ?? place), 1 << 16), id: id, name: function?.name,
                arguments: function?.arguments ?? "")
        }
    }

    struct Logprobs: Decodable {
        struct Token: Decodable {
            let token: String
            let bytes: [UInt8]?
            let logprob: Double
            let topLogprobs: [Token]?

            enum CodingKeys: String, CodingKey {
                case token, bytes, logprob
                case topLogprobs = "top_logprobs"
            }

            var value: TokenLogprob {
                TokenLogprob(
                    token: token, bytes: bytes ?? Array(token.utf8), logprob: logprob,
                    top: (topLogprobs ?? []).map(\.value))
            }
        }

        let content: [Token]?

        var tokens: [TokenLogprob] { (content ?? []).map(\.value) }
    }
}

/// Counts that are cumulative in every protocol we know: what comes later replaces.
struct OpenAIUsage: Decodable {
    let promptTokens: Int?
    let completionTokens: Int?
    let cachedTokens: Int?
    let cacheWriteTokens: Int?
    let reasoningTokens: Int?

    enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
        case promptDetails = "prompt_tokens_details"
        case completionDetails = "completion_tokens_details"
    }

    enum DetailKeys: String, CodingKey {
        case cachedTokens = "cached_tokens"
        case cacheWriteTokens = "cache_write_tokens"
        case reasoningTokens = "reasoning_tokens"
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        promptTokens = fields.lenient(Int.self, .promptTokens)
        completionTokens = fields.lenient(Int.self, .completionTokens)
        let prompt = try? fields.nestedContainer(keyedBy: DetailKeys.self, forKey: .promptDetails)
        cachedTokens = prompt?.lenient(Int.self, .cachedTokens)
        cacheWriteTokens = prompt?.lenient(Int.self, .cacheWriteTokens)
        let output = try? fields.nestedContainer(
            keyedBy: DetailKeys.self, forKey: .completionDetails)
        reasoningTokens = output?.lenient(Int.self, .reasoningTokens)
    }
}

/// `{"error": {...}}`, or `{"error": "text"}` as Ollama says it. A code may be a word or a status.
struct OpenAIError: Decodable {
    let message: String
    let codes: [String]
    let status: Int?

    enum CodingKeys: String, CodingKey { case message, type, code }

    init(message: String, codes: [String], status: Int?) {
        self.message = message
        self.codes = codes
        self.status = status
    }

    init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            message = text
            codes = []
            status = nil
            return
        }
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        message = fields.lenient(String.self, .message) ?? ""
        codes = [
            fields.lenient(String.self, .code), fields.lenient(String.self, .type),
        ].compactMap { $0 }
        status =
            fields.lenient(Int.self, .code)
            ?? codes.first.flatMap { Int($0) }
    }
}

/// The answer of `POST /embeddings`.
struct OpenAIEmbeddings: Decodable {
    struct Row: Decodable {
        let index: Int?
        let embedding: [Float]
    }

    let model: String?
    let data: [Row]
    let usage: OpenAIUsage?
}

struct OpenAIEmbeddingRequest: Encodable {
    let model: String
    let input: [String]
    let encodingFormat = "float"

    enum CodingKeys: String, CodingKey {
        case model, input
        case encodingFormat = "encoding_format"
    }
}

/// The body of an answer that is an error, in whatever of the usual shapes.
struct OpenAIErrorBody: Decodable {
    let error: OpenAIError
}

extension KeyedDecodingContainer {
    /// Nil where the field is missing, null, or of another type.
    fileprivate func lenient<Value: Decodable>(_ type: Value.Type, _ key: Key) -> Value? {
        (try? decodeIfPresent(type, forKey: key)) ?? nil
    }
}
