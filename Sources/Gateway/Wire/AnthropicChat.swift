import Core
import OrderedJSON

/// `POST /v1/messages`, as far as it is spoken here. Fields that are not named are ignored;
/// those that would change the answer and cannot be honoured are refused.
struct AnthropicChat {
    /// The model's name may be empty.
    var request: ChatRequest
    let isStreamed: Bool
    let thoughts: AnthropicReply.Thoughts

    static let messagesMax = 100_000

    /// What only the provider itself can do.
    private static let unsupported = ["container", "mcp_servers"]

    /// Throws a refusal that names the field.
    ///
    /// - Parameter isAnswered: whether an answer is wanted; what only counts tokens has no limit of
    ///   its length.
    init(
        _ fields: JSONFields, of principal: Principal, purpose: String, isAnswered: Bool = true
    ) throws {
        for key in Self.unsupported where !Self.isEmpty(fields[key]) {
            throw fields.refusal(key, "is not supported here; leave it out.")
        }
        var messages = try Self.system(fields)
        messages += try AnthropicContent.messages(fields)
        request = ChatRequest(
            principal: principal, model: try fields.string("model") ?? "", messages: messages,
            sampling: try Self.sampling(fields, isAnswered: isAnswered), purpose: purpose)
        request.tools = try AnthropicTools.tools(fields)
        let choice = try AnthropicTools.choice(fields, of: request.tools)
        request.toolChoice = choice.choice
        request.allowsParallelToolCalls = choice.allowsParallelCalls
        request.responseFormat = try Self.format(fields)
        isStreamed = try fields.bool("stream") ?? false
        request.streams = isStreamed
        if let mark = try fields.cacheMark() {
            request.messages[request.messages.count - 1].cacheMark = mark
        }
        (request.reasoning, thoughts) = try Self.thinking(fields)
    }

    private static func thinking(_ fields: JSONFields) throws -> (
        ReasoningRequest?, AnthropicReply.Thoughts
    ) {
        guard let thinking = try fields.fields("thinking") else { return (nil, .hidden) }
        let isOmitted = try thinking.string("display") == "omitted"
        switch try thinking.required("type", thinking.string("type")) {
        // No tokens for it, which is not the same as an effort of none: models that never think
        // refuse to be told anything of it.
        case "disabled": return (ReasoningRequest(budgetTokens: 0), .hidden)
        case "adaptive":
            let effort = try fields.fields("output_config")?.string("effort")
            return (
                ReasoningRequest(effort: effort.flatMap { .init(rawValue: $0) }),
                isOmitted ? .sealed : .shown
            )
        case "enabled":
            let budget = try thinking.required(
                "budget_tokens", thinking.int("budget_tokens"))
            guard budget >= budgetTokensMin else {
                throw thinking.refusal("budget_tokens", "has to be \(budgetTokensMin) or more.")
            }
            return (ReasoningRequest(budgetTokens: budget), isOmitted ? .sealed : .shown)
        default: throw thinking.refusal("type", "has to be enabled, adaptive or disabled.")
        }
    }

    private static let budgetTokensMin = 1024

    private static func isEmpty(_ value: JSONValue?) -> Bool {
        value?.array?.isEmpty ?? value?.members?.isEmpty ?? (value == nil)
    }

    /// All of it is one message, since many models take only one.
    private static func system(_ fields: JSONFields) throws -> [ChatMessage] {
        guard let system = fields["system"] else { return [] }
        if let text = system.string { return text.isEmpty ? [] : [ChatMessage(.system, text)] }
        guard system.array != nil else {
            throw fields.refusal("system", "has to be a string or an array of text blocks.")
        }
        var mark: CacheMark?
        let texts = try (fields.list("system") ?? []).map { block in
            mark = try block.cacheMark() ?? mark
            guard try block.string("type") == "text" else {
                throw block.refusal("type", "has to be text.")
            }
            return ContentPart.text(try block.required("text", block.string("text")))
        }
        var message = ChatMessage(.system, texts)
        message.cacheMark = mark
        return texts.isEmpty ? [] : [message]
    }

    private static func sampling(_ fields: JSONFields, isAnswered: Bool) throws -> SamplingOptions {
        let outputTokensMax = try fields.int("max_tokens")
        if isAnswered { _ = try fields.required("max_tokens", outputTokensMax) }
        let options = SamplingOptions(
            temperature: try fields.number("temperature"), topK: try fields.int("top_k"),
            topP: try fields.number("top_p"), stop: try fields.strings("stop_sequences") ?? [],
            outputTokensMax: outputTokensMax)
        try options.validate(naming: .anthropic)
        guard options.temperature ?? 0 <= 1 else {
            throw fields.refusal("temperature", "has to be 0.0 to 1.0.")
        }
        return options
    }

    private static func format(_ fields: JSONFields) throws -> ResponseFormat {
        // As it was called before; the newer name goes first.
        let outer = try fields.fields("output_config")?.fields("format")
        guard let format = try outer ?? fields.fields("output_format") else { return .text }
        guard try format.string("type") == "json_schema" else {
            throw format.refusal("type", "has to be json_schema.")
        }
        let schema = try format.required("schema", format.object("schema"))
        return .jsonSchema(name: "answer", schema: schema, isStrict: true)
    }
}
