import Core
import OrderedJSON

/// What a template can do, found out by rendering small conversations when it is loaded, and not by
/// the name of a model.
struct TemplateCapabilities: Hashable, Sendable {
    /// Whether a system message has its place. Where not, its text goes before the user's.
    var takesSystem = false
    /// Whether tools, calls of them and their results have their place. Where not, they are spelled
    /// out as text.
    var takesTools = false
    /// Whether one message may call several tools.
    var takesParallelCalls = false
    /// Whether reasoning can be turned on and off.
    var hasThinkingSwitch = false
    /// Whether the prompt begins with the begin-of-text token by itself.
    var writesBegin = false
    /// How the model writes a call; nil where tools are spelled out.
    var callShape: ToolCallShape?
    var form = TemplateForm()
}

/// What is around the name and the arguments of a call in the text of an answer, such as
/// `<tool_call>\n{"name": "` … `", "arguments": ` … `}\n</tool_call>`.
struct ToolCallShape: Hashable, Sendable {
    let beforeName: String
    let beforeArguments: String
    let afterArguments: String
    /// The id of the call where the notation has one: as it is in one of the three texts.
    var id: String?

    /// How tools are spelled out where a template does not know them.
    static let spelledOut = ToolCallShape(
        beforeName: "<tool_call>\n{\"name\": \"", beforeArguments: "\", \"arguments\": ",
        afterArguments: "}\n</tool_call>")
}

struct TemplateProbe {
    /// Renders a conversation as it is.
    let render: (TemplateConversation, TemplateForm) throws(TemplateError) -> TemplateText
    /// The texts of the tokens that begin and end a text; empty where there are none.
    let begin: String
    let end: String

    private static let system = "zqsystemqz"
    private static let question = "zqquestionqz"
    private static let answer = "zqanswerqz"
    private static let result = "zqresultqz"
    private static let tool = "zqtoolqz"
    private static let argument = "zqargumentqz"
    private static let arguments = "{\"zqargumentqz\": \"zqvalueqz\"}"

    /// Throws where the template cannot even make a prompt of a single question.
    func capabilities() throws(TemplateError) -> TemplateCapabilities {
        var found = TemplateCapabilities()
        let question = ChatMessage(.user, Self.question)
        let plain = try plainPrompt(question, &found.form)
        found.writesBegin = !begin.isEmpty && plain.hasPrefix(begin)
        found.takesSystem =
            text([ChatMessage(.system, Self.system), question], found.form)
            .map { $0.contains(Self.system) && $0.contains(Self.question) } ?? false
        found.hasThinkingSwitch =
            text([question], found.form, thinking: true)
            != text([question], found.form, thinking: false)
        findTools(&found, question)
        return found
    }

    private func plainPrompt(_ question: ChatMessage, _ form: inout TemplateForm)
        throws(TemplateError) -> String
    {
        let conversation = TemplateConversation(messages: [question])
        var first: TemplateError?
        for isEmptyList in [false, true] {
            for hasParts in [false, true] {
                form.hasParts = hasParts
                form.noToolsAreEmptyList = isEmptyList
                do throws(TemplateError) {
                    let text = try render(conversation, form).string
                    if text.contains(Self.question) { return text }
                    first =
                        first
                        ?? TemplateError(.evaluation, "what the user says is left out")
                } catch {
                    first = first ?? error
                }
            }
        }
        throw first ?? TemplateError(.evaluation, "nothing is rendered")
    }

    private func findTools(_ found: inout TemplateCapabilities, _ question: ChatMessage) {
        let tools = [
            ToolDefinition(
                name: Self.tool, description: "zq",
                parameters: .object([
                    JSONValue.Member("type", .string("object")),
                    JSONValue.Member(
                        "properties",
                        .object([
                            JSONValue.Member(
                                Self.argument,
                                .object([JSONValue.Member("type", .string("string"))]))
                        ])),
                ]))
        ]
        guard text([question], found.form, tools: tools)?.contains(Self.tool) == true else {
            return
        }
        for argumentsAreText in [false, true] {
            for content in TemplateForm.CallContent.allCases {
                for isShort in [false, true] {
                    var form = found.form
                    form.argumentsAreText = argumentsAreText
                    form.callContent = content
                    form.callIDsAreShort = isShort
                    let shape: ToolCallShape
                    switch notation(question, tools, form) {
                    case .none: continue
                    // Arguments as text would only be put into it.
                    case .own: return
                    case .json(let found): shape = found
                    }
                    found.form = form
                    found.takesTools = true
                    found.callShape = shape
                    found.takesParallelCalls = takesParallelCalls(question, tools, form)
                    return
                }
            }
        }
    }

    private func call(_ id: String) -> ToolCall {
        ToolCall(id: id, name: Self.tool, arguments: Self.arguments)
    }

    private func calling(_ calls: [ToolCall]) -> ChatMessage {
        var message = ChatMessage(.assistant, "")
        message.toolCalls = calls
        return message
    }

    private func result(of id: String, _ text: String) -> ChatMessage {
        var message = ChatMessage(.tool, text)
        message.toolCallID = id
        message.name = Self.tool
        return message
    }

    private enum Notation {
        /// The conversation does not come out whole.
        case none
        /// Arguments are not written as JSON, which the engine cannot hold a model to.
        case own
        case json(ToolCallShape)
    }

    private func notation(
        _ question: ChatMessage, _ tools: [ToolDefinition], _ form: TemplateForm
    ) -> Notation {
        let call = call("call_1234567890")
        let messages = [question, calling([call]), result(of: call.id, Self.result)]
        guard let whole = text(messages, form, tools: tools), whole.contains(Self.result),
            let prompt = text([question], form, tools: tools),
            let turn = text(
                Array(messages.prefix(2)), form, tools: tools, addsGenerationPrompt: false)
        else { return .none }
        let added = added(by: turn, to: prompt)
        guard let name = added.firstRange(of: Self.tool),
            let key = added[name.upperBound...].firstRange(of: Self.argument)
        else { return .none }
        let argument = added[name.upperBound...]
        // Python's notation of a mapping: the template is made for arguments that are text.
        if argument.contains("'\(Self.argument)'") { return .none }
        guard argument.contains("\"\(Self.argument)\""),
            let open = argument[..<key.lowerBound].lastIndex(of: "{"),
            let close = argument[key.upperBound...].firstIndex(of: "}")
        else { return .own }
        let id = form.callIDsAreShort ? TemplateConversation.shortID(call.id) : call.id
        return .json(
            ToolCallShape(
                beforeName: String(added[..<name.lowerBound]),
                beforeArguments: String(added[name.upperBound..<open]),
                afterArguments: withoutTurnEnd(
                    String(added[added.index(after: close)...]), question, tools, form),
                id: added.contains(id) ? id : nil))
    }

    /// What the answer in `turn` says, without what it may have thought.
    private func added(by turn: String, to prompt: String) -> String {
        var start = zip(prompt.utf8, turn.utf8).prefix { $0 == $1 }.count
        let bytes = Array(turn.utf8)
        // Two tokens may begin alike, as `<think>` and `<tool_call>`.
        if let open = bytes[..<start].lastIndex(of: UInt8(ascii: "<")),
            !bytes[open..<start].contains(UInt8(ascii: ">"))
        {
            start = open
        }
        let added = String(decoding: bytes[start...], as: UTF8.self)
        guard let thought = added.firstRange(of: "</think>"),
            let name = added.firstRange(of: Self.tool), thought.upperBound <= name.lowerBound
        else { return added }
        return String(added[thought.upperBound...].drop(while: \.isWhitespace))
    }

    /// Without what ends any answer.
    private func withoutTurnEnd(
        _ text: String, _ question: ChatMessage, _ tools: [ToolDefinition], _ form: TemplateForm
    ) -> String {
        let messages = [question, ChatMessage(.assistant, Self.answer)]
        guard let turn = self.text(messages, form, tools: tools, addsGenerationPrompt: false),
            let answer = turn.firstRange(of: Self.answer)
        else { return text }
        let rest = turn[answer.upperBound...]
        var text = text
        if !rest.isEmpty, text.hasSuffix(rest) { text = String(text.dropLast(rest.count)) }
        if !end.isEmpty, let found = text.firstRange(of: end) {
            text = String(text[..<found.lowerBound])
        }
        return text
    }

    private func takesParallelCalls(
        _ question: ChatMessage, _ tools: [ToolDefinition], _ form: TemplateForm
    ) -> Bool {
        let messages = [
            question, calling([call("call_1234567890"), call("call_1234567891")]),
            result(of: "call_1234567890", Self.result), result(of: "call_1234567891", Self.answer),
        ]
        guard let text = text(messages, form, tools: tools) else { return false }
        return text.contains(Self.result) && text.contains(Self.answer)
            && text.ranges(of: Self.argument).count >= 3
    }

    private func text(
        _ messages: [ChatMessage], _ form: TemplateForm, tools: [ToolDefinition] = [],
        thinking: Bool? = nil, addsGenerationPrompt: Bool = true
    ) -> String? {
        let conversation = TemplateConversation(
            messages: messages, tools: tools, thinking: thinking,
            addsGenerationPrompt: addsGenerationPrompt)
        return try? render(conversation, form).string
    }
}
