import Core
import OrderedJSON

/// The body of `POST /messages`. What Anthropic's API has no word for (a seed, penalties, biases,
/// log probabilities) is left out.
struct AnthropicRequest {
    /// The tool whose input is the answer, where the format of the answer could not be asked for
    /// otherwise.
    let answerTool: String?
    private let body: JSONValue

    private static let answerToolName = "answer_in_json"
    private static let outputTokensMaxDefault = 4096

    init(_ request: ProviderRequest, sampling: SamplingOptions) {
        // A call that has to be made is no answer, and has no format.
        let mustCall = request.toolChoice != .auto && request.toolChoice != .none
        let format = mustCall && !request.tools.isEmpty ? .text : request.responseFormat
        let answerSchema = Self.answerSchema(format)
        answerTool = answerSchema.map { _ in Self.answerToolName }
        let plan = CachePlan(request)
        let outputTokensMax = sampling.outputTokensMax ?? Self.outputTokensMaxDefault
        let thinking = ClaudeThinking(
            request, outputTokensMax: outputTokensMax, isForced: mustCall || answerSchema != nil)
        let sampling = thinking?.options(of: sampling) ?? sampling
        var members: [JSONValue.Member] = [
            .init("model", .string(request.model)), .init("max_tokens", .of(outputTokensMax)),
            .init("stream", .bool(true)),
        ]
        func add(_ key: String, _ value: JSONValue?) {
            if let value { members.append(.init(key, value)) }
        }
        // In the order in which a prompt is cached: tools, then the system, then the messages.
        add("tools", Self.tools(request.tools, answerSchema, plan))
        add("tool_choice", Self.choice(request, hasAnswerTool: answerTool != nil))
        add("system", Self.system(request.messages, plan))
        members.append(.init("messages", AnthropicMessages.json(request.messages, plan)))
        add("thinking", thinking?.thinking)
        // Theirs ends at 1, where others go on to 2.
        add("temperature", sampling.temperature.map { .number("\(min($0, 1))") })
        add("top_p", sampling.topP.map { .number("\($0)") })
        // A top_k of 0 is none, which theirs does not know.
        add("top_k", sampling.topK.flatMap { $0 > 0 ? .number("\($0)") : nil })
        if !sampling.stop.isEmpty {
            add("stop_sequences", .array(sampling.stop.map { .string($0) }))
        }
        var output: [JSONValue.Member] = []
        if let effort = thinking?.effort { output.append(.init("effort", .string(effort))) }
        if case .jsonSchema(_, let schema, _) = format, answerSchema == nil {
            let json = JSONValue.object([
                .init("type", .string("json_schema")), .init("schema", schema),
            ])
            output.append(.init("format", json))
        }
        if !output.isEmpty { add("output_config", .object(output)) }
        body = .object(members)
    }

    var bytes: [UInt8] { Array(body.text.utf8) }

    /// What the input of a tool has to be so that it is the answer. Their own JSON outputs take
    /// strict schemas only; a tool takes any that is an object's.
    private static func answerSchema(_ format: ResponseFormat) -> JSONValue? {
        switch format {
        case .text: nil
        case .jsonObject: .object([.init("type", .string("object"))])
        case .jsonSchema(_, let schema, let isStrict):
            isStrict || schema["type"]?.string != "object" ? nil : schema
        }
    }

    private static func tools(
        _ tools: [ToolDefinition], _ answerSchema: JSONValue?, _ plan: CachePlan
    ) -> JSONValue? {
        var list = tools.enumerated().map {
            AnthropicMessages.marked(tool($1), plan.tools[$0])
        }
        if let answerSchema {
            list.append(
                tool(
                    ToolDefinition(
                        name: answerToolName,
                        description: "Gives the answer to the user. Its input is the whole answer.",
                        parameters: answerSchema)))
        }
        return list.isEmpty ? nil : .array(list)
    }

    private static func tool(_ tool: ToolDefinition) -> JSONValue {
        var members: [JSONValue.Member] = [.init("name", .string(tool.name))]
        if !tool.description.isEmpty {
            members.append(.init("description", .string(tool.description)))
        }
        var schema = tool.parameters?.members ?? []
        if !schema.contains(where: { $0.key == "type" }) {
            schema.insert(.init("type", .string("object")), at: 0)
        }
        members.append(.init("input_schema", .object(schema)))
        if tool.isStrict { members.append(.init("strict", .bool(true))) }
        return .object(members)
    }

    private static func choice(_ request: ProviderRequest, hasAnswerTool: Bool) -> JSONValue? {
        func choice(_ type: String, name: String? = nil) -> JSONValue {
            var members: [JSONValue.Member] = [.init("type", .string(type))]
            if let name { members.append(.init("name", .string(name))) }
            if !request.allowsParallelToolCalls || hasAnswerTool {
                members.append(.init("disable_parallel_tool_use", .bool(true)))
            }
            return .object(members)
        }
        let hasTools = !request.tools.isEmpty
        return switch request.toolChoice {
        case .named(let name) where hasTools: choice("tool", name: name)
        case .required where hasTools: choice("any")
        // To answer is one more tool among them, and one of them is called.
        case .auto where hasTools: choice(hasAnswerTool ? "any" : "auto")
        case _ where hasAnswerTool: choice("tool", name: answerToolName)
        case .none where hasTools: .object([.init("type", .string("none"))])
        default: nil
        }
    }

    private static func system(_ messages: [ChatMessage], _ plan: CachePlan) -> JSONValue? {
        let blocks = messages.enumerated().filter { $1.role == .system && !$1.text.isEmpty }.map {
            AnthropicMessages.marked(
                AnthropicMessages.block("text", [.init("text", .string($1.text))]),
                plan.messages[$0])
        }
        return blocks.isEmpty ? nil : .array(blocks)
    }
}
