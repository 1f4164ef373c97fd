import Core
import OrderedJSON

/// The `input` of a response, as messages: a text, or the items of a conversation. What models
/// thought earlier is left out; calls join the assistant's message that they belong to.
struct ResponsesInput {
    private var messages: [ChatMessage] = []
    /// The function behind each call so far.
    private var callNames: [String: String] = [:]

    private static let itemsMax = OpenAIChatRequest.messagesMax
    private static let idBytesMax = 256

    /// Throws a refusal that names the item.
    static func messages(_ value: JSONValue?) throws -> [ChatMessage] {
        if let text = value?.string { return [ChatMessage(.user, text)] }
        guard let items = value?.array, !items.isEmpty, items.count <= itemsMax else {
            throw refusal("input", "has to be a text or 1 to \(itemsMax) items.")
        }
        var input = ResponsesInput()
        for (index, item) in items.enumerated() { try input.add(item, "input[\(index)]") }
        guard !input.messages.isEmpty else {
            throw refusal("input", "has nothing in it that a model could answer.")
        }
        return input.messages
    }

    private mutating func add(_ item: JSONValue, _ field: String) throws {
        switch item["type"]?.string ?? "message" {
        case "message": messages.append(try Self.message(item, field))
        case "function_call": try add(call: item, field)
        case "function_call_output": try add(output: item, field)
        // What a search found is looked for anew.
        case "reasoning", "file_search_call": break
        case "item_reference":
            throw OpenAIChatRequest.unsupported(
                "\(field).type",
                "Answers are not kept here, so no item can be referred to. Send the item itself.")
        default:
            throw OpenAIChatRequest.unsupported(
                "\(field).type",
                "Items are read of the types message, function_call, function_call_output,"
                    + " file_search_call and reasoning.")
        }
    }

    private mutating func add(call item: JSONValue, _ field: String) throws {
        let id = try Self.callID(item, field)
        guard let name = item["name"]?.string, !name.isEmpty else {
            throw Self.refusal("\(field).name", "is missing.")
        }
        guard let arguments = item["arguments"]?.string else {
            throw Self.refusal("\(field).arguments", "has to be a string of JSON.")
        }
        callNames[id] = name
        if messages.last?.role != .assistant { messages.append(ChatMessage(.assistant, "")) }
        let last = messages.count - 1
        guard messages[last].toolCalls.count < OpenAITools.toolsMax else {
            throw Self.refusal(field, "is one call more than a message may have.")
        }
        messages[last].toolCalls.append(ToolCall(id: id, name: name, arguments: arguments))
    }

    private mutating func add(output item: JSONValue, _ field: String) throws {
        let id = try Self.callID(item, field)
        guard let name = callNames[id] else {
            throw Self.refusal("\(field).call_id", "belongs to no function_call before it.")
        }
        guard let output = item["output"] else {
            throw Self.refusal("\(field).output", "is missing.")
        }
        var message = ChatMessage(.tool, try Self.parts(output, for: .tool, "\(field).output"))
        message.toolCallID = id
        message.name = name
        messages.append(message)
    }

    private static func message(_ item: JSONValue, _ field: String) throws -> ChatMessage {
        let role: ChatMessage.Role
        switch item["role"]?.string {
        case "system"?, "developer"?: role = .system
        case "user"?: role = .user
        case "assistant"?: role = .assistant
        default:
            throw refusal("\(field).role", "has to be system, developer, user or assistant.")
        }
        guard let content = item["content"] else {
            throw refusal("\(field).content", "is missing.")
        }
        return ChatMessage(role, try parts(content, for: role, "\(field).content"))
    }

    private static func parts(
        _ content: JSONValue, for role: ChatMessage.Role, _ field: String
    ) throws -> [ContentPart] {
        if let text = content.string { return [.text(text)] }
        guard let parts = content.array else {
            throw refusal(field, "has to be a text or an array of parts.")
        }
        return try parts.enumerated().map { index, part in
            let field = "\(field)[\(index)]"
            switch part["type"]?.string {
            case "input_text"?, "output_text"?, "text"?:
                guard let text = part["text"]?.string else {
                    throw refusal("\(field).text", "has to be a string.")
                }
                return .text(text)
            case "refusal"? where role == .assistant:
                return .text(part["refusal"]?.string ?? "")
            case "input_image"? where role == .user:
                guard let source = part["image_url"]?.string.flatMap(ImageAddress.source) else {
                    throw refusal(
                        "\(field).image_url",
                        "has to be an https address, or a PNG, JPEG, GIF or WebP image as"
                            + " data:image/png;base64,...")
                }
                return .image(ChatImage(source, detail: part["detail"]?.string))
            default:
                throw OpenAIChatRequest.unsupported(
                    field, "Text and, from users, images are read here; audio and files not.")
            }
        }
    }

    private static func callID(_ item: JSONValue, _ field: String) throws -> String {
        guard let id = item["call_id"]?.string, (1...idBytesMax).contains(id.utf8.count) else {
            throw refusal("\(field).call_id", "has to be the identifier of a call.")
        }
        return id
    }

    private static func refusal(_ parameter: String, _ message: String) -> Refusal {
        OpenAIChatRequest.refusal(parameter, message)
    }
}
