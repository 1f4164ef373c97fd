import Core
import Logging
import Synchronization

extension Orchestrator {
    /// Reads the parts of the turn's plan and writes the answer from what was noted of them. What it
    /// appends to the turn: how far reading is, the passages, and the text.
    func readWhole(_ begun: BegunTurn, _ plan: WholePlan) async -> Generation {
        let turn = begun.turn
        let prepared = begun.prepared
        var chat = prepared.chat
        // What was opened first is a note.
        chat.sampling.outputTokensMax = begun.request.sampling.outputTokensMax
        let reading = WholeReading(
            plan: plan, chat: chat, model: model, shape: prepared.shape,
            card: prepared.card, environment: environment)
        // Also of a turn that is stopped on the way.
        let completions = Mutex<[Completion]>([])
        func sum() -> Completion? {
            let taken = completions.withLock { $0 }
            return Completion.sum(taken, from: begun.startedAt, to: environment.now())
        }
        func generation(_ end: TurnEnd, _ whole: WholeAnswer?, firstTextAt: Timestamp?)
            -> Generation
        {
            Generation(end: end, completion: sum(), firstTextAt: firstTextAt, whole: whole)
        }
        let count = plan.parts.count
        turn.append(.progress(Self.progress(0, of: count)))
        var whole: WholeAnswer?
        do {
            let notes = try await reading.notes(first: begun.call) { note, done in
                if let completion = note.completion {
                    completions.withLock { $0.append(completion) }
                }
                turn.append(.progress(Self.progress(done, of: count)))
            }
            if let failure = notes.compactMap(\.failure).first,
                notes.allSatisfy({ $0.completion == nil })
            {
                throw failure
            }
            if notes.count < count {
                turn.append(.progress(Self.progress(count, of: count, read: notes.count)))
            }
            if let shortfall = reading.shortfall(of: notes) { turn.append(.notice(shortfall)) }
            guard turn.stopReason == nil else { throw CancellationError() }
            let lines = reading.lines(of: notes)
            whole = WholeAnswer(notes: lines)
            if !lines.passages.isEmpty { turn.append(.passages(lines.passages)) }
            let firstTextAt = environment.now()
            let completion = try await write(from: lines, reading, into: turn)
            if let completion { completions.withLock { $0.append(completion) } }
            guard turn.stopReason == nil else { throw CancellationError() }
            guard let all = sum() else { throw Failure(.internalError, "No part was read.") }
            return generation(.completed(all), whole, firstTextAt: firstTextAt)
        } catch {
            return generation(end(of: turn, after: error), whole, firstTextAt: nil)
        }
    }

    private static func progress(_ done: Int, of count: Int, read: Int? = nil) -> JobProgress {
        JobProgress(
            done: done, total: count,
            message: done < count
                ? "Read \(done) of \(count) parts" : "Writing from \(read ?? count) parts")
    }

    /// Streams the answer from the notes; nil where it is the notes themselves.
    private func write(
        from notes: WholeNotes, _ reading: WholeReading, into turn: LiveTurn
    ) async throws -> Completion? {
        guard let request = try await reading.answer(from: notes) else {
            let text = notes.lines.isEmpty ? Self.nothingNoted : notes.asAnswer
            turn.append(.text(text))
            return nil
        }
        do {
            var length = 0
            return try await model.open(request).run { event in
                guard case .text(let piece) = event, !piece.isEmpty else { return }
                guard turn.stopReason == nil else { throw CancellationError() }
                length += piece.unicodeScalars.count
                // The rest of what may be kept is the quotation's.
                guard length <= Self.answerCharactersMax else { return }
                turn.append(.text(piece))
            }
        } catch let failure as Failure where turn.stopReason == nil && failure.code != .cancelled {
            // The notes are there and paid for.
            turn.append(
                .notice("The answer is what was noted, as it came: \(failure.message)"))
            let lead = reading.plan.quotation?.lead ?? ""
            let isBegun = turn.text.unicodeScalars.count > lead.unicodeScalars.count
            turn.append(.text((isBegun ? "\n\n" : "") + notes.asAnswer))
            return nil
        }
    }

    static let nothingNoted =
        "All parts were read, and nothing in them answers the question."

    /// Marks and verdicts for an answer from notes. What a small model wrote over them, and they do
    /// not bear out, gives way to the notes.
    func reviewWhole(
        _ written: String, _ whole: WholeAnswer, of begun: BegunTurn
    ) async -> AnswerReview.Result {
        let review = AnswerReview(
            question: begun.request.question, passages: whole.notes.passages,
            quotesPassages: false)
        func reviewed(_ text: String) async -> AnswerReview.Result {
            await review.review(text) { pairs in
                await cosines(of: pairs, for: begun.request.principal)
            }
        }
        var result = await reviewed(written)
        let isDoubtful = result.supportedCount * 3 < result.sentenceCount * 2
        if begun.prepared.shape.quotesPassages, isDoubtful, !whole.notes.lines.isEmpty {
            result = await reviewed(whole.notes.asAnswer)
            result.notice =
                "What the model made of its notes did not hold, so the notes are the answer."
        }
        return result
    }
}

/// What an answer over a whole text rests on.
struct WholeAnswer: Sendable {
    let notes: WholeNotes
}

extension AnswerReview.Result {
    /// The same behind a quotation of one of the passages, where it is not one itself.
    func following(_ quotation: Quotation, of passages: [Passage]) -> AnswerReview.Result {
        let number = quotation.window.number
        guard passages.indices.contains(number - 1), !citations.contains(where: \.isQuoted)
        else { return self }
        var result = self
        let lead = quotation.lead
        result.text = lead + text
        let shift = lead.unicodeScalars.count
        result.verdicts = verdicts.map { verdict in
            var moved = SentenceVerdict(
                start: verdict.start + shift, end: verdict.end + shift, support: verdict.support,
                number: verdict.number, method: verdict.method, score: verdict.score)
            (moved.evidenceStart, moved.evidenceEnd) = (verdict.evidenceStart, verdict.evidenceEnd)
            (moved.wrongNumbers, moved.reason) = (verdict.wrongNumbers, verdict.reason)
            return moved
        }
        result.citations =
            [Citation(number: number, passage: passages[number - 1], origin: .quoted)]
            + citations.filter { $0.number != number }
        return result
    }
}

extension Citation {
    fileprivate var isQuoted: Bool { origin == .quoted }
}
