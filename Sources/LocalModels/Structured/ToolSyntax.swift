import Core
import OrderedJSON

/// How a family of models writes that it calls a tool.
package enum ToolSyntax: String, Sendable {
    /// `<tool_call>{"name": ..., "arguments": ...}</tool_call>`: Hermes, Qwen, SmolLM, and what we
    /// ask of models that were not taught any.
    case tagged
    /// `{"name": ..., "parameters": ...}` and nothing else: Llama 3.
    case bare
    /// `[TOOL_CALLS][{"name": ..., "arguments": ...}]`: Mistral.
    case listed

    /// The one that the calls of a chat template are written in; tagged where there are none.
    init(_ shape: ToolCallShape?) {
        let head = shape?.beforeName ?? ""
        if head.contains(Self.list) {
            self = .listed
        } else if head.hasPrefix("{"), shape?.beforeArguments.contains("\"parameters\"") == true {
            self = .bare
        } else {
            self = .tagged
        }
    }

    /// Calls in one answer, at most.
    static let callsMax = 32

    static let opening = "<tool_call>"
    static let closing = "</tool_call>"
    static let list = "[TOOL_CALLS]"

    var argumentsKey: String { self == .bare ? "parameters" : "arguments" }

    /// Texts that are control tokens in some vocabularies, and have to be read as text in a call.
    static let markup = [opening, closing, list]

    /// What announces a call.
    var marker: [UInt8] {
        switch self {
        case .tagged: Array(Self.opening.utf8)
        case .bare: []
        case .listed: Array(Self.list.utf8)
        }
    }

    // MARK: What may come

    /// An answer that calls tools, as `choice` has it.
    ///
    /// - Parameter answer: the answer without a call; nil for any text.
    func add(
        _ tools: [ToolDefinition], choice: ToolChoice, parallel: Bool, answer: Int32?,
        to builder: inout GrammarBuilder
    ) throws -> Int32 {
        var tools = tools
        if case .named(let name) = choice {
            tools = tools.filter { $0.name == name }
            guard !tools.isEmpty else {
                throw Failure(
                    .invalid, "tool_choice names `\(name)`, which is not among the tools.")
            }
        }
        let call = builder.reserveRule()
        builder.define(
            call,
            try builder.either(
                try tools.enumerated().map { try self.call($1, at: $0, &builder) }))
        let calls = try self.calls(call, max: parallel ? Self.callsMax : 1, &builder)
        guard choice == .auto else { return calls.start }
        if let answer { return try builder.either([calls.start, answer]) }
        return try text(before: calls, &builder)
    }

    /// One call, to the end of the rule.
    private func call(
        _ tool: ToolDefinition, at index: Int, _ builder: inout GrammarBuilder
    ) throws -> Int32 {
        let schema =
            tool.parameters
            ?? .object([
                JSONValue.Member("type", .string("object")),
                JSONValue.Member("properties", .object([])),
                JSONValue.Member("additionalProperties", .bool(false)),
            ])
        guard schema["type"] == nil || schema["type"]?.string == "object" else {
            throw SchemaCompiler.refusal(
                "tools[\(index)].function.parameters#/type", "has to be object.")
        }
        let close = try builder.space(try builder.literal("}".utf8, builder.end))
        let arguments = try SchemaCompiler.add(
            schema, isStrict: tool.isStrict, name: "tools[\(index)].function.parameters",
            to: &builder, close)
        let key = try builder.literal(
            "\"\(argumentsKey)\":".utf8, try builder.blank(arguments))
        let next = try builder.literal(",".utf8, try builder.blank(key))
        let name = try builder.literal(JSONValue.string(tool.name).text.utf8, next)
        let head = try builder.literal("\"name\":".utf8, try builder.blank(name))
        return try builder.literal("{".utf8, head)
    }

    /// The calls, from the marker that announces them on, and what is left of them after it.
    private func calls(_ call: Int32, max: Int, _ builder: inout GrammarBuilder) throws -> Calls {
        let rest: Int32
        switch self {
        case .bare: rest = try builder.call(call, builder.end)
        case .tagged:
            let line = try builder.rule("line") { try $0.literal("\n".utf8, $0.end) }
            func afterMarker(_ next: Int32, _ builder: inout GrammarBuilder) throws -> Int32 {
                let close = try builder.literal(Self.closing.utf8, next)
                let content = try builder.call(call, try builder.times(line, 0, 1, close))
                return try builder.times(line, 0, 1, content)
            }
            let more = builder.reserveRule()
            let again = try afterMarker(builder.end, &builder)
            builder.define(
                more,
                try builder.times(line, 0, 1, try builder.literal(Self.opening.utf8, again)))
            rest = try afterMarker(try builder.times(more, 0, max - 1, builder.end), &builder)
        case .listed:
            let close = try builder.literal("]".utf8, builder.end)
            let more = builder.reserveRule()
            let another = try builder.blank(try builder.call(call, builder.end))
            builder.define(more, try builder.literal(",".utf8, another))
            let list = try builder.call(call, try builder.times(more, 0, max - 1, close))
            rest = try builder.blank(try builder.literal("[".utf8, list))
        }
        return Calls(start: try builder.literal(marker, rest), afterMarker: rest)
    }

    private struct Calls {
        let start: Int32
        let afterMarker: Int32
    }

    /// Any text; from the marker on, the calls. The automaton that finds a word in a text (Knuth,
    /// Morris, Pratt): a node for each length of the marker's beginning that was just read.
    private func text(before calls: Calls, _ builder: inout GrammarBuilder) throws -> Int32 {
        guard self != .bare else { return try Self.textNotObject(calls.start, &builder) }
        let nodes = try marker.map { _ in try builder.add(.split([])) }
        for (length, node) in nodes.enumerated() {
            let edges = (UInt8.min...UInt8.max).map { byte in
                let read = marker[..<length] + [byte]
                let kept = (0...read.count).last { read.suffix($0) == marker[..<$0] } ?? 0
                return Grammar.Edge(
                    low: byte, high: byte,
                    next: kept == marker.count ? calls.afterMarker : nodes[kept])
            }
            let bytes = try builder.add(.bytes(edges))
            builder.markFree(bytes)
            builder.set(node, .split([bytes, builder.end]))
        }
        return nodes[0]
    }

    /// Any text; a call where it begins with a brace.
    private static func textNotObject(_ call: Int32, _ builder: inout GrammarBuilder) throws
        -> Int32
    {
        let brace = UInt8(ascii: "{")
        let text = try builder.add(.split([]))
        let any = try builder.byte([0...255], text)
        builder.markFree(any)
        builder.set(text, .split([any, builder.end]))
        let first = try builder.byte([0...brace - 1, brace + 1...255], text)
        builder.markFree(first)
        return try builder.either([first, call, builder.end])
    }
}
