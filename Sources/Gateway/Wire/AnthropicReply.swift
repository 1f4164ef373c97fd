import Core
import OrderedJSON

/// One answer as it comes: events in, what Anthropic's clients are sent of it out. Blocks come one
/// after the other there, so a call that begins while another goes on waits for that one's end.
struct AnthropicReply {
    let id: String
    let model: String
    let thoughts: Thoughts
    private var blocks: [Block] = []
    private var isOpen = false
    private var calls = Calls()

    /// What a client sees of them. Those that did not ask for thoughts look for the answer in the
    /// first block.
    enum Thoughts: Sendable { case shown, sealed, hidden }

    private struct Block {
        enum Kind: Equatable {
            case text, thinking, redacted
            case call(id: String, name: String)
        }

        var kind: Kind
        /// Of a call, its input.
        var text = ""
        /// Of a thought. Nothing comes after it.
        var signature = ""
    }

    private struct Calls {
        /// Whose pieces are sent as they come.
        var current: Int?
        var waiting: [Int: Block] = [:]
        var ended: Set<Int> = []
    }

    init(id: String, model: String, thoughts: Thoughts) {
        self.id = id
        self.model = model
        self.thoughts = thoughts
    }

    /// - Parameter inputTokens: as far as they are known; the end has what they were.
    func start(inputTokens: Int) -> AnthropicEvent {
        let usage: JSONValue = [
            "input_tokens": .init(integerLiteral: inputTokens), "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0, "output_tokens": 0,
        ]
        return AnthropicEvent(
            "message_start",
            [.init("message", message(content: [], stopReason: .null, usage: usage))])
    }

    /// Throws `upstream` for pieces of a call that has ended.
    mutating func receive(_ event: ChatEvent) throws -> [AnthropicEvent] {
        switch event {
        case .text(let piece): return say(piece, as: .text)
        case .reasoning(let piece): return thoughts == .shown ? say(piece, as: .thinking) : []
        case .seal(let seal): return thoughts == .hidden ? [] : receive(seal)
        case .toolCall(let piece): return try receive(piece)
        // Its events have no place for who answers. Clients pass over a ping, and what is in it.
        case .switched(let change):
            return [AnthropicEvent("ping", [.init("heptad_switched", change.json)])]
        case .logprobs: return []
        }
    }

    /// The last of a stream.
    mutating func end(_ completion: Completion) -> [AnthropicEvent] {
        endCalls() + close() + [
            AnthropicEvent(
                "message_delta",
                [
                    .init(
                        "delta",
                        [
                            "stop_reason": .string(completion.anthropicReason),
                            "stop_sequence": Self.stopSequence(completion),
                        ]), .init("usage", Self.usage(completion.usage)),
                ]), AnthropicEvent("message_stop", []),
        ]
    }

    /// All of the answer, after its end.
    func whole(_ completion: Completion) -> JSONValue {
        message(
            content: blocks.map(Self.json),
            stopReason: .string(completion.anthropicReason),
            stopSequence: Self.stopSequence(completion), usage: Self.usage(completion.usage))
    }

    private static func stopSequence(_ completion: Completion) -> JSONValue {
        completion.anthropicReason == "stop_sequence"
            ? completion.stopSequence.map { .string($0) } ?? .null : .null
    }

    // MARK: Calls

    private mutating func receive(_ piece: ToolCallPiece) throws -> [AnthropicEvent] {
        guard !calls.ended.contains(piece.index) else {
            throw Failure(.upstream, "The model went on with a call of a tool that had ended.")
        }
        let kind = Block.Kind.call(id: piece.id ?? callID(piece.index), name: piece.name ?? "")
        if let current = calls.current, current != piece.index {
            calls.waiting[piece.index, default: Block(kind: kind)].text += piece.arguments
            return []
        }
        let isNew = calls.current == nil
        calls.current = piece.index
        return (isNew ? begin(kind) : []) + add(piece.arguments)
    }

    /// The call that goes on, and those that wait, each in whole.
    private mutating func endCalls() -> [AnthropicEvent] {
        guard let current = calls.current else { return [] }
        let waiting = calls.waiting.sorted { $0.key < $1.key }
        calls.current = nil
        calls.waiting = [:]
        calls.ended.formUnion([current] + waiting.map(\.key))
        return waiting.flatMap { begin($1.kind) + add($1.text) }
    }

    private func callID(_ index: Int) -> String { "toolu_\(id.dropFirst(4))_\(index)" }

    // MARK: Blocks

    /// The end of the thought that is open, or one of its own.
    private mutating func receive(_ seal: ThoughtSeal) -> [AnthropicEvent] {
        switch seal {
        case .redacted(let data):
            let ended = endCalls() + close()
            blocks.append(Block(kind: .redacted, text: data))
            isOpen = true
            return ended + [start(of: blocks.count - 1)] + close()
        case .signature(let signature):
            let isNew = !isOpen || blocks.last?.kind != .thinking
            let begun = isNew ? endCalls() + begin(.thinking) : []
            blocks[blocks.count - 1].signature = signature
            let delta: JSONValue = ["type": "signature_delta", "signature": .string(signature)]
            return begun + [AnthropicEvent("content_block_delta", [index, .init("delta", delta)])]
                + close()
        }
    }

    private mutating func say(_ piece: String, as kind: Block.Kind) -> [AnthropicEvent] {
        let ended = endCalls()
        let goesOn = isOpen && blocks.last?.kind == kind
        return ended + (goesOn ? [] : begin(kind)) + add(piece)
    }

    private mutating func begin(_ kind: Block.Kind) -> [AnthropicEvent] {
        let closed = close()
        blocks.append(Block(kind: kind))
        isOpen = true
        return closed + [start(of: blocks.count - 1)]
    }

    private func start(of place: Int) -> AnthropicEvent {
        AnthropicEvent(
            "content_block_start", [index, .init("content_block", Self.json(blocks[place]))])
    }

    /// Says more of the block that is open.
    private mutating func add(_ piece: String) -> [AnthropicEvent] {
        guard !piece.isEmpty, let kind = blocks.last?.kind else { return [] }
        blocks[blocks.count - 1].text += piece
        let (type, key) =
            switch kind {
            // It is whole when it begins.
            case .redacted: ("", "")
            case .text: ("text_delta", "text")
            case .thinking: ("thinking_delta", "thinking")
            case .call: ("input_json_delta", "partial_json")
            }
        let delta = JSONValue.object([
            .init("type", .string(type)), .init(key, .string(piece)),
        ])
        return [AnthropicEvent("content_block_delta", [index, .init("delta", delta)])]
    }

    private mutating func close() -> [AnthropicEvent] {
        guard isOpen else { return [] }
        isOpen = false
        return [AnthropicEvent("content_block_stop", [index])]
    }

    /// Of the block that is open.
    private var index: JSONValue.Member {
        .init("index", .init(integerLiteral: blocks.count - 1))
    }

    private static func json(_ block: Block) -> JSONValue {
        switch block.kind {
        case .text: ["type": "text", "text": .string(block.text)]
        case .thinking:
            [
                "type": "thinking", "thinking": .string(block.text),
                "signature": .string(block.signature),
            ]
        case .redacted: ["type": "redacted_thinking", "data": .string(block.text)]
        case .call(let id, let name):
            [
                "type": "tool_use", "id": .string(id), "name": .string(name),
                "input": input(block.text),
            ]
        }
    }

    /// The API promises an object; what was cut off or is none is given as it was written.
    private static func input(_ arguments: String) -> JSONValue {
        if arguments.allSatisfy(\.isWhitespace) { return [:] }
        if let value = try? JSONValue(parsing: arguments.utf8), value.members != nil {
            return value
        }
        return ["arguments": .string(arguments)]
    }

    private func message(
        content: [JSONValue], stopReason: JSONValue, stopSequence: JSONValue = .null,
        usage: JSONValue
    ) -> JSONValue {
        [
            "id": .string(id), "type": "message", "role": "assistant", "model": .string(model),
            "content": .array(content), "stop_reason": stopReason,
            "stop_sequence": stopSequence, "usage": usage,
        ]
    }

    private static func usage(_ usage: TokenUsage) -> JSONValue {
        [
            "input_tokens": .init(integerLiteral: usage.freshInput),
            "cache_creation_input_tokens": .init(integerLiteral: usage.cacheWrite),
            "cache_read_input_tokens": .init(integerLiteral: usage.cacheRead),
            "output_tokens": .init(integerLiteral: usage.output),
            "output_tokens_details": [
                "thinking_tokens": .init(integerLiteral: usage.reasoning)
            ],
        ]
    }
}

/// One event of a stream, its name in its data too.
struct AnthropicEvent {
    let name: String
    let data: JSONValue

    init(_ name: String, _ members: [JSONValue.Member]) {
        self.name = name
        data = .object([.init("type", .string(name))] + members)
    }

    /// Keeps a silent connection open.
    static let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
}

extension CandidateSwitch {
    /// As the streams of other APIs carry it, where their clients pass over it.
    var json: JSONValue {
        ["from": .string(from), "to": .string(to), "is_continued": .bool(isContinued)]
    }
}

extension Completion {
    var anthropicReason: String {
        switch finishReason {
        case .stop where stopSequence != nil: "stop_sequence"
        case .stop: "end_turn"
        case .length: "max_tokens"
        case .contentFilter: "refusal"
        case .toolCalls: "tool_use"
        }
    }
}
