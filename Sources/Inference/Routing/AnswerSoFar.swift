import Core

/// What an answer has said so far, as far as it matters to those who may go on with it.
struct AnswerSoFar: Sendable {
    private(set) var text = ""
    private(set) var logprobSum = 0.0
    private(set) var logprobCount = 0
    private var calls: [Int: ToolCall] = [:]
    private var otherBytes = 0

    /// In their order.
    var toolCalls: [ToolCall] { calls.sorted { $0.key < $1.key }.map(\.value) }

    /// Everything that was written, thoughts and calls included, for an estimate of its tokens.
    var bytes: Int { text.utf8.count + otherBytes }

    mutating func receive(_ event: ChatEvent) {
        switch event {
        case .text(let piece): text += piece
        case .reasoning(let piece): otherBytes += piece.utf8.count
        case .toolCall(let piece):
            otherBytes += piece.arguments.utf8.count + (piece.name?.utf8.count ?? 0)
            let earlier = calls[piece.index]
            calls[piece.index] = ToolCall(
                id: piece.id ?? earlier?.id ?? "", name: piece.name ?? earlier?.name ?? "",
                arguments: (earlier?.arguments ?? "") + piece.arguments)
        case .logprobs(let tokens):
            logprobSum += tokens.reduce(0) { $0 + max(-100, min(0, $1.logprob)) }
            logprobCount += tokens.count
        case .seal, .switched: break
        }
    }

    /// Whether another candidate can go on with it: plain text can be, half a tool call or half a
    /// JSON object cannot.
    func canBeContinued(_ request: ChatRequest) -> Bool {
        calls.isEmpty && request.responseFormat == .text && request.toolChoice != .required
            && request.sampling.topLogprobs == nil
    }
}
