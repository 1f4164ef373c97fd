import Core
import Logging
import Metrics
import ServiceContextModule
import Tracing

extension Orchestrator {
    // Each group commit takes what came in this time, or as soon as `LiveTurn.commitEvents` have.
    static let commitInterval = Duration.milliseconds(50)
    // So many events may wait for a disk that has stopped; past it the answer waits with them.
    static let unsavedEventsMax = 2048
    // Longest answer that is kept, whatever a model may send.
    static let answerCharactersMax = 400_000
    static let saveAttemptsMax = 3
    static let saveRetryDelay = Duration.milliseconds(200)

    /// Writes the answer of a begun turn, from the model's first token to the closed span.
    func answer(_ begun: BegunTurn) async {
        await ServiceContext.withValue(begun.span.context) {
            let generation = await generate(begun)
            var begun = begun
            if let notes = generation.whole?.notes { begun.prepared.passages = notes.passages }
            let review = await review(begun, generation)
            if let notice = review?.result.notice { begun.turn.append(.notice(notice)) }
            let completion = await completion(of: generation, begun)
            await close(begun, outcome(of: begun, generation.end, completion, review))
        }
    }

    /// Runs the model beside those who may end it early. Returns when none of them runs any more.
    private func generate(_ begun: BegunTurn) async -> Generation {
        let turn = begun.turn
        if let quotation = begun.prepared.quotation { turn.append(.text(quotation.lead)) }
        let seconds = configuration.turnSecondsMax
        return await withTaskGroup(of: Generation?.self) { group in
            group.addTask {
                if let plan = begun.prepared.whole { return await self.readWhole(begun, plan) }
                return await self.stream(begun)
            }
            group.addTask {
                await turn.waitForStop()
                return nil
            }
            group.addTask {
                do { try await Task.sleep(for: .seconds(seconds)) } catch { return nil }
                turn.stop(.timeout(seconds: seconds))
                return nil
            }
            group.addTask {
                await self.commitInGroups(turn)
                return nil
            }
            // Whoever returns first ends the others; the model's own end is the one that counts.
            var result: Generation?
            for await generation in group {
                group.cancelAll()
                result = result ?? generation
            }
            return result ?? Generation(end: .stopped(.shutdown), firstTextAt: nil)
        }
    }

    /// Provider chunk -> event -> log, in this one task.
    private func stream(_ begun: BegunTurn) async -> Generation {
        let turn = begun.turn
        var watch = RepetitionWatch()
        var length = 0
        var firstTextAt: Timestamp?
        do {
            let completion = try await begun.call.run { event in
                if case .switched(let change) = event, change.isContinued {
                    turn.append(.notice(Self.notice(of: change)))
                }
                guard case .text(let piece) = event, !piece.isEmpty else { return }
                guard turn.stopReason == nil else { throw CancellationError() }
                firstTextAt = firstTextAt ?? environment.now()
                if turn.append(.text(piece)) >= Self.unsavedEventsMax {
                    try await saveEvents(of: turn)
                }
                length += piece.unicodeScalars.count
                if begun.prepared.shape.endsLoops, let kept = watch.add(piece) {
                    throw CutOff(keeping: kept)
                }
                if length > Self.answerCharactersMax { throw CutOff(keeping: turn.text) }
            }
            // A model may also answer a cancellation with what it has so far.
            let end = turn.stopReason.map { TurnEnd.stopped($0) } ?? .completed(completion)
            return Generation(end: end, completion: completion, firstTextAt: firstTextAt)
        } catch {
            return Generation(end: end(of: turn, after: error), firstTextAt: firstTextAt)
        }
    }

    func end(of turn: LiveTurn, after error: any Error) -> TurnEnd {
        if let cutOff = error as? CutOff { return .cutOff(keeping: cutOff.keeping) }
        if let reason = turn.stopReason { return .stopped(reason) }
        // Cancelled from above: the server is going down without waiting.
        if Task.isCancelled { return .stopped(.shutdown) }
        logger.warning("A model failed in a turn", metadata: ["error": "\(error)"])
        return .failed(Failure(error))
    }

    /// Saves events while the model writes, many to a commit, until cancelled.
    private func commitInGroups(_ turn: LiveTurn) async {
        while !Task.isCancelled {
            await turn.waitForUnsaved()
            await turn.waitForGroup(atMost: Self.commitInterval)
            guard !Task.isCancelled else { return }
            do {
                try await saveEvents(of: turn)
            } catch {
                // They stay unsaved and go with the next commit, or with the last one.
                if Task.isCancelled { return }
                logger.error("A turn's events could not be saved", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: Self.saveRetryDelay)
            }
        }
    }

    private func saveEvents(of turn: LiveTurn) async throws {
        let (events, after) = turn.unsaved
        guard !events.isEmpty else { return }
        do {
            try await store.append(events, to: turn.id, after: after, at: environment.now())
        } catch {
            throw Failure(
                .unavailable, "The answer could not be saved. Is the disk full?", cause: error)
        }
        turn.markSaved(through: after + events.count)
    }

    /// An answer that was held against its passages.
    struct Reviewed {
        var result: AnswerReview.Result
        var search: SearchReport?
    }

    /// Marks, verdicts and quotations, for an answer that came to an end of its own.
    private func review(_ begun: BegunTurn, _ generation: Generation) async -> Reviewed? {
        let written: String
        switch generation.end {
        case .completed: written = begun.turn.text
        case .cutOff(let kept): written = kept
        case .stopped, .failed: return nil
        }
        return await withSpan("attribute", ofKind: .internal) { span in
            var reviewed = await reviewed(begun.written(written), generation.whole, of: begun)
            if let quotation = begun.prepared.quotation {
                reviewed.result = reviewed.result.following(
                    quotation, of: begun.prepared.passages)
            }
            Self.describe(reviewed.result, in: span)
            return reviewed
        }
    }

    private func reviewed(
        _ written: String, _ whole: WholeAnswer?, of begun: BegunTurn
    ) async -> Reviewed {
        if let whole {
            let result = await reviewWhole(written, whole, of: begun)
            return Reviewed(result: result, search: begun.prepared.search)
        }
        let review = AnswerReview(
            question: begun.request.question, passages: begun.prepared.passages,
            quotesPassages: begun.prepared.shape.quotesPassages)
        let result = await review.review(written) { pairs in
            await cosines(of: pairs, for: begun.request.principal)
        }
        return await explained(result, of: begun)
    }

    /// An answer that is none says what was looked for.
    private func explained(_ result: AnswerReview.Result, of begun: BegunTurn) async -> Reviewed {
        var reviewed = Reviewed(result: result, search: begun.prepared.search)
        let isWithout = result.isAbstention || Refusal.isOne(result.text)
        guard isWithout, var report = reviewed.search else { return reviewed }
        if report.documentCount == nil {
            report = await completed(report, for: begun.request.principal)
        }
        reviewed.search = report
        if result.isAbstention {
            reviewed.result.text += "\n\n" + report.sentence
        } else if result.notice == nil, !begun.prepared.passages.isEmpty {
            reviewed.result.notice = report.sentence
        }
        return reviewed
    }

    private static func describe(_ result: AnswerReview.Result, in span: any Span) {
        span.attributes["heptad.sentences.count"] = result.sentenceCount
        span.attributes["heptad.sentences.supported"] = result.supportedCount
        span.attributes["heptad.citations.count"] = result.citations.count
        span.attributes["heptad.answer.is_quoted"] =
            result.citations.contains { $0.origin == .quoted }
        span.attributes["heptad.answer.is_abstention"] = result.isAbstention
        for support in SentenceVerdict.Support.allCases {
            span.attributes["heptad.verdicts.\(support.rawValue)"] =
                result.verdicts.count { $0.support == support }
        }
        span.attributes["heptad.verdicts.wrong_citations"] =
            result.verdicts.reduce(0) { $0 + $1.wrongNumbers.count }
        let lines = result.verdicts.prefix(verdictsInTraceMax).map(\.line)
        span.attributes["heptad.verdicts"] = lines.joined(separator: "\n")
    }

    // Spans cut long attributes off; the turn itself has all of them.
    private static let verdictsInTraceMax = 24

    /// The model's own account, or, where it was stopped and gave none, ours: tokens as counted, and
    /// the card's price for them.
    private func completion(of generation: Generation, _ begun: BegunTurn) async -> Completion? {
        if let completion = generation.completion { return completion }
        guard let firstTextAt = generation.firstTextAt else { return nil }
        let prepared = begun.prepared
        let text = begun.written(begun.turn.text)
        let counted = try? await model.countTokens([text], model: prepared.card.name)
        let usage = TokenUsage(
            freshInput: prepared.promptTokens, output: counted?.first ?? text.utf8.count / 4,
            isEstimated: true)
        return Completion(
            candidate: begun.call.candidate, finishReason: .stop, usage: usage,
            cost: prepared.card.estimate(usage),
            firstTokenMilliseconds: (firstTextAt - begun.startedAt).milliseconds,
            totalMilliseconds: (environment.now() - begun.startedAt).milliseconds)
    }

    func outcome(
        of begun: BegunTurn, _ end: TurnEnd, _ completion: Completion?,
        _ review: Reviewed?
    ) -> TurnOutcome {
        let prepared = begun.prepared
        // What was stopped or broke off keeps its text, and those of its marks that are valid.
        let partial = CitationMarks.kept(in: begun.turn.text, count: prepared.passages.count)
        return TurnOutcome(
            state: end.state, text: review?.result.text ?? partial,
            citations: review?.result.citations
                ?? CitationMarks.citations(in: partial, of: prepared.passages),
            verdicts: review?.result.verdicts, search: review?.search ?? prepared.search,
            notices: begun.turn.notices,
            completion: completion, failure: end.failure,
            traceID: TraceContext.traceID(of: begun.span.context),
            totalMilliseconds: (environment.now() - begun.startedAt).milliseconds)
    }

    private static func notice(of change: CandidateSwitch) -> String {
        "\(change.from) broke off in the middle of the answer; \(change.to) wrote on from there."
    }

    /// Makes the end durable, then gives the turn's place back and lets the followers see the end.
    func close(_ begun: BegunTurn, _ outcome: TurnOutcome) async {
        let turn = begun.turn
        for attempt in 1...Self.saveAttemptsMax {
            let (events, after) = turn.unsaved
            let now = environment.now()
            do {
                try await shielded { [store] in
                    try await store.end(
                        turn.id, with: outcome, events: events + [.ended(outcome)], after: after,
                        at: now)
                }
                break
            } catch {
                // The followers get their end all the same; the rows say `interrupted` at the next
                // start.
                logger.error(
                    "The end of a turn could not be saved",
                    metadata: ["attempt": "\(attempt)", "error": "\(error)"])
                try? await Task.sleep(for: Self.saveRetryDelay)
            }
        }
        // First the place: who sees the end may ask the next question at once.
        turns.release(turn.id)
        turn.append(.ended(outcome))
        finish(begun.span, outcome)
    }

    private func finish(_ span: any Span, _ outcome: TurnOutcome) {
        span.attributes["heptad.turn.state"] = outcome.state.rawValue
        span.attributes["heptad.citations.count"] = outcome.citations.count
        if let usage = outcome.completion?.usage {
            span.attributes["gen_ai.usage.input_tokens"] = usage.input
            span.attributes["gen_ai.usage.output_tokens"] = usage.output
        }
        if let failure = outcome.failure {
            span.setStatus(SpanStatus(code: .error, message: failure))
        }
        span.end()
        Counter(label: "heptad_turns_total", dimensions: [("state", outcome.state.rawValue)])
            .increment()
        Metrics.Timer(label: "heptad_turn_duration_seconds")
            .recordSeconds(outcome.totalMilliseconds / 1000)
    }
}

/// How the model's part ended, and what is known beside it.
struct Generation: Sendable {
    let end: TurnEnd
    var completion: Completion?
    let firstTextAt: Timestamp?
    /// Where the answer is over a whole text.
    var whole: WholeAnswer?
}

private struct CutOff: Error {
    let keeping: String
}

extension SentenceVerdict {
    /// `0-54 supported [2] words 0.83`, for a trace.
    fileprivate var line: String {
        let passage = number.map { " [\($0)]" } ?? ""
        let wrong = wrongNumbers.isEmpty ? "" : ", wrongly cites \(wrongNumbers)"
        let hundredths = Int((score * 100).rounded())
        return "\(start)-\(end) \(support.rawValue)\(passage) \(method.rawValue)"
            + " \(hundredths) %\(wrong)"
    }
}

extension ModelCard {
    /// What the usage costs at the card's price; zero where none is known or it cannot be told.
    fileprivate func estimate(_ usage: TokenUsage) -> Picodollars {
        guard let price, let input = try? price.input.times(usage.input),
            let output = try? price.output.times(usage.output),
            let sum = try? input.adding(output)
        else { return .zero }
        return sum
    }
}
