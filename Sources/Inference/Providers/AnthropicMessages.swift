import Core

/// A conversation as Anthropic's API has it: two roles in turn, each message an array of blocks,
/// what tools gave among what the user says.
enum AnthropicMessages {
    /// All but the system's messages.
    static func json(_ messages: [ChatMessage]) -> JSONValue {
        var turns: [(role: String, blocks: [JSONValue])] = []
        for message in messages where message.role != .system {
            let role = message.role == .assistant ? "assistant" : "user"
            // An empty text is an error there.
            let blocks = blocks(of: message)
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

    private static func blocks(of message: ChatMessage) -> [JSONValue] {
        let parts = message.parts.map(part)
        guard message.role == .tool else { return parts + message.toolCalls.map(toolUse) }
        var members: [JSONValue.Member] = [
            .init("tool_use_id", .string(callID(message.toolCallID ?? "")))
        ]
        if !parts.isEmpty { members.append(.init("content", .array(parts))) }
        return [block("tool_result", members)]
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
