import Core

/// ChatML, as a model's file asks for it. Templates are programs in Jinja; running them is not
/// worth an interpreter, so the known ones are recognised and all others refused.
struct ChatTemplate: Sendable {
    /// What the template puts first where a conversation has no system message of its own.
    let defaultSystemPrompt: String?
    /// How the model writes calls of tools.
    let toolSyntax: ToolSyntax
    private let start: Int32
    private let end: Int32

    init(_ gguf: GGUF, _ vocabulary: Vocabulary) throws {
        let file = gguf.file.name
        guard let source = try gguf.stringIfPresent("tokenizer.chat_template") else {
            throw Failure(
                .unsupported,
                "\(file) cannot be run: it has no chat template. Take a model made for chat.")
        }
        let (rest, defaultSystemPrompt) = Self.cutDefaultSystemPrompt(from: source)
        guard Self.normalised(rest) == Self.normalised(Self.chatML) else {
            let shown = String(source.prefix(60).map { $0.isNewline ? " " : $0 })
            throw Failure(
                .unsupported,
                "\(file) cannot be run: its chat template is not plain ChatML, with or without a "
                    + "default system prompt. It begins: \(shown)")
        }
        guard let start = vocabulary.controls["<|im_start|>"],
            let end = vocabulary.controls["<|im_end|>"]
        else {
            throw GGUF.damaged(file, "its chat template uses tokens that it does not have")
        }
        self.defaultSystemPrompt = defaultSystemPrompt
        toolSyntax = ToolSyntax(ofTemplate: source)
        self.start = start
        self.end = end
    }

    /// The conversation in tokens, up to where the assistant speaks. What the messages say is plain
    /// text, so nobody can write a control token.
    func tokens(of messages: [ChatMessage], _ tokenizer: BytePairTokenizer) throws -> [Int32] {
        guard let first = messages.first else {
            throw Failure(.invalid, "A conversation needs at least one message.")
        }
        var tokens: [Int32] = []
        let newline = tokenizer.tokens(of: "\n")
        func append(_ role: String, _ text: String) {
            tokens.append(start)
            tokens.append(contentsOf: tokenizer.tokens(of: role + "\n" + text))
            tokens.append(end)
            tokens.append(contentsOf: newline)
        }
        if let defaultSystemPrompt, first.role != .system { append("system", defaultSystemPrompt) }
        for message in messages { append(message.role.rawValue, message.text) }
        tokens.append(start)
        tokens.append(contentsOf: tokenizer.tokens(of: "assistant\n"))
        return tokens
    }

    private static let chatML = """
        {% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + \
        message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
        """

    /// Takes `{% if loop.first and messages[0]['role'] != 'system' %}{{ '...' }}{% endif %}` out.
    private static func cutDefaultSystemPrompt(from source: String) -> (String, String?) {
        let opening = "{% if loop.first and messages[0]['role'] != 'system' %}"
        let closing = "{% endif %}"
        guard let start = source.firstRange(of: opening),
            let end = source[start.upperBound...].firstRange(of: closing)
        else { return (source, nil) }
        let unescaped = source[start.upperBound..<end.lowerBound]
            .replacing("\\n", with: "\n")
        let before = "{{ '<|im_start|>system\n"
        let after = "<|im_end|>\n' }}"
        guard unescaped.hasPrefix(before), unescaped.hasSuffix(after),
            unescaped.utf8.count >= before.utf8.count + after.utf8.count
        else { return (source, nil) }
        let prompt = String(unescaped.dropFirst(before.count).dropLast(after.count))
        let rest = source[..<start.lowerBound] + source[end.upperBound...]
        return (String(rest), prompt)
    }

    /// Without white space outside of quotes, and with one kind of quote and of newline: files
    /// differ in these.
    private static func normalised(_ template: String) -> String {
        var isQuoted = false
        var result = ""
        for character in template.replacing("\\n", with: "\n").replacing("\"", with: "'") {
            if character == "'" { isQuoted.toggle() }
            if isQuoted || !character.isWhitespace { result.append(character) }
        }
        return result
    }
}
