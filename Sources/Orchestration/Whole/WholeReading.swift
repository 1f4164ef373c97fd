import Core
import Logging
import Tracing

/// Reads the parts of a plan through a model and makes one answer of what is noted of them.
struct WholeReading: Sendable {
    let plan: WholePlan
    let chat: ChatRequest
    let model: any ChatModel
    let shape: TurnShape
    let card: ModelCard
    let environment: Environment

    /// What was noted of a part, and what that took.
    struct Note: Sendable {
        let part: Int
        var text = ""
        var completion: Completion?
        var failure: Failure?
    }

    /// The request that notes a part.
    func request(forPart number: Int) -> ChatRequest {
        var request = chat
        request.messages = plan.messages(forPart: number)
        request.sampling.outputTokensMax = plan.noteTokensMax
        return request
    }

    /// Notes every part, a few at a time and the first through the call that is open already. Parts
    /// that are not begun by the plan's deadline are left out, and none is begun once a budget is
    /// used up. `noted` is told each as it comes, and how many those are.
    func notes(
        first: ChatCall, noted: @escaping @Sendable (Note, Int) -> Void
    ) async throws -> [Note] {
        var notes: [Note] = []
        var next = 1
        try await withThrowingTaskGroup(of: Note.self) { group in
            group.addTask { try await note(of: 0, through: first) }
            while next < min(plan.callsAtOnce, plan.parts.count) {
                let number = next
                group.addTask { try await note(of: number, through: nil) }
                next += 1
            }
            while let note = try await group.next() {
                notes.append(note)
                noted(note, notes.count)
                // A model may answer a cancellation with what it has so far.
                try Task.checkCancellation()
                let isBroke = notes.contains { $0.failure?.code == .budgetExceeded }
                guard next < plan.parts.count, !isBroke, .now < plan.deadline else { continue }
                let number = next
                group.addTask { try await self.note(of: number, through: nil) }
                next += 1
            }
        }
        return notes.sorted { $0.part < $1.part }
    }

    private func note(of number: Int, through open: ChatCall?) async throws -> Note {
        try await withSpan("whole.part", ofKind: .internal) { span in
            span.attributes["heptad.part.number"] = number + 1
            span.attributes["heptad.part.characters"] = plan.parts[number].text.unicodeScalars.count
            var note = Note(part: number)
            do {
                let call: ChatCall
                if let open {
                    call = open
                } else {
                    call = try await model.open(request(forPart: number))
                }
                var text = ""
                note.completion = try await call.run { event in
                    guard case .text(let piece) = event else { return }
                    text += piece
                }
                note.text = text
            } catch {
                try Task.checkCancellation()
                note.failure = Failure(error)
                span.recordError(error)
            }
            return note
        }
    }

    /// The notes as the answer is made of them.
    func lines(of notes: [Note]) -> WholeNotes {
        var lines = WholeNotes(
            after: plan.quotation?.passage, kind: plan.kind, isStrict: shape.quotesPassages)
        for note in notes where note.failure == nil {
            lines.add(note.text, of: plan.parts[note.part], id: environment.identifier)
        }
        return lines
    }

    /// The request that answers from the notes; nil where no model is needed for that, or they do not
    /// fit into its context. Small models lose items of a list, so theirs is made without one.
    func answer(from notes: WholeNotes) async throws -> ChatRequest? {
        guard !notes.lines.isEmpty, plan.kind == .summary || !shape.quotesPassages else {
            return nil
        }
        var request = chat
        request.messages = plan.messages(for: notes.lines)
        request.sampling.outputTokensMax = Orchestrator.outputTokens(
            chat.sampling, shape, card)
        let counts = try await model.countTokens(
            request.messages.map(\.text), model: card.name)
        let tokens = counts.reduce(0) { $0 + $1 + ContextFit.tokensPerMessage }
        let room =
            Orchestrator.contextTokens(card) - (request.sampling.outputTokensMax ?? 0)
            - ContextFit.margin
        // More notes than a small model is ever given as passages are more than it can keep apart.
        let most = shape.quotesPassages ? min(room, shape.wholeTokensMax) : room
        return tokens <= most ? request : nil
    }

    /// What could not be read, in a sentence; nil where all was.
    func shortfall(of notes: [Note]) -> String? {
        let failed = notes.compactMap(\.failure)
        let unread = plan.parts.count - notes.count
        guard failed.count + unread > 0 else { return nil }
        var text = "\(failed.count + unread) of \(plan.parts.count) parts could not be read"
        if let reason = failed.first {
            text += ": \(reason.message)"
            if !".!?".contains(text.last ?? ".") { text += "." }
        } else {
            text += " in the time there is."
        }
        return text + " What they say may be missing."
    }
}

extension Completion {
    /// What several calls took together; the last one says how it ended.
    static func sum(_ parts: [Completion], from start: Timestamp, to end: Timestamp) -> Completion?
    {
        guard let last = parts.last else { return nil }
        var usage = TokenUsage()
        var cost = Picodollars.zero
        for part in parts {
            usage.freshInput += part.usage.freshInput
            usage.cacheRead += part.usage.cacheRead
            usage.cacheWrite += part.usage.cacheWrite
            usage.output += part.usage.output
            usage.reasoning += part.usage.reasoning
            usage.isEstimated = usage.isEstimated || part.usage.isEstimated
            cost = (try? cost.adding(part.cost)) ?? cost
        }
        return Completion(
            candidate: last.candidate, finishReason: last.finishReason, usage: usage, cost: cost,
            firstTokenMilliseconds: parts.first?.firstTokenMilliseconds,
            totalMilliseconds: (end - start).milliseconds)
    }
}
