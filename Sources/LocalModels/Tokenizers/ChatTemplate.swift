import Core

/// The chat template of a model's file: a program in Jinja that makes a prompt of a conversation.
/// It is read once, and tried out on small conversations to see what it can do; where it has no
/// place for a system message or for tools, they are brought in as text.
struct ChatTemplate: Sendable {
    let capabilities: TemplateCapabilities

    /// The file's name, for sentences.
    private let file: String
    private let program: TemplateProgram
    /// What the file has for conversations with tools; nil where that is the same.
    private let toolProgram: TemplateProgram?
    /// The texts of the tokens that begin and end a text; empty where there are none.
    private let begin: String
    private let end: String
    private let now: @Sendable () -> Timestamp
    private let limits: TemplateLimits

    /// A prompt, up to where the assistant speaks.
    struct Prompt: Hashable, Sendable {
        /// What the template wrote is trusted to have control tokens; what messages and tools say
        /// is not.
        let segments: [TextSegment]
        /// Whether the answer begins inside of the model's reasoning, which has to end with
        /// `</think>` before the answer proper.
        let opensThinking: Bool
    }

    /// Throws `unsupported` with the line and the construct when the file has no template, or one
    /// that cannot be read or does not end.
    init(
        _ gguf: GGUF, _ vocabulary: Vocabulary,
        now: @escaping @Sendable () -> Timestamp = Environment.system.now
    ) throws {
        let key = "tokenizer.chat_template"
        let toolSource = try gguf.stringIfPresent(key + ".tool_use")
        let source = try gguf.stringIfPresent(key) ?? toolSource ?? Self.chatML(vocabulary)
        guard let source else {
            throw Failure(
                .unsupported,
                "\(gguf.file.name) cannot be run: it has no chat template. Take a model made for "
                    + "chat.")
        }
        func text(_ name: String) throws -> String {
            guard let token = try gguf.integerIfPresent("tokenizer.ggml.\(name)_token_id"),
                (0..<vocabulary.count).contains(token)
            else { return "" }
            return String(decoding: vocabulary.text(of: token), as: UTF8.self)
        }
        try self.init(
            source, toolSource: toolSource, file: gguf.file.name, begin: try text("bos"),
            end: try text("eos"), now: now)
    }

    init(
        _ source: String, toolSource: String? = nil, file: String, begin: String = "",
        end: String = "", limits: TemplateLimits = TemplateLimits(),
        now: @escaping @Sendable () -> Timestamp = Environment.system.now
    ) throws {
        do throws(TemplateError) {
            program = try TemplateParser.program(of: source, limits)
            // Without it, tools are what the other template makes of them.
            let toolProgram = toolSource.flatMap { source in
                try? TemplateParser.program(of: source, limits)
            }
            self.toolProgram = toolProgram
            var limits = limits
            limits.stepsMax = Self.probeStepsMax
            let seconds = now().seconds
            let probe = TemplateProbe(
                render: { [program, limits] conversation, form throws(TemplateError) in
                    try TemplateEvaluator.render(
                        conversation.hasTools ? toolProgram ?? program : program,
                        conversation.variables(form, begin: begin, end: end), now: seconds, limits)
                }, begin: begin, end: end)
            capabilities = try probe.capabilities()
        } catch {
            throw Failure(
                .unsupported,
                "\(file) cannot be run: in line \(max(1, error.line)) of its chat template, "
                    + "\(Self.clipped(error.message)).")
        }
        self.file = file
        self.begin = begin
        self.end = end
        self.now = now
        self.limits = limits
    }

    /// A small conversation takes a few thousand steps; a template that does not end is found out
    /// in a moment.
    private static let probeStepsMax = 200_000

    /// The prompt for a conversation. `thinking` turns reasoning on or off where the template has a
    /// switch for it; nil leaves it to the template.
    ///
    /// Throws `invalid` in the template's own words where it refuses the conversation, `tooLarge`
    /// where rendering would go past the limits.
    func prompt(
        for messages: [ChatMessage], tools: [ToolDefinition] = [], thinking: Bool? = nil
    ) throws -> Prompt {
        guard !messages.isEmpty else {
            throw Failure(.invalid, "A conversation needs at least one message.")
        }
        let conversation = fitted(
            TemplateConversation(messages: messages, tools: tools, thinking: thinking))
        do throws(TemplateError) {
            return try render(conversation)
        } catch {
            guard error.kind == .refused,
                messages.dropFirst().contains(where: { $0.role == .system }),
                let prompt = try? render(conversation.mergingSystem(isLeadingKept: true))
            else { throw failure(error) }
            return prompt
        }
    }

    /// The same in tokens.
    func tokens(
        of messages: [ChatMessage], tools: [ToolDefinition] = [], thinking: Bool? = nil,
        _ tokenizer: Tokenizer
    ) throws -> [Int32] {
        tokenizer.prompt(
            of: try prompt(for: messages, tools: tools, thinking: thinking).segments)
    }

    private func fitted(_ conversation: TemplateConversation) -> TemplateConversation {
        var conversation = conversation
        if conversation.hasTools {
            if !capabilities.takesTools {
                conversation = conversation.spellingOutTools()
            } else if !capabilities.takesParallelCalls {
                conversation = conversation.callingOneByOne()
            }
        }
        return capabilities.takesSystem ? conversation : conversation.mergingSystem()
    }

    private func render(_ conversation: TemplateConversation) throws(TemplateError) -> Prompt {
        let text = try TemplateEvaluator.render(
            conversation.hasTools ? toolProgram ?? program : program,
            conversation.variables(capabilities.form, begin: begin, end: end), now: now().seconds,
            limits)
        return Prompt(
            segments: text.segments,
            opensThinking: text.trimmed(.end).hasSuffix(.own("<think>")))
    }

    private func failure(_ error: TemplateError) -> Failure {
        let message = Self.clipped(error.message)
        let place = "line \(error.line) of the chat template of \(file)"
        switch error.kind {
        case .refused:
            return Failure(
                .invalid, "The model's chat template refuses this conversation: \(message)",
                cause: place)
        case .limit:
            return Failure(
                .tooLarge,
                "The model's chat template cannot make a prompt of this conversation: \(message).",
                cause: place)
        case .syntax, .unsupported, .evaluation:
            return Failure(
                .invalid,
                "The model's chat template cannot make a prompt of this conversation: \(message) "
                    + "(line \(error.line)).", cause: place)
        }
    }

    /// A template's own words have no length by themselves.
    private static func clipped(_ message: String) -> String {
        let line = String(message.prefix(300).map { $0.isNewline ? " " : $0 })
        return message.count > 300 ? line + "…" : line
    }

    /// For files without a template that have ChatML's tokens.
    private static func chatML(_ vocabulary: Vocabulary) -> String? {
        guard vocabulary.controls["<|im_start|>"] != nil, vocabulary.controls["<|im_end|>"] != nil
        else { return nil }
        return """
            {% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' \
            + message['content'] + '<|im_end|>\\n' }}{% endfor %}\
            {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
            """
    }
}

extension TemplateConversation {
    /// Whether tools are offered or were used.
    var hasTools: Bool {
        !tools.isEmpty || messages.contains { $0.role == .tool || !$0.toolCalls.isEmpty }
    }
}
