import Core

/// One answer as it comes: events in, what OpenAI's clients are sent of it out.
struct OpenAIChoice: Sendable {
    let index: Int
    private var text = ""
    private var reasoning = ""
    private var calls: [Int: ToolCall] = [:]
    private var logprobs: [TokenLogprob] = []
    /// Told of, but not sent yet.
    private var pending: [TokenLogprob] = []

    init(index: Int) { self.index = index }

    /// Takes an event, and returns what a stream sends for it; nil for what waits for the next.
    mutating func receive(_ event: ChatEvent) -> OpenAIChatAnswer.Choice? {
        switch event {
        case .logprobs(let tokens):
            logprobs += tokens
            pending += tokens
            return nil
        // For the provider alone; its place is in Anthropic's API.
        case .seal: return nil
        case .switched(let change):
            var told = delta(OpenAIChatAnswer.Message())
            told.switched = change
            return told
        case .text(let piece):
            text += piece
            return delta(OpenAIChatAnswer.Message(content: piece))
        case .reasoning(let piece):
            reasoning += piece
            return delta(OpenAIChatAnswer.Message(reasoning: piece))
        case .toolCall(let piece):
            let earlier = calls[piece.index]
            calls[piece.index] = ToolCall(
                id: piece.id ?? earlier?.id ?? "", name: piece.name ?? earlier?.name ?? "",
                arguments: (earlier?.arguments ?? "") + piece.arguments)
            return delta(
                OpenAIChatAnswer.Message(toolCalls: [
                    OpenAIChatAnswer.ToolCall(
                        index: piece.index, id: piece.id, type: piece.id == nil ? nil : "function",
                        name: piece.name, arguments: piece.arguments)
                ]))
        }
    }

    /// The last of a stream.
    mutating func end(_ reason: Completion.FinishReason) -> OpenAIChatAnswer.Choice {
        var last = delta(OpenAIChatAnswer.Message())
        last.finishReason = reason.openAIName
        return last
    }

    /// All of the answer.
    func whole(_ reason: Completion.FinishReason) -> OpenAIChatAnswer.Choice {
        let calls = calls.sorted { $0.key < $1.key }.map { _, call in
            OpenAIChatAnswer.ToolCall(
                id: call.id, type: "function", name: call.name, arguments: call.arguments)
        }
        return OpenAIChatAnswer.Choice(
            index: index,
            message: OpenAIChatAnswer.Message(
                role: "assistant", content: text.isEmpty && !calls.isEmpty ? nil : text,
                reasoning: reasoning.isEmpty ? nil : reasoning,
                toolCalls: calls.isEmpty ? nil : calls, isWhole: true),
            finishReason: reason.openAIName, logprobs: OpenAILogprobs(logprobs))
    }

    private mutating func delta(_ message: OpenAIChatAnswer.Message) -> OpenAIChatAnswer.Choice {
        defer { pending = [] }
        return OpenAIChatAnswer.Choice(
            index: index, delta: message, logprobs: OpenAILogprobs(pending))
    }
}
