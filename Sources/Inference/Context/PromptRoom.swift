import Core
import Metrics

/// Whether a prompt and its answer have room at a candidate, and what is left out where they do not.
struct PromptRoom: Sendable {
    let counter: TokenCounter
    let summaries: Summaries

    /// A prompt that is too long, with the numbers.
    struct Overflow: Hashable, Sendable {
        let tokens: Int
        let answerTokens: Int
        let windowTokens: Int
        let isEstimate: Bool

        var reason: String { "prompt of \(tokens) tokens over \(windowTokens)" }

        func failure(_ candidate: CandidateName) -> Failure {
            Failure(
                .tooLarge,
                "The prompt has \(isEstimate ? "about " : "")\(tokens) tokens and its answer may have"
                    + " \(answerTokens); \(candidate) reads \(windowTokens) together. Shorten the"
                    + " conversation, or pick a model with more context.")
        }
    }

    // An estimate this far over is no error of the estimate; nearer, the provider decides.
    private static let certainShare = 0.8
    private static let answerTokensDefault = 1024
    // Where nothing else fits, an answer may be this short.
    private static let answerTokensMin = 256
    // Turns are summarized by so many at once, so that the next questions find the summary kept.
    private static let summarizedTogether = 4
    private static let summaryOverhead = 32

    /// Nil where there is room, where nobody knows, or where the candidate says so itself.
    func overflow(
        _ request: ChatRequest, at candidate: Candidate, _ rules: ContextConfiguration
    ) throws -> Overflow? {
        let isShortened = Self.shortens(request, rules)
        // A local model that refuses counts as it does so, and the shortest answer will do.
        guard isShortened || !candidate.provider.isLocal && candidate.limits.isContextKnown else {
            return nil
        }
        let overflow = Overflow(
            tokens: try counter.tokens(request, at: candidate),
            answerTokens: Self.answerTokens(request, candidate.limits, rules),
            windowTokens: candidate.limits.contextTokens,
            isEstimate: !candidate.provider.isLocal)
        let least =
            isShortened
            ? overflow.tokens : Int(Double(overflow.tokens) * Self.certainShare)
        return least + overflow.answerTokens > overflow.windowTokens ? overflow : nil
    }

    static func shortens(_ request: ChatRequest, _ rules: ContextConfiguration) -> Bool {
        rules.policy != .refuse || request.truncates
    }

    /// The request with its oldest turns left out. Throws `tooLarge` where that does not help.
    func shortened(
        _ request: ChatRequest, _ overflow: Overflow, at candidate: Candidate,
        _ rules: ContextConfiguration
    ) async throws -> (request: ChatRequest, note: ContextNote) {
        let conversation = Conversation(request.messages)
        let window = overflow.windowTokens
        var summary: ContextNote.Summary?
        if rules.policy == .summarize {
            let room = window - overflow.answerTokens
            if let found = try await summarized(request, conversation, room, candidate, rules) {
                return found
            }
            try Task.checkCancellation()
            summary = .failed
        }
        let shortest = min(overflow.answerTokens, Self.answerTokensMin, max(1, window / 4))
        for answer in [overflow.answerTokens, shortest] {
            guard
                let count = try fewest(
                    conversation, request, candidate, room: window - answer)
            else { continue }
            var kept = request
            kept.messages = conversation.without(count)
            let note = ContextNote(
                dropped: conversation.dropped(count).count,
                tokens: try counter.tokens(kept, at: candidate), windowTokens: window,
                summary: summary)
            return (kept, note)
        }
        throw overflow.failure(candidate.name)
    }

    private func summarized(
        _ request: ChatRequest, _ conversation: Conversation, _ room: Int, _ candidate: Candidate,
        _ rules: ContextConfiguration
    ) async throws -> (request: ChatRequest, note: ContextNote)? {
        let summaryRoom = rules.summaryTokensMax + Self.summaryOverhead
        guard
            var count = try fewest(conversation, request, candidate, room: room - summaryRoom),
            count > 0
        else { return nil }
        let together = Self.summarizedTogether
        count = (count + together - 1) / together * together
        // A count that is corrected downwards is no reason to make another.
        let counts = [count, count + together, count + 2 * together].map {
            min($0, conversation.pieces.count)
        }
        count =
            counts.first {
                summaries.hasSummary(of: conversation.dropped($0), for: request, rules)
            } ?? counts[0]
        let dropped = conversation.dropped(count)
        guard let made = try await summaries.summary(of: dropped, for: request, rules) else {
            return nil
        }
        var kept = request
        kept.messages = Self.adding(made.text, to: conversation.without(count))
        let tokens = try counter.tokens(kept, at: candidate)
        guard tokens <= room else { return nil }
        return (
            kept,
            ContextNote(
                dropped: dropped.count, tokens: tokens,
                windowTokens: candidate.limits.contextTokens,
                summary: made.isKept ? .kept : .made)
        )
    }

    /// Before what the user says next, and in the user's name: what a summary quotes is no more to be
    /// trusted than what it is of.
    static func adding(_ summary: String, to messages: [ChatMessage]) -> [ChatMessage] {
        let text = "[Summary of the earlier conversation: \(summary)]"
        var messages = messages
        let first = messages.firstIndex { $0.role != .system } ?? messages.endIndex
        if first < messages.endIndex, messages[first].role == .user {
            var message = ChatMessage(.user, [.text(text)] + messages[first].parts)
            (message.name, message.cacheMark) = (messages[first].name, messages[first].cacheMark)
            messages[first] = message
        } else {
            messages.insert(ChatMessage(.user, text), at: first)
        }
        return messages
    }

    /// How few pieces have to go; nil where all of them are not enough.
    private func fewest(
        _ conversation: Conversation, _ request: ChatRequest, _ candidate: Candidate, room: Int
    ) throws -> Int? {
        func fits(_ count: Int) throws -> Bool {
            var kept = request
            kept.messages = conversation.without(count)
            return try counter.tokens(kept, at: candidate) <= room
        }
        // Halving: each try reads all that is left.
        var (least, most) = (0, conversation.pieces.count)
        guard try fits(most) else { return nil }
        while least < most {
            let middle = (least + most) / 2
            if try fits(middle) { most = middle } else { least = middle + 1 }
        }
        return least
    }

    /// What is kept for the answer: never more than half, or a client that asks for the longest
    /// there is would leave no room to ask.
    private static func answerTokens(
        _ request: ChatRequest, _ limits: ModelLimits, _ rules: ContextConfiguration
    ) -> Int {
        let reserve = rules.reserve > 0 ? rules.reserve : answerTokensDefault
        let wanted = min(request.sampling.outputTokensMax ?? reserve, limits.outputTokensMax)
        return max(1, min(wanted, limits.contextTokens / 2))
    }

    static func count(_ action: String, _ route: String) {
        Counter(
            label: "heptad_context_actions", dimensions: [("action", action), ("model", route)]
        ).increment()
    }
}
