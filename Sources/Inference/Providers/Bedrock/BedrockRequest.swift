import Core
import OrderedJSON

/// The body of `converse-stream`.
enum BedrockRequest {
    /// Throws `unsupported` for images that Bedrock does not take.
    static func body(of request: ProviderRequest) throws -> [UInt8] {
        let plan = BedrockCache(request)
        var members: [JSONValue.Member] = [.init("messages", .array(try messages(request, plan)))]
        var blocks = request.messages.enumerated().flatMap { place, message in
            message.role == .system && !isBlank(message.text)
                ? plan.point(after: place, [.of("text", message.text)]) : []
        }
        // There is no switch for JSON without a schema.
        if request.responseFormat == .jsonObject {
            blocks.append(.of("text", "Answer with one JSON object and nothing else."))
        }
        if !blocks.isEmpty { members.append(.init("system", .array(blocks))) }
        let isClaude = request.model.contains("anthropic.")
        let thinking =
            isClaude
            ? ClaudeThinking(
                request, outputTokensMax: request.sampling.outputTokensMax ?? 0,
                isForced: request.toolChoice != .auto && request.toolChoice != .none) : nil
        let sampling = thinking?.options(of: request.sampling) ?? request.sampling
        let inference = inferenceConfig(sampling)
        if !inference.isEmpty { members.append(.init("inferenceConfig", .object(inference))) }
        if let tools = toolConfig(request, plan) { members.append(.init("toolConfig", tools)) }
        if case .jsonSchema(let name, let schema, _) = request.responseFormat {
            members.append(.init("outputConfig", .of("textFormat", format(name, schema))))
        }
        // What is not among the parameters of all models goes to a model by its own name.
        var own: [JSONValue.Member] = []
        if let topK = sampling.topK, isClaude { own.append(.init("top_k", .of(topK))) }
        if let thinking { own.append(.init("thinking", thinking.thinking)) }
        if let effort = thinking?.effort {
            own.append(.init("output_config", .of("effort", effort)))
        }
        if !own.isEmpty { members.append(.init("additionalModelRequestFields", .object(own))) }
        if isClaude, !sampling.stop.isEmpty {
            let path = JSONValue.array([.string("/stop_sequence")])
            members.append(.init("additionalModelResponseFieldPaths", path))
        }
        return Array(JSONValue.object(members).text.utf8)
    }

    // MARK: The conversation

    /// Messages in a row that are of one role there are one: Bedrock wants users and assistants in
    /// turn, and all results of one answer's calls together.
    private static func messages(_ request: ProviderRequest, _ plan: BedrockCache) throws
        -> [JSONValue]
    {
        let ids = CallIDs(request.messages, isAllowed: isCallID, make: { "call_\($0)" })
        var turns: [(role: String, blocks: [JSONValue])] = []
        let isClaude = request.model.contains("anthropic.")
        for (place, message) in request.messages.enumerated() where message.role != .system {
            let role = message.role == .assistant ? "assistant" : "user"
            let thoughts = isClaude ? (message.thoughts ?? []).map(thought) : []
            let blocks = plan.point(
                after: place,
                message.role == .tool
                    ? [result(message, ids: ids)]
                    : try thoughts + content(message) + calls(message, ids: ids))
            guard !blocks.isEmpty else { continue }
            if turns.last?.role == role {
                turns[turns.count - 1].blocks += blocks
            } else {
                turns.append((role, blocks))
            }
        }
        return turns.map {
            .object([.init("role", .string($0.role)), .init("content", .array($0.blocks))])
        }
    }

    /// Without blank texts, which Bedrock refuses.
    private static func content(_ message: ChatMessage) throws -> [JSONValue] {
        try message.parts.compactMap { part in
            switch part {
            case .text(let text): isBlank(text) ? nil : .of("text", text)
            case .image(let image): try block(image)
            }
        }
    }

    private static func thought(_ thought: Thought) -> JSONValue {
        switch thought.seal {
        case .signature(let signature):
            .of(
                "reasoningContent",
                .of(
                    "reasoningText",
                    .object([
                        .init("text", .string(thought.text)),
                        .init("signature", .string(signature)),
                    ])))
        case .redacted(let data): .of("reasoningContent", .of("redactedContent", data))
        }
    }

    private static func block(_ image: ChatImage) throws -> JSONValue {
        guard case .inline(let mediaType, let base64) = image.source,
            let format = formats[mediaType.lowercased()]
        else {
            throw Failure(
                .unsupported,
                "Bedrock takes images that are in the message itself, as PNG, JPEG, GIF or WebP.")
        }
        return .of(
            "image",
            .object([
                .init("format", .string(format)), .init("source", .of("bytes", base64)),
            ]))
    }

    private static let formats = [
        "image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif",
        "image/webp": "webp",
    ]

    private static func calls(_ message: ChatMessage, ids: CallIDs) -> [JSONValue] {
        message.toolCalls.map { call in
            .of(
                "toolUse",
                .object([
                    .init("toolUseId", .string(ids[call.id])), .init("name", .string(call.name)),
                    .init("input", .arguments(call.arguments)),
                ]))
        }
    }

    private static func result(_ message: ChatMessage, ids: CallIDs) -> JSONValue {
        let text = isBlank(message.text) ? "(nothing)" : message.text
        return .of(
            "toolResult",
            .object([
                .init("toolUseId", .string(ids[message.toolCallID ?? ""])),
                .init("content", .array([.of("text", text)])),
            ]))
    }

    /// As Bedrock and the models behind it take them.
    private static func isCallID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    private static func isBlank(_ text: String) -> Bool { text.allSatisfy(\.isWhitespace) }

    // MARK: Tools and sampling

    private static func inferenceConfig(_ sampling: SamplingOptions) -> [JSONValue.Member] {
        var config: [JSONValue.Member] = []
        if let limit = sampling.outputTokensMax { config.append(.init("maxTokens", .of(limit))) }
        for (key, number) in [("temperature", sampling.temperature), ("topP", sampling.topP)] {
            if let value = number.flatMap(JSONValue.of) { config.append(.init(key, value)) }
        }
        if !sampling.stop.isEmpty {
            config.append(.init("stopSequences", .array(sampling.stop.map(JSONValue.string))))
        }
        return config
    }

    /// A conversation that has calls needs the tools, though none may be called: there is no word
    /// for that, so that the model is asked to choose.
    private static func toolConfig(_ request: ProviderRequest, _ plan: BedrockCache)
        -> JSONValue?
    {
        let hasCalls = request.messages.contains { !$0.toolCalls.isEmpty || $0.role == .tool }
        guard !request.tools.isEmpty, request.toolChoice != .none || hasCalls else { return nil }
        let choice: JSONValue =
            switch request.toolChoice {
            case .auto, .none: .of("auto", .object([]))
            case .required: .of("any", .object([]))
            case .named(let name): .of("tool", .of("name", name))
            }
        return .object([
            .init(
                "tools",
                .array(
                    request.tools.enumerated().flatMap { plan.point(afterTool: $0, [tool($1)]) })),
            .init("toolChoice", choice),
        ])
    }

    private static func tool(_ tool: ToolDefinition) -> JSONValue {
        var spec: [JSONValue.Member] = [.init("name", .string(tool.name))]
        if !tool.description.isEmpty {
            spec.append(.init("description", .string(tool.description)))
        }
        let nothing = JSONValue.object([
            .init("type", .string("object")), .init("properties", .object([])),
        ])
        spec.append(.init("inputSchema", .of("json", tool.parameters ?? nothing)))
        if tool.isStrict { spec.append(.init("strict", .bool(true))) }
        return .of("toolSpec", .object(spec))
    }

    /// The schema is text in there.
    private static func format(_ name: String, _ schema: JSONValue) -> JSONValue {
        .object([
            .init("type", .string("json_schema")),
            .init(
                "structure",
                .of(
                    "jsonSchema",
                    .object([
                        .init("schema", .string(schema.text)), .init("name", .string(name)),
                    ]))),
        ])
    }
}
