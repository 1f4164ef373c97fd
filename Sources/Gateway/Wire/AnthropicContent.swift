import Core
import OrderedJSON

/// The messages of a request to `POST /v1/messages`: two roles, each message a text or an array of
/// blocks. What tools gave stands among what the user says there; here it is messages of its own.
struct AnthropicContent {
    private var messages: [ChatMessage] = []
    /// Which tool each call was of.
    private var toolNames: [String: String] = [:]

    static func messages(_ fields: JSONFields) throws -> [ChatMessage] {
        let entries = try fields.required("messages", fields.list("messages"))
        guard (1...AnthropicChat.messagesMax).contains(entries.count) else {
            throw fields.refusal(
                "messages", "has to have 1 to \(AnthropicChat.messagesMax) messages.")
        }
        var content = AnthropicContent()
        for entry in entries { try content.read(entry) }
        guard content.messages.last?.role != .assistant else {
            throw fields.refusal(
                "messages", "has to end with the user's: no model is given its first words here.")
        }
        return content.messages
    }

    private mutating func read(_ entry: JSONFields) throws {
        let role: ChatMessage.Role
        switch try entry.required("role", entry.string("role")) {
        case "user": role = .user
        case "assistant": role = .assistant
        case "system": role = .system
        default: throw entry.refusal("role", "has to be user or assistant.")
        }
        let content = try entry.required("content", entry["content"])
        if let text = content.string {
            messages.append(ChatMessage(role, text))
            return
        }
        guard content.array != nil else {
            throw entry.refusal("content", "has to be a string or an array of blocks.")
        }
        let blocks = try entry.list("content") ?? []
        guard !blocks.isEmpty else { throw entry.refusal("content", "has no blocks.") }
        switch role {
        case .assistant: try readAssistant(blocks)
        default: try readUser(blocks, role)
        }
    }

    private mutating func readAssistant(_ blocks: [JSONFields]) throws {
        var parts: [ContentPart] = []
        var calls: [ToolCall] = []
        var thoughts: [Thought] = []
        var mark: CacheMark?
        for block in blocks {
            mark = try block.cacheMark() ?? mark
            switch try block.required("type", block.string("type")) {
            case "text": parts.append(try text(block))
            case "tool_use":
                let call = ToolCall(
                    id: try block.required("id", block.string("id")),
                    name: try block.required("name", block.string("name")),
                    arguments: try block.required("input", block.object("input")).text)
                toolNames[call.id] = call.name
                calls.append(call)
            // A model's thoughts are its own: they go back to who sealed them, and to no other.
            case "thinking":
                guard let signature = try block.string("signature"), !signature.isEmpty else {
                    break
                }
                let text = try block.string("thinking") ?? ""
                thoughts.append(Thought(text, .signature(signature), at: Self.bytes(of: parts)))
            case "redacted_thinking":
                let data = try block.required("data", block.string("data"))
                thoughts.append(Thought("", .redacted(data), at: Self.bytes(of: parts)))
            default: throw unknown(block)
            }
        }
        var message = ChatMessage(.assistant, parts)
        message.toolCalls = calls
        message.thoughts = thoughts.isEmpty ? nil : thoughts
        message.cacheMark = mark
        messages.append(message)
    }

    private static func bytes(of parts: [ContentPart]) -> Int {
        ChatMessage(.assistant, parts).text.utf8.count
    }

    private mutating func readUser(_ blocks: [JSONFields], _ role: ChatMessage.Role) throws {
        var parts: [ContentPart] = []
        var mark: CacheMark?
        func add(_ message: ChatMessage) {
            var message = message
            message.cacheMark = mark
            mark = nil
            messages.append(message)
        }
        for block in blocks {
            let own = try block.cacheMark()
            if block["type"]?.string != "tool_result" { mark = own ?? mark }
            switch try block.required("type", block.string("type")) {
            case "text": parts.append(try text(block))
            case "image" where role == .user: parts.append(try image(block))
            case "tool_result" where role == .user:
                if !parts.isEmpty { add(ChatMessage(role, parts)) }
                parts = []
                var result = try toolResult(block)
                result.cacheMark = own
                messages.append(result)
            default: throw unknown(block)
            }
        }
        if !parts.isEmpty { add(ChatMessage(role, parts)) }
    }

    private func toolResult(_ block: JSONFields) throws -> ChatMessage {
        let id = try block.required("tool_use_id", block.string("tool_use_id"))
        guard let name = toolNames[id] else {
            throw block.refusal("tool_use_id", "is of no tool_use block before it.")
        }
        // There is no other place for it.
        var parts: [ContentPart] = try block.bool("is_error") == true ? [.text("Error:")] : []
        if let text = block["content"]?.string {
            parts.append(.text(text))
        } else if block["content"] != nil {
            for inner in try block.list("content") ?? [] {
                switch try inner.required("type", inner.string("type")) {
                case "text": parts.append(try text(inner))
                case "image": parts.append(try image(inner))
                default: throw unknown(inner)
                }
            }
        }
        var message = ChatMessage(.tool, parts)
        message.toolCallID = id
        message.name = name
        return message
    }

    private func text(_ block: JSONFields) throws -> ContentPart {
        .text(try block.required("text", block.string("text")))
    }

    private func image(_ block: JSONFields) throws -> ContentPart {
        let source = try block.required("source", block.fields("source"))
        switch try source.required("type", source.string("type")) {
        case "base64":
            let mediaType = try source.required("media_type", source.string("media_type"))
            let data = try source.required("data", source.string("data"))
            guard let found = ImageAddress.source(mediaType: mediaType, base64: data) else {
                throw source.refusal("data", "has to be a PNG, JPEG, GIF or WebP image in base64.")
            }
            return .image(ChatImage(found))
        case "url":
            let address = try source.required("url", source.string("url"))
            guard address.hasPrefix("https://"), let found = ImageAddress.source(address) else {
                throw source.refusal("url", "has to be an https address.")
            }
            return .image(ChatImage(found))
        default: throw source.refusal("type", "has to be base64 or url.")
        }
    }

    private func unknown(_ block: JSONFields) -> Refusal {
        block.refusal(
            "type",
            "is not read there: text, images from users, and calls of tools with what they gave are."
        )
    }
}
