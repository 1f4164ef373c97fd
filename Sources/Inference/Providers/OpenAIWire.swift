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

        init(_ message: ChatMessage, ids: CallIDs, _ dialect: OpenAIDialect) {
            role = message.role.rawValue
            // An assistant that only calls tools says nothing.
            content =
                message.text.isEmpty && !message.toolCalls.isEmpty ? nil : OpenAIContent(message)
            name = message.role == .tool || !dialect.namesSpeakers ? nil : message.name
            let calls = message.toolCalls.map {
                Call(
                    id: ids[$0.id], function: Call.Function(name: $0.name, arguments: $0.arguments))
            }
            toolCalls = calls.isEmpty ? nil : calls
            toolCallID = message.toolCallID.map { ids[$0] }
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
    let presencePenalty: Double?
    let frequencyPenalty: Double?
    let repetitionPenalty: Double?
    let logitBias: [String: Double]?
    let logprobs: Bool?
    let topLogprobs: Int?
    let parallelToolCalls: Bool?
    let reasoningEffort: String?

    enum CodingKeys: String, CodingKey {
        case model, messages, stream, temperature, seed, stop, logprobs
        case presencePenalty = "presence_penalty"
        case frequencyPenalty = "frequency_penalty"
        case repetitionPenalty = "repetition_penalty"
        case logitBias = "logit_bias"
        case topLogprobs = "top_logprobs"
        case parallelToolCalls = "parallel_tool_calls"
        case reasoningEffort = "reasoning_effort"
        case streamOptions = "stream_options"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case maxTokens = "max_tokens"
    }

    /// With all names as most know them; a dialect leaves some out and says others its own way.
    private init(_ request: ProviderRequest, _ dialect: OpenAIDialect) {
        let sampling = request.sampling
        model = request.model
        let ids = CallIDs(
            request.messages, isAllowed: dialect.callIDs.allows, make: dialect.callIDs.make)
        messages = request.messages.map { Message($0, ids: ids, dialect) }
        streamOptions = StreamOptions(includeObfuscation: dialect.pads ? false : nil)
        temperature = sampling.temperature
        topP = sampling.topP
        topK = sampling.topK
        minP = sampling.minP
        // Signed on the wire; the highest bit says nothing that the others do not.
        seed = sampling.seed.map { Int64(truncatingIfNeeded: $0 & 0x7FFF_FFFF_FFFF_FFFF) }
        stop = sampling.stop.isEmpty ? nil : sampling.stop
        maxTokens = sampling.outputTokensMax
        presencePenalty = sampling.presencePenalty
        frequencyPenalty = sampling.frequencyPenalty
        repetitionPenalty = sampling.repetitionPenalty
        let bias = sampling.logitBias.map { ("\($0)", $1) }
        logitBias = bias.isEmpty ? nil : Dictionary(bias) { $1 }
        logprobs = sampling.topLogprobs == nil ? nil : true
        topLogprobs = sampling.topLogprobs
        let isLimited = !request.tools.isEmpty && !request.allowsParallelToolCalls
        parallelToolCalls = isLimited ? false : nil
        // A budget has no word there, and models that do not think refuse any.
        reasoningEffort = request.reasoning?.effort?.rawValue
    }

    /// The body as it is sent. Schemas stand in it as they were written: models answer in the order
    /// of their keys, which encoders do not keep.
    static func body(of request: ProviderRequest, _ dialect: OpenAIDialect) throws -> [UInt8] {
        let request = dialect.readsSchemas ? request : request.tellingItsSchema()
        let plain = try JSONEncoder().encode(OpenAIChatRequest(request, dialect))
        var members = try JSONValue(parsing: plain).members ?? []
        members += tools(request, dialect)
        if let format = format(request.responseFormat) {
            members.append(.init("response_format", format))
        }
        members += dialect.additions
        return Array(JSONValue.object(members.compactMap(dialect.said)).text.utf8)
    }

    /// Where the choice cannot be sent, the list of tools says what of it can be said.
    private static func tools(_ request: ProviderRequest, _ dialect: OpenAIDialect)
        -> [JSONValue.Member]
    {
        var tools = request.tools
        if !dialect.says("tool_choice") {
            if request.toolChoice == .none { tools = [] }
            if case .named(let name) = request.toolChoice { tools.removeAll { $0.name != name } }
        }
        guard !tools.isEmpty else { return [] }
        return [
            .init("tools", .array(tools.map { tool($0, dialect) })),
            .init("tool_choice", choice(request.toolChoice)),
        ]
    }

    private static func format(_ format: ResponseFormat) -> JSONValue? {
        switch format {
        case .text: return nil
        case .jsonObject: return .of("type", "json_object")
        case .jsonSchema(let name, let schema, let isStrict):
            let content: [JSONValue.Member] = [
                .init("name", .string(name)), .init("strict", .bool(isStrict)),
                .init("schema", schema),
            ]
            return .object([
                .init("type", .string("json_schema")), .init("json_schema", .object(content)),
            ])
        }
    }

    private static func tool(_ tool: ToolDefinition, _ dialect: OpenAIDialect) -> JSONValue {
        var function: [JSONValue.Member] = [.init("name", .string(tool.name))]
        if !tool.description.isEmpty {
            function.append(.init("description", .string(tool.description)))
        }
        if let parameters = tool.parameters { function.append(.init("parameters", parameters)) }
        if tool.isStrict, dialect.marksStrictTools { function.append(.init("strict", .bool(true))) }
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

    private enum PartKeys: String, CodingKey {
        case type, text
        case imageURL = "image_url"
    }

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
                    var inner = fields.nestedContainer(keyedBy: ImageKeys.self, forKey: .imageURL)
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
