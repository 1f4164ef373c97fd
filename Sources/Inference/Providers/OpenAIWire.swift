import Core
import OrderedJSON

/// The body of `POST /chat/completions`, with all names as most know them; a dialect leaves some out
/// and says others its own way.
enum OpenAIChatRequest {
    /// The body as it is sent. Schemas stand in it as they were written: models answer in the order
    /// of their keys.
    static func body(of request: ProviderRequest, _ dialect: OpenAIDialect) -> [UInt8] {
        let request = dialect.readsSchemas ? request : request.tellingItsSchema()
        let ids = CallIDs(
            request.messages, isAllowed: dialect.callIDs.allows, make: dialect.callIDs.make)
        var members: [JSONValue.Member] = [
            .init("model", .string(request.model)),
            .init("messages", .array(request.messages.map { message($0, ids, dialect) })),
        ]
        if request.streams {
            members.append(.init("stream", .bool(true)))
            members.append(.init("stream_options", streamOptions(dialect)))
        }
        members += sampling(request.sampling)
        if !request.tools.isEmpty, !request.allowsParallelToolCalls {
            members.append(.init("parallel_tool_calls", .bool(false)))
        }
        // A budget has no word there, and models that do not think refuse any.
        if let effort = request.reasoning?.effort {
            members.append(.init("reasoning_effort", .string(effort.rawValue)))
        }
        members += tools(request, dialect)
        if let format = format(request.responseFormat) {
            members.append(.init("response_format", format))
        }
        members += dialect.additions
        return JSONValue.object(members.compactMap(dialect.said)).bytes
    }

    private static func message(
        _ message: ChatMessage, _ ids: CallIDs, _ dialect: OpenAIDialect
    ) -> JSONValue {
        var fields: [JSONValue.Member] = [.init("role", .string(message.role.rawValue))]
        // An assistant that only calls tools says nothing.
        if !message.text.isEmpty || message.toolCalls.isEmpty {
            fields.append(.init("content", content(message)))
        }
        if let name = message.name, message.role != .tool, dialect.namesSpeakers {
            fields.append(.init("name", .string(name)))
        }
        if !message.toolCalls.isEmpty {
            let calls = message.toolCalls.map { call in
                JSONValue.object([
                    .init("id", .string(ids[call.id])), .init("type", .string("function")),
                    .init(
                        "function",
                        .object([
                            .init("name", .string(call.name)),
                            .init("arguments", .string(call.arguments)),
                        ])),
                ])
            }
            fields.append(.init("tool_calls", .array(calls)))
        }
        if let id = message.toolCallID { fields.append(.init("tool_call_id", .string(ids[id]))) }
        return .object(fields)
    }

    /// A message's text, or with images in it its parts.
    private static func content(_ message: ChatMessage) -> JSONValue {
        guard message.hasImages else { return .string(message.text) }
        return .array(
            message.parts.map { part in
                switch part {
                case .text(let text):
                    return .object([
                        .init("type", .string("text")), .init("text", .string(text)),
                    ])
                case .image(let image):
                    var fields: [JSONValue.Member] = [.init("url", .string(image.source.text))]
                    if let detail = image.detail {
                        fields.append(.init("detail", .string(detail)))
                    }
                    return .object([
                        .init("type", .string("image_url")), .init("image_url", .object(fields)),
                    ])
                }
            })
    }

    private static func streamOptions(_ dialect: OpenAIDialect) -> JSONValue {
        var options: [JSONValue.Member] = [.init("include_usage", .bool(true))]
        if dialect.pads { options.append(.init("include_obfuscation", .bool(false))) }
        return .object(options)
    }

    private static func sampling(_ sampling: SamplingOptions) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        func add(_ name: String, _ value: JSONValue?) {
            if let value { members.append(.init(name, value)) }
        }
        add("temperature", sampling.temperature.flatMap { .of($0) })
        add("top_p", sampling.topP.flatMap { .of($0) })
        add("top_k", sampling.topK.map { .of($0) })
        add("min_p", sampling.minP.flatMap { .of($0) })
        // Signed on the wire; the highest bit says nothing that the others do not.
        add("seed", sampling.seed.map { .of(Int(truncatingIfNeeded: $0 & seedMask)) })
        if !sampling.stop.isEmpty { add("stop", .array(sampling.stop.map { .string($0) })) }
        add("max_tokens", sampling.outputTokensMax.map { .of($0) })
        add("presence_penalty", sampling.presencePenalty.flatMap { .of($0) })
        add("frequency_penalty", sampling.frequencyPenalty.flatMap { .of($0) })
        add("repetition_penalty", sampling.repetitionPenalty.flatMap { .of($0) })
        if !sampling.logitBias.isEmpty {
            let biases = sampling.logitBias.sorted { $0.key < $1.key }.compactMap { token, bias in
                JSONValue.of(bias).map { JSONValue.Member(String(token), $0) }
            }
            add("logit_bias", .object(biases))
        }
        if let count = sampling.topLogprobs {
            add("logprobs", .bool(true))
            add("top_logprobs", .of(count))
        }
        return members
    }

    private static let seedMask: UInt64 = 0x7FFF_FFFF_FFFF_FFFF

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

extension ChatImage.Source {
    /// The address, or the image itself as one.
    var text: String {
        switch self {
        case .address(let address): address
        case .inline(let mediaType, let base64): "data:\(mediaType);base64,\(base64)"
        }
    }
}
