import Core

/// An answer that was given once, as it came.
struct KeptAnswer: Sendable {
    let events: [ChatEvent]
    let completion: Completion
    let keptAt: Timestamp
    /// The trace of the call that made it.
    let traceID: String?
    /// What was left out of its prompt.
    let context: String?
    /// About what it takes in memory, with its place in the cache.
    let bytes: Int

    private static let overheadBytes = 512

    /// Nil for an answer that may not be given again: one that calls tools has effects, one that a
    /// filter cut is not the model's, and one that several candidates wrote was an emergency's.
    init?(
        _ events: [ChatEvent], _ completion: Completion, at time: Timestamp, traceID: String?,
        context: String? = nil
    ) {
        guard [.stop, .length].contains(completion.finishReason) else { return nil }
        let isOnce = events.contains { event in
            switch event {
            case .toolCall, .switched: true
            case .text, .reasoning, .seal, .logprobs: false
            }
        }
        guard !isOnce else { return nil }
        self.events = events
        self.completion = completion
        keptAt = time
        self.traceID = traceID
        self.context = context
        bytes = events.reduce(Self.overheadBytes) { $0 + $1.cachedBytes }
    }
}

extension ChatEvent {
    /// About what it takes in memory.
    var cachedBytes: Int {
        let own = MemoryLayout<ChatEvent>.stride
        switch self {
        case .text(let text), .reasoning(let text): return own + text.utf8.count
        case .toolCall(let piece):
            return own + piece.arguments.utf8.count + (piece.name ?? "").utf8.count
        case .switched: return own
        case .seal(.signature(let text)), .seal(.redacted(let text)):
            return own + text.utf8.count
        case .logprobs(let tokens):
            return tokens.reduce(own) { sum, token in
                sum + (1 + token.top.count) * 2 * MemoryLayout<TokenLogprob>.stride
            }
        }
    }
}
