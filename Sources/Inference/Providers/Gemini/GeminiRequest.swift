import Core
import OrderedJSON

/// The body of `generateContent`.
enum GeminiRequest {
    // Whole numbers are of 32 bits there.
    private static let seedMask: UInt64 = 0x7FFF_FFFF

    static func body(of request: ProviderRequest) -> [UInt8] {
        var members: [JSONValue.Member] = [.init("contents", .array(contents(request)))]
        let system = request.messages.filter { $0.role == .system }.map(\.text)
            .filter { !$0.isEmpty }
        if !system.isEmpty {
            members.append(
                .init("systemInstruction", .of("parts", .array(system.map { .of("text", $0) }))))
        }
        if !request.tools.isEmpty {
            let functions = JSONValue.array(request.tools.map(function))
            members.append(.init("tools", .array([.of("functionDeclarations", functions)])))
            members.append(.init("toolConfig", toolConfig(request.toolChoice)))
        }
        let generation = generationConfig(request)
        if !generation.isEmpty { members.append(.init("generationConfig", .object(generation))) }
        return Array(JSONValue.object(members).text.utf8)
    }

    // MARK: The conversation

    /// Messages in a row that are of one role there are one: all results of one answer's calls have
    /// to stand together.
    private static func contents(_ request: ProviderRequest) -> [JSONValue] {
        var turns: [(role: String, parts: [JSONValue])] = []
        let names = Dictionary(
            request.messages.flatMap(\.toolCalls).map { ($0.id, $0.name) }, uniquingKeysWith: { $1 }
        )
        let needsSignature = request.model.contains("gemini-3")
        for message in request.messages where message.role != .system {
            let role = message.role == .assistant ? "model" : "user"
            let parts =
                message.role == .tool
                ? [result(message, names: names)]
                : message.parts.map(part) + calls(message, needsSignature: needsSignature)
            guard !parts.isEmpty else { continue }
            if turns.last?.role == role {
                turns[turns.count - 1].parts += parts
            } else {
                turns.append((role, parts))
            }
        }
        return turns.map {
            .object([.init("role", .string($0.role)), .init("parts", .array($0.parts))])
        }
    }

    private static func part(_ part: ContentPart) -> JSONValue {
        switch part {
        case .text(let text): return .of("text", text)
        case .image(let image):
            switch image.source {
            case .inline(let mediaType, let base64):
                let data: [JSONValue.Member] = [
                    .init("mimeType", .string(mediaType)), .init("data", .string(base64)),
                ]
                return .of("inlineData", .object(data))
            case .address(let address):
                var file: [JSONValue.Member] = [.init("fileUri", .string(address))]
                if let type = mediaType(ofAddress: address) {
                    file.append(.init("mimeType", .string(type)))
                }
                return .of("fileData", .object(file))
            }
        }
    }

    /// By the ending of its path; nil where that says nothing.
    private static func mediaType(ofAddress address: String) -> String? {
        let path = address.prefix { $0 != "?" && $0 != "#" }.lowercased()
        let types = [
            ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
            ".webp": "image/webp", ".gif": "image/gif",
        ]
        return types.first { path.hasSuffix($0.key) }?.value
    }

    /// A signature goes back where it came from: the models that sign refuse what is not signed, but
    /// for these words, which are for calls that another model made.
    private static func calls(_ message: ChatMessage, needsSignature: Bool) -> [JSONValue] {
        message.toolCalls.enumerated().map { place, call in
            let id = GeminiCallID(call.id)
            var function: [JSONValue.Member] = []
            if let theirs = id.theirs { function.append(.init("id", .string(theirs))) }
            function.append(.init("name", .string(call.name)))
            function.append(.init("args", .arguments(call.arguments)))
            var part: [JSONValue.Member] = [.init("functionCall", .object(function))]
            if let signature = id.signature {
                part.append(.init("thoughtSignature", .string(signature)))
            } else if needsSignature, place == 0 {
                part.append(.init("thoughtSignature", .string("skip_thought_signature_validator")))
            }
            return .object(part)
        }
    }

    private static func result(_ message: ChatMessage, names: [String: String]) -> JSONValue {
        let callID = message.toolCallID ?? ""
        var function: [JSONValue.Member] = []
        if let theirs = GeminiCallID(callID).theirs {
            function.append(.init("id", .string(theirs)))
        }
        function.append(.init("name", .string(message.name ?? names[callID] ?? "")))
        let said = try? JSONValue(parsing: message.text.utf8)
        let isObject = said?.members != nil
        function.append(
            .init("response", (isObject ? said : nil) ?? .of("output", message.text)))
        return .of("functionResponse", .object(function))
    }

    // MARK: Tools and sampling

    private static func function(_ tool: ToolDefinition) -> JSONValue {
        var function: [JSONValue.Member] = [.init("name", .string(tool.name))]
        if !tool.description.isEmpty {
            function.append(.init("description", .string(tool.description)))
        }
        if let parameters = tool.parameters {
            function.append(.init("parametersJsonSchema", parameters))
        }
        return .object(function)
    }

    private static func toolConfig(_ choice: ToolChoice) -> JSONValue {
        var config: [JSONValue.Member] =
            switch choice {
            case .auto: [.init("mode", .string("AUTO"))]
            case .none: [.init("mode", .string("NONE"))]
            case .required, .named: [.init("mode", .string("ANY"))]
            }
        if case .named(let name) = choice {
            config.append(.init("allowedFunctionNames", .array([.string(name)])))
        }
        return .of("functionCallingConfig", .object(config))
    }

    /// What was thought is told where thinking was asked for. Gemini 3 takes a word for how much, those
    /// before it a number; those before 2.5 do not think.
    private static func thinking(_ request: ProviderRequest) -> JSONValue? {
        guard let reasoning = request.reasoning,
            let version = request.model.firstMatch(of: /gemini-(\d{1,2})(?:\.(\d{1,2}))?/),
            let major = Int(version.output.1),
            major > 2 || major == 2 && Int(version.output.2 ?? "0") ?? 0 >= 5
        else { return nil }
        var config: [JSONValue.Member] = [.init("includeThoughts", .bool(!reasoning.isOff))]
        // Only the larger ones cannot do without.
        let isPro = request.model.contains("pro")
        if let budget = reasoning.budgetTokens {
            config.append(.init("thinkingBudget", .of(max(budget, isPro ? 128 : 0))))
        } else if let effort = reasoning.effort {
            let level =
                switch effort {
                case .none, .minimal: isPro ? "low" : "minimal"
                case .low, .medium: effort.rawValue
                case .high, .xhigh, .max: "high"
                }
            let budget =
                switch effort {
                case .none: isPro ? 128 : 0
                case .minimal, .low: 1024
                case .medium: 8192
                case .high, .xhigh, .max: 24_576
                }
            config.append(
                major > 2
                    ? .init("thinkingLevel", .string(level)) : .init("thinkingBudget", .of(budget)))
        }
        return .object(config)
    }

    private static func generationConfig(_ request: ProviderRequest) -> [JSONValue.Member] {
        let sampling = request.sampling
        var config: [JSONValue.Member] = []
        func add(_ key: String, _ value: JSONValue?) {
            if let value { config.append(.init(key, value)) }
        }
        add("maxOutputTokens", sampling.outputTokensMax.map(JSONValue.of))
        add("temperature", sampling.temperature.flatMap(JSONValue.of))
        add("topP", sampling.topP.flatMap(JSONValue.of))
        add("topK", sampling.topK.map(JSONValue.of))
        add("seed", sampling.seed.map { .of(Int($0 & seedMask)) })
        add("presencePenalty", sampling.presencePenalty.flatMap(JSONValue.of))
        add("frequencyPenalty", sampling.frequencyPenalty.flatMap(JSONValue.of))
        if !sampling.stop.isEmpty {
            add("stopSequences", .array(sampling.stop.map(JSONValue.string)))
        }
        if let count = sampling.topLogprobs {
            add("responseLogprobs", .bool(true))
            if count > 0 { add("logprobs", .of(count)) }
        }
        add("thinkingConfig", thinking(request))
        switch request.responseFormat {
        case .text: break
        case .jsonObject: add("responseMimeType", .string("application/json"))
        case .jsonSchema(_, let schema, _):
            add("responseMimeType", .string("application/json"))
            add("responseJsonSchema", schema)
        }
        return config
    }
}
