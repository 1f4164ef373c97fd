import Core
import OrderedJSON

/// How a template wants what it is given, where templates differ.
struct TemplateForm: Hashable, Sendable {
    enum CallContent: CaseIterable { case none, empty, absent }

    /// Whether a message's text is a list of parts, `[{"type": "text", "text": …}]`.
    var hasParts = false
    /// Whether no tools are an empty list, and not none as transformers has it.
    var noToolsAreEmptyList = false
    /// The content of a message that only calls tools.
    var callContent = CallContent.none
    /// Whether the arguments of a call are JSON text, and not the mapping that the text means.
    var argumentsAreText = false
    /// Whether the ids of calls have to be nine letters and digits, as Mistral's are.
    var callIDsAreShort = false
}

/// A conversation as the variables of a template, in the form that transformers hands it over. What
/// people and tools said is not trusted; roles are ours.
struct TemplateConversation {
    var messages: [ChatMessage]
    var tools: [ToolDefinition] = []
    var thinking: Bool?
    var addsGenerationPrompt = true

    func variables(_ form: TemplateForm, begin: String, end: String) -> [String: TemplateValue] {
        var variables: [String: TemplateValue] = [
            "messages": list(values(of: messages, form)),
            "tools": tools.isEmpty && !form.noToolsAreEmptyList
                ? .none : list(tools.map(value)),
            "documents": .none,
            "add_generation_prompt": .boolean(addsGenerationPrompt),
            "bos_token": .own(begin),
            "eos_token": .own(end),
        ]
        if let thinking {
            // The first is what Qwen and most others ask for, the second DeepSeek and Granite.
            variables["enable_thinking"] = .boolean(thinking)
            variables["thinking"] = .boolean(thinking)
        }
        return variables
    }

    private func values(of messages: [ChatMessage], _ form: TemplateForm) -> [TemplateValue] {
        var toolNames: [String: String] = [:]
        return messages.map { message in
            for call in message.toolCalls { toolNames[call.id] = call.name }
            var entries: [TemplateMap.Entry] = [
                (.own("role"), .own(message.role.rawValue))
            ]
            if let content = content(of: message, form) {
                entries.append((.own("content"), content))
            }
            if !message.toolCalls.isEmpty {
                entries.append(
                    (.own("tool_calls"), list(message.toolCalls.map { value(of: $0, form) })))
            }
            if let id = message.toolCallID {
                entries.append((.own("tool_call_id"), self.id(id, form)))
            }
            if let name = message.name ?? message.toolCallID.flatMap({ toolNames[$0] }) {
                entries.append((.own("name"), outside(name)))
            }
            return .map(TemplateMap(entries))
        }
    }

    private func content(of message: ChatMessage, _ form: TemplateForm) -> TemplateValue? {
        if message.text.isEmpty, !message.toolCalls.isEmpty {
            switch form.callContent {
            case .none: return TemplateValue.none
            case .empty: break
            case .absent: return nil
            }
        }
        guard form.hasParts else { return outside(message.text) }
        return list([map([("type", .own("text")), ("text", outside(message.text))])])
    }

    private func value(of call: ToolCall, _ form: TemplateForm) -> TemplateValue {
        var arguments = outside(call.arguments)
        if !form.argumentsAreText {
            let text = call.arguments.isEmpty ? "{}" : call.arguments
            // What is no JSON stays as the model wrote it.
            if let json = try? JSONValue(parsing: text.utf8) { arguments = TemplateValue(json) }
        }
        return map([
            ("type", .own("function")),
            ("id", id(call.id, form)),
            ("function", map([("name", outside(call.name)), ("arguments", arguments)])),
        ])
    }

    private func value(_ tool: ToolDefinition) -> TemplateValue {
        let nothing = JSONValue.object([
            JSONValue.Member("type", .string("object")),
            JSONValue.Member("properties", .object([])),
        ])
        return map([
            ("type", .own("function")),
            (
                "function",
                map([
                    ("name", outside(tool.name)),
                    ("description", outside(tool.description)),
                    ("parameters", TemplateValue(tool.parameters ?? nothing)),
                ])
            ),
        ])
    }

    private func id(_ id: String, _ form: TemplateForm) -> TemplateValue {
        outside(form.callIDsAreShort ? Self.shortID(id) : id)
    }

    /// Nine letters and digits, always the same for the same id.
    static func shortID(_ id: String) -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
        if id.utf8.count == 9, id.allSatisfy(alphabet.contains) { return id }
        // FNV-1a.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in id.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var short = ""
        for _ in 0..<9 {
            short.append(alphabet[Int(hash % UInt64(alphabet.count))])
            hash /= UInt64(alphabet.count)
        }
        return short
    }

    private func outside(_ text: String) -> TemplateValue {
        .text(TemplateText(text, isTrusted: false))
    }

    private func list(_ items: [TemplateValue]) -> TemplateValue { .list(TemplateList(items)) }

    private func map(_ members: [(String, TemplateValue)]) -> TemplateValue {
        .map(TemplateMap(members.map { (.own($0.0), $0.1) }))
    }
}

extension TemplateValue {
    /// JSON from outside: nothing of it is trusted.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .none
        case .bool(let claim): self = .boolean(claim)
        case .number(let text):
            self = Int(text).map(TemplateValue.integer) ?? .float(Double(text) ?? 0)
        case .string(let text): self = .text(TemplateText(text, isTrusted: false))
        case .array(let values): self = .list(TemplateList(values.map(TemplateValue.init)))
        case .object(let members):
            self = .map(
                TemplateMap(
                    members.map {
                        (.text(TemplateText($0.key, isTrusted: false)), TemplateValue($0.value))
                    }))
        }
    }
}

// Conversations made to fit templates that do not know all there is.
extension TemplateConversation {
    /// The system's text at the head of the next user's message, as other servers do where a
    /// template has no place for it. With `isLeadingKept`, the first message stays as it is.
    func mergingSystem(isLeadingKept: Bool = false) -> TemplateConversation {
        var merged: [ChatMessage] = []
        var waiting: [String] = []
        for (place, message) in messages.enumerated() {
            if message.role == .system, !(isLeadingKept && place == 0) {
                waiting.append(message.text)
            } else if message.role == .user, !waiting.isEmpty {
                merged.append(
                    message.saying((waiting + [message.text]).joined(separator: "\n\n")))
                waiting = []
            } else {
                merged.append(message)
            }
        }
        if !waiting.isEmpty {
            let text = waiting.joined(separator: "\n\n")
            if let last = merged.lastIndex(where: { $0.role == .user }), last == merged.count - 1 {
                merged[last] = merged[last].saying(merged[last].text + "\n\n" + text)
            } else {
                merged.append(ChatMessage(.user, text))
            }
        }
        var result = self
        result.messages = merged
        return result
    }

    /// Tools as plain text, for templates without them: what there is and how to call it for the
    /// system to say, calls as the assistant's text, results as the user's. In the notation that
    /// Hermes and Qwen are trained on.
    func spellingOutTools() -> TemplateConversation {
        var result = self
        result.tools = []
        result.messages = []
        if !tools.isEmpty {
            let signatures = tools.map { ToolText.signature(of: $0) }.joined(separator: "\n")
            let manual = ToolText.manual.replacing("{tools}", with: signatures)
            if let first = messages.first, first.role == .system {
                result.messages = [first.saying(first.text + "\n\n" + manual)]
            } else {
                result.messages = [ChatMessage(.system, manual)]
            }
        }
        let rest =
            !tools.isEmpty && messages.first?.role == .system
            ? messages.dropFirst() : messages[...]
        for message in rest {
            switch message.role {
            case .assistant where !message.toolCalls.isEmpty:
                let calls = message.toolCalls.map(ToolText.call)
                let text = ([message.text] + calls).filter { !$0.isEmpty }
                result.messages.append(ChatMessage(.assistant, text.joined(separator: "\n")))
            case .tool:
                let text = "<tool_response>\n\(message.text)\n</tool_response>"
                // Templates want user and assistant to alternate.
                if let last = result.messages.last, last.role == .user {
                    result.messages[result.messages.count - 1] = last.saying(
                        last.text + "\n" + text)
                } else {
                    result.messages.append(ChatMessage(.user, text))
                }
            default: result.messages.append(message)
            }
        }
        return result
    }

    /// One call and its result after the other, for templates that know one call at a time.
    func callingOneByOne() -> TemplateConversation {
        var result = self
        result.messages = []
        var place = 0
        while place < messages.count {
            let message = messages[place]
            place += 1
            guard message.toolCalls.count > 1 else {
                result.messages.append(message)
                continue
            }
            var answers: [ChatMessage] = []
            while place < messages.count, messages[place].role == .tool {
                answers.append(messages[place])
                place += 1
            }
            for (index, call) in message.toolCalls.enumerated() {
                var single = ChatMessage(.assistant, index == 0 ? message.text : "")
                single.toolCalls = [call]
                result.messages.append(single)
                result.messages += answers.filter { $0.toolCallID == call.id }
                answers.removeAll { $0.toolCallID == call.id }
            }
            result.messages += answers
        }
        return result
    }
}

private enum ToolText {
    static let manual = """
        # Tools

        You may call one or more functions to assist with the user query.

        You are provided with function signatures within <tools></tools> XML tags:
        <tools>
        {tools}
        </tools>

        For each function call, return a json object with function name and arguments within \
        <tool_call></tool_call> XML tags:
        <tool_call>
        {"name": <function-name>, "arguments": <args-json-object>}
        </tool_call>
        """

    static func signature(of tool: ToolDefinition) -> String {
        var members = [
            JSONValue.Member("name", .string(tool.name)),
            JSONValue.Member("description", .string(tool.description)),
        ]
        if let parameters = tool.parameters {
            members.append(JSONValue.Member("parameters", parameters))
        }
        return JSONValue.object(members).text
    }

    static func call(_ call: ToolCall) -> String {
        let arguments = call.arguments.isEmpty ? "{}" : call.arguments
        let name = JSONValue.string(call.name).text
        return "<tool_call>\n{\"name\": \(name), \"arguments\": \(arguments)}\n</tool_call>"
    }
}

extension ChatMessage {
    fileprivate func saying(_ text: String) -> ChatMessage {
        var message = ChatMessage(role, text)
        message.toolCalls = toolCalls
        message.toolCallID = toolCallID
        message.name = name
        return message
    }
}
