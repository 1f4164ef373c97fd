import CKernels
import Core
import Synchronization

/// Runs the calls of one model together, on the lead thread of its pool. The thread sleeps while
/// there are none.
///
/// `Scheduler` decides, `Transformer` reads, and each `Answer` picks its words. The lock around the
/// scheduler is held for its decisions only, never while something is read.
final class Engine: Sendable {
    private struct State {
        var scheduler: Scheduler
        /// Of the calls that wait.
        var answers: [Int: Answer] = [:]
        var ticket = 0
        var isLooping = false
        /// Gives up the cache when nobody has come for a while.
        var cacheTimer: Task<Void, Never>?
    }

    /// What only the lead thread touches.
    private final class Desk {
        let transformer: Transformer
        let pages: KeyValuePages
        /// Scratch to pick in, for each thread as long as the vocabulary.
        let candidates: UnsafeMutablePointer<kernel_candidate>
        /// Of the calls that run.
        var answers: [Int: Answer] = [:]

        init(_ transformer: Transformer, _ pages: KeyValuePages, candidates: Int) {
            self.transformer = transformer
            self.pages = pages
            self.candidates = .allocate(capacity: candidates)
        }

        deinit { candidates.deallocate() }
    }

    private struct Choice {
        let ticket: Int
        /// Where its rows of logits are, one after the other.
        let rows: Range<Int>
        let draft: ArraySlice<Int32>
        var answer: Answer
        var next: Answer.Next?
        /// How much of the draft stays.
        var accepted = 0
    }

    /// A cache past this many tokens would take longer to look through than to do without.
    private static let cachedPagesMax = 1 << 14

    private let name: String
    private let pool: WorkerPool
    private let memory: MemoryBudget
    private let need: MemoryNeed
    private let cacheKept: Duration
    private let vocabulary: Int
    private let now: @Sendable () -> Timestamp
    private let state: Mutex<State>
    // Only jobs of the pool's lead thread take the lock, one after the other, so nobody ever waits
    // for it; it is how the compiler knows that nobody else touches the desk.
    private let desk: Mutex<Desk>
    /// Pages of the reader that `inspect` hands out, beside those of calls.
    private let readerPages: Range<Int32>

    /// Takes what it needs from the budget until it is gone. Throws `unavailable` with the numbers
    /// when that does not fit.
    init(
        _ shape: ModelShape, _ weights: ModelWeights, name: String, vocabulary: Int,
        contextTokens: Int, pool: WorkerPool, options: LocalModelOptions, environment: Environment
    ) throws {
        self.name = name
        self.pool = pool
        self.vocabulary = vocabulary
        memory = options.memory
        cacheKept = options.cacheKept
        now = environment.now
        need = MemoryNeed(
            shape, weights, contextTokens: contextTokens, threads: pool.threads,
            precision: options.precision)
        try need.take(from: memory, model: name, contextTokens: contextTokens)
        do {
            let least = need.pagesPerContext
            let affordable = least + memory.leftBytes / need.bytesPerPage
            let pagesMax = min(
                affordable, max(Self.cachedPagesMax, least * options.limits.sequencesMax))
            readerPages = Int32(pagesMax)..<Int32(pagesMax + least)
            let pages = try KeyValuePages(shape, count: pagesMax + least)
            state = Mutex(
                State(
                    scheduler: Scheduler(
                        options.limits, ledger: PageLedger(pagesMax: pagesMax, limit: least),
                        draftRowsMax: Transformer.rowsAlikeMax(weights))))
            desk = Mutex(
                Desk(
                    Transformer(
                        shape, weights, pages: pages, pool: pool, precision: options.precision),
                    pages, candidates: vocabulary * pool.threads))
        } catch {
            memory.giveBack(need.bytesLeast)
            throw error
        }
    }

    deinit {
        let (timer, limit) = state.withLock { ($0.cacheTimer, $0.scheduler.pagesLimit) }
        timer?.cancel()
        memory.giveBack(
            need.bytesLeast + (limit - need.pagesPerContext) * need.bytesPerPage)
    }

    /// Puts a call in line. Throws `unavailable`, with the time after which to try again, when the
    /// line is full.
    func submit(
        _ answer: Answer, prompt: [Int32], outputTokensMax: Int, principal: String
    ) throws -> LocalCall {
        let (ticket, startsLoop) = try state.withLock { state in
            state.ticket += 1
            do throws(Scheduler.Refusal) {
                try state.scheduler.submit(
                    Scheduler.Call(
                        ticket: state.ticket, principal: principal, prompt: prompt,
                        outputTokensMax: outputTokensMax))
            } catch {
                throw refusal(error, state.scheduler)
            }
            state.answers[state.ticket] = answer
            state.cacheTimer?.cancel()
            state.cacheTimer = nil
            defer { state.isLooping = true }
            return (state.ticket, !state.isLooping)
        }
        let call = LocalCall(ticket: ticket, handover: answer.handover, engine: self)
        if startsLoop {
            do {
                try pool.submit { self.loop() }
            } catch {
                state.withLock { $0.isLooping = false }
                throw error
            }
        }
        return call
    }

    /// Takes a call out of the line, or ends it within one token.
    func cancel(_ ticket: Int) {
        let answer = state.withLock { state in
            guard state.scheduler.cancel(ticket) == .waiting else { return nil as Answer? }
            return state.answers.removeValue(forKey: ticket)
        }
        answer?.handover.end(.failure(CancellationError()))
    }

    /// What goes on now.
    var load: EngineLoad {
        state.withLock { state in
            EngineLoad(
                running: state.scheduler.runningCount, waiting: state.scheduler.waitingCount,
                pagesOwned: state.scheduler.pagesOwnedCount,
                pagesCached: state.scheduler.pagesCachedCount)
        }
    }

    /// Runs `body` on the engine's thread, after the calls that run now.
    func inspect<T: Sendable>(_ body: @escaping @Sendable (SequenceReader) -> T) async throws -> T {
        let (results, result) = AsyncStream.makeStream(of: T.self)
        try pool.submit { [self] in
            desk.withLock { desk in
                let reader = SequenceReader(
                    desk.transformer, pages: readerPages, candidates: desk.candidates)
                result.yield(body(reader))
                for page in readerPages { desk.pages.release(page) }
            }
            result.finish()
        }
        for await result in results { return result }
        throw CancellationError()
    }

    /// Gives up what is kept of calls that have ended, and its memory, unless calls run.
    func clearCache() throws {
        try pool.submit { [self] in
            desk.withLock { desk in
                let unused = state.withLock { state -> [Int32] in
                    guard !state.isLooping else { return [] }
                    let limit = state.scheduler.pagesLimit
                    let unused = state.scheduler.clearCache(limit: need.pagesPerContext)
                    memory.giveBack((limit - state.scheduler.pagesLimit) * need.bytesPerPage)
                    return unused
                }
                for page in unused { desk.pages.release(page) }
            }
        }
    }

    // MARK: The loop

    private func loop() {
        desk.withLock { desk in
            while let plan = nextPlan(desk) { perform(plan, desk) }
        }
    }

    /// Nil when there is nothing to do any more; the next call starts the loop again.
    private func nextPlan(_ desk: Desk) -> Scheduler.Plan? {
        state.withLock { state in
            let plan = state.scheduler.plan { pages, purpose in
                let bytes = pages * need.bytesPerPage
                return purpose == .call ? memory.take(bytes) : memory.takeSpare(bytes)
            }
            for admission in plan.admitted {
                var answer = state.answers.removeValue(forKey: admission.ticket)
                answer?.admit(promptTokensReused: admission.promptTokensReused)
                desk.answers[admission.ticket] = answer
            }
            if plan.parts.isEmpty, plan.dropped.isEmpty {
                state.isLooping = false
                state.cacheTimer = state.scheduler.pagesCachedCount > 0 ? cacheTimer() : nil
                return nil
            }
            return plan
        }
    }

    private func perform(_ plan: Scheduler.Plan, _ desk: Desk) {
        for ticket in plan.dropped {
            desk.answers.removeValue(forKey: ticket)?.handover.end(.failure(CancellationError()))
        }
        for copy in plan.copies { desk.pages.copy(copy.from, to: copy.to) }
        guard !plan.parts.isEmpty else { return }

        do {
            try desk.transformer.prepare()
        } catch {
            fail(plan, error, desk)
            return
        }
        let startedAt = now()
        // Who reads alone holds up nobody by stopping between two layers.
        let only = plan.parts.count == 1 ? plan.parts[0] : nil
        let handover = only.flatMap { desk.answers[$0.ticket]?.handover }
        let isRead = desk.transformer.read(
            plan.parts.map(\.step), isCancelled: { handover?.isCancelled ?? false })
        guard isRead else {
            if let only { cancel(only.ticket) }
            return
        }
        let choices = pick(plan, desk)
        let seconds = (now() - startedAt).milliseconds / 1000

        var endings: [(Handover, Answer.Ending)] = []
        state.withLock { state in
            let accepted = choices.reduce(into: [:]) { $0[$1.ticket] = $1.accepted }
            state.scheduler.wasRead(plan, accepted: accepted, seconds: seconds)
            for choice in choices {
                switch choice.next {
                case .read(let token, let draft):
                    state.scheduler.picked(token, draft: draft, for: choice.ticket)
                    desk.answers[choice.ticket] = choice.answer
                case .ended(let ending):
                    state.scheduler.end(choice.ticket, isSpoilt: ending.isSpoilt)
                    if case .success(let generation) = ending.outcome {
                        state.scheduler.answered(tokens: generation.outputTokens)
                    }
                    endings.append((choice.answer.handover, ending))
                case nil: preconditionFailure("Every call that is asked picks a token.")
                }
            }
        }
        for (handover, ending) in endings { handover.end(ending.outcome) }
    }

    /// Ends all calls of a plan that cannot be carried out.
    private func fail(_ plan: Scheduler.Plan, _ error: any Error, _ desk: Desk) {
        state.withLock { state in
            for part in plan.parts { state.scheduler.end(part.ticket, isSpoilt: true) }
        }
        for part in plan.parts {
            desk.answers.removeValue(forKey: part.ticket)?.handover.end(.failure(error))
        }
    }

    /// The next tokens of every call whose part was read to where one is asked for.
    private func pick(_ plan: Scheduler.Plan, _ desk: Desk) -> [Choice] {
        var rows: [Int] = []
        var choices: [Choice] = []
        var end = 0
        for part in plan.parts {
            end += part.step.tokens.count
            desk.answers[part.ticket]?.count(batch: plan.parts.count)
            if part.isAnswered, let answer = desk.answers.removeValue(forKey: part.ticket) {
                let first = rows.count
                rows += end - 1 - part.draftCount..<end
                choices.append(
                    Choice(
                        ticket: part.ticket, rows: first..<rows.count, draft: part.draft,
                        answer: answer))
            }
        }
        guard !rows.isEmpty else { return [] }
        let logits = desk.transformer.logits(rows: rows)
        // Each looks at the whole vocabulary, which can take as long as a tenth of the step.
        choices.withUnsafeMutableBufferPointer { choices in
            pool.share(choices.count, grain: 1) { range, worker in
                for number in range {
                    let rows = choices[number].rows
                    let own = rows.lowerBound * vocabulary..<rows.upperBound * vocabulary
                    (choices[number].next, choices[number].accepted) =
                        choices[number].answer.take(
                            UnsafeMutableBufferPointer(rebasing: logits[own]),
                            verifying: choices[number].draft,
                            desk.candidates + worker * vocabulary)
                }
            }
        }
        return choices
    }

    private func refusal(_ refusal: Scheduler.Refusal, _ scheduler: Scheduler) -> Failure {
        let seconds = max(1, min(600, Int(scheduler.secondsToRoom.rounded(.up))))
        let reason =
            switch refusal {
            case .lineIsFull:
                "\(name) is busy: \(scheduler.runningCount) calls run and \(scheduler.waitingCount)"
                    + " wait."
            case .shareIsFull: "\(name) is busy, and too many of your calls wait for it already."
            }
        return Failure(
            .unavailable, "\(reason) Try again in about \(seconds) s.",
            retryAfter: .seconds(seconds))
    }

    /// Not under anyone, because it waits for when there is nobody. It holds nothing but a weak
    /// reference, and ends with its sleep.
    private func cacheTimer() -> Task<Void, Never> {
        Task { [weak self, cacheKept] in
            do {
                try await Task.sleep(for: cacheKept)
                try self?.clearCache()
            } catch {
                // Cancelled: someone came. Or there is no memory for a job, and the cache stays.
            }
        }
    }
}

/// What an engine has to do.
package struct EngineLoad: Hashable, Sendable {
    package let running: Int
    package let waiting: Int
    /// Pages of keys and values that running calls have or are promised.
    let pagesOwned: Int
    let pagesCached: Int
}
