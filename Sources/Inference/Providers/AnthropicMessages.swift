import Core
import OrderedJSON

/// A conversation as Anthropic's API has it: two roles in turn, each message an array of blocks,
/// what tools gave among what the user says.
enum AnthropicMessages {
    /// All but the system's messages.
    static func json(_ messages: [ChatMessage], _ plan: CachePlan) -> JSONValue {
        var turns: [(role: String, blocks: [JSONValue])] = []
        for (place, message) in messages.enumerated() where message.role != .system {
            let role = message.role == .assistant ? "assistant" : "user"
            // An empty text is an error there.
            var blocks = blocks(of: message)
            if let mark = plan.messages[place], let last = blocks.popLast() {
                blocks.append(marked(last, mark))
            }
            guard !blocks.isEmpty else { continue }
            if turns.last?.role == role {
                turns[turns.count - 1].blocks += blocks
            } else {
                turns.append((role, blocks))
            }
        }
        return .array(
            turns.map { turn in
                .object([
                    .init("role", .string(turn.role)), .init("content", .array(turn.blocks)),
                ])
            })
    }

    static func block(_ type: String, _ members: [JSONValue.Member]) -> JSONValue {
        .object([.init("type", .string(type))] + members)
    }

    /// All up to here is kept by the provider, and read for a tenth of its price the next time.
    static func marked(_ block: JSONValue, _ mark: CacheMark?) -> JSONValue {
        // Thoughts cannot be marked, and what is before them is kept with what is after.
        guard let mark, block["type"]?.string?.hasSuffix("thinking") != true else { return block }
        var control: [JSONValue.Member] = [.init("type", .string("ephemeral"))]
        // Five minutes is what it is when nothing is said.
        if mark == .hour { control.append(.init("ttl", .string(mark.rawValue))) }
        return .object((block.members ?? []) + [.init("cache_control", .object(control))])
    }

    private static func blocks(of message: ChatMessage) -> [JSONValue] {
        let parts = parts(of: message)
        guard message.role == .tool else { return parts + message.toolCalls.map(toolUse) }
        var members: [JSONValue.Member] = [
            .init("tool_use_id", .string(callID(message.toolCallID ?? "")))
        ]
        if !parts.isEmpty { members.append(.init("content", .array(parts))) }
        return [block("tool_result", members)]
    }

    /// Text and images, with what was thought between them.
    private static func parts(of message: ChatMessage) -> [JSONValue] {
        guard let thoughts = message.thoughts, !thoughts.isEmpty, !message.hasImages else {
            return message.parts.map(part)
        }
        var blocks: [JSONValue] = []
        let text = Array(message.text.utf8)
        var start = 0
        func say(to end: Int) {
            guard start < end else { return }
            let piece = String(decoding: text[start..<end], as: UTF8.self)
            blocks.append(block("text", [.init("text", .string(piece))]))
            start = end
        }
        for thought in thoughts {
            say(to: min(max(0, thought.offset), text.count))
            blocks.append(self.thought(thought))
        }
        say(to: text.count)
        return blocks
    }

    private static func thought(_ thought: Thought) -> JSONValue {
        switch thought.seal {
        case .signature(let signature):
            block(
                "thinking",
                [
                    .init("thinking", .string(thought.text)),
                    .init("signature", .string(signature)),
                ])
        case .redacted(let data): block("redacted_thinking", [.init("data", .string(data))])
        }
    }

    private static func part(_ part: ContentPart) -> JSONValue {
        switch part {
        case .text(let text): block("text", [.init("text", .string(text))])
        case .image(let image): block("image", [.init("source", source(image.source))])
        }
    }

    private static func source(_ source: ChatImage.Source) -> JSONValue {
        switch source {
        case .address(let address): block("url", [.init("url", .string(address))])
        case .inline(let mediaType, let base64):
            block(
                "base64",
                [.init("media_type", .string(mediaType)), .init("data", .string(base64))])
        }
    }

    private static func toolUse(_ call: ToolCall) -> JSONValue {
        block(
            "tool_use",
            [
                .init("id", .string(callID(call.id))), .init("name", .string(call.name)),
                .init("input", input(call.arguments)),
            ])
    }

    /// An object, as the API wants it. What a model once wrote that is none is still shown to it.
    private static func input(_ arguments: String) -> JSONValue {
        if arguments.allSatisfy(\.isWhitespace) { return .object([]) }
        if let value = try? JSONValue(parsing: arguments.utf8), value.members != nil {
            return value
        }
        return .object([.init("arguments", .string(arguments))])
    }

    /// Of the letters that the API takes, since a call may come from another provider.
    private static func callID(_ id: String) -> String {
        let letters = id.unicodeScalars.map { scalar -> Character in
            let isTaken =
                scalar.isASCII
                && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                    || scalar == "_" || scalar == "-")
            return isTaken ? Character(scalar) : "_"
        }
        return letters.isEmpty ? "_" : String(letters)
    }
}
