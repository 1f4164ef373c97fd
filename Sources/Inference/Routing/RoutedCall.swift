import Core
import ServiceContextModule
import Synchronization

/// An answer on its way to the one who asked, run once: counted, timed, checked where a cheaper
/// candidate gives it, and carried on by the next candidate where one breaks off and the route says
/// so.
final class RoutedCall: Sendable {
    private let first: Mutex<Leg?>
    private let search: CandidateSearch
    private let request: ChatRequest
    private let openedAt: Timestamp
    private let around: CandidateSearch.Surroundings
    private var environment: Environment { around.environment }
    /// What attempts took that came to nothing, of all searches so far.
    private let spendings: Mutex<[CandidateUsage]>

    var spent: [CandidateUsage] { spendings.withLock { $0 } }

    // Events of an answer that is held back. Past it, it is shown as it is.
    private static let heldEventsMax = 100_000

    init(
        _ leg: Leg, _ search: CandidateSearch, _ request: ChatRequest, openedAt: Timestamp,
        around: CandidateSearch.Surroundings
    ) {
        first = Mutex(leg)
        spendings = Mutex(search.spent)
        self.search = search
        self.request = request
        self.openedAt = openedAt
        self.around = around
    }

    func run(_ emit: ChatCall.Emit) async throws -> Completion {
        guard var leg = take() else {
            throw Failure(.internalError, "A call can be run only once.")
        }
        var run = Run(search: search)
        while true {
            switch await stream(leg, &run, emit) {
            case .ended(let outcome):
                return completion(leg, outcome, run)
            case .readerLeft(let error):
                leg.span.failed(error)
                throw error
            case .rejected(let outcome, let complaint):
                let completed = completion(leg, outcome, run, complaint: complaint)
                leg.place.leave()
                run.search.took(outcome.usage, at: leg.candidate.name)
                guard
                    let next = try await another(
                        after: leg, complaint.rawValue, &run, taking: outcome.usage,
                        allowsLastResort: false)
                else {
                    // Nobody does better: the answer that is there is shown after all.
                    for event in run.held { try await emit(event) }
                    return completed
                }
                try await hand(over: leg, to: next, taking: outcome.usage, &run, emit)
                leg = next
            case .failed(let error):
                let failure = CandidateFailure(error)
                let stated = failure.usage
                let usage = stated ?? estimate(leg, run)
                leg.place.took(usage, cost: around.cost(of: leg.candidate.name, usage))
                leg.place.failed(failure.kind)
                leg.place.leave()
                leg.span.took(usage)
                leg.span.failed(error)
                run.search.took(usage, at: leg.candidate.name)
                guard mayGoOn(after: failure, leg, run),
                    let next = try await another(
                        after: leg, failure.kind.rawValue, &run, taking: usage)
                else {
                    var failure = failure.failure
                    failure.hasBeenRetried = run.search.attempts > 1
                    failure.spent =
                        stated.map {
                            [CandidateUsage(leg.candidate.name.description, $0)]
                        } ?? []
                    throw failure
                }
                try await hand(over: leg, to: next, taking: usage, &run, emit)
                leg = next
            }
        }
    }

    func abandon() async {
        guard let leg = take() else { return }
        await leg.call.abandon()
        leg.span.failed(CancellationError())
    }

    // MARK: One leg

    /// What has been said and done over all legs.
    private struct Run {
        var search: CandidateSearch
        var switches = 0
        /// Shown to the reader.
        var shown = AnswerSoFar()
        /// Of the leg that runs.
        var written = AnswerSoFar()
        var held: [ChatEvent] = []
        var firstTextAt: Timestamp?

        init(search: CandidateSearch) { self.search = search }
    }

    private enum End {
        case ended(ProviderOutcome)
        case rejected(ProviderOutcome, AnswerCheck.Complaint)
        case failed(any Error)
        case readerLeft(any Error)
    }

    private func stream(_ leg: Leg, _ run: inout Run, _ emit: ChatCall.Emit) async -> End {
        run.written = AnswerSoFar()
        run.held = []
        var continuation = Continuation(of: run.shown.text)
        var isHeld = leg.isChecked && run.switches < RouteRules.switchesMax && run.search.hasNext
        let hidesLogprobs =
            leg.isChecked && run.search.route.rules.confidenceMin > 0
            && request.sampling.topLogprobs == nil
        var readerError: (any Error)?
        func show(_ event: ChatEvent) async throws {
            if case .logprobs = event, hidesLogprobs { return }
            guard isHeld else { return try await pass(on: event) }
            run.held.append(event)
            guard run.held.count > Self.heldEventsMax else { return }
            isHeld = false
            try await showHeld()
        }
        func pass(on event: ChatEvent) async throws {
            run.shown.receive(event)
            do { try await emit(event) } catch {
                readerError = error
                throw error
            }
        }
        func showHeld() async throws {
            for event in run.held { try await pass(on: event) }
            run.held = []
        }
        do {
            let outcome = try await ServiceContext.withValue(leg.span.context) {
                try await leg.call.run { event in
                    run.written.receive(event)
                    guard case .text(let piece) = event else { return try await show(event) }
                    let text = continuation.receive(piece)
                    if !text.isEmpty { try await show(.text(text)) }
                }
            }
            let rest = continuation.finish()
            if !rest.isEmpty { try await show(.text(rest)) }
            if run.firstTextAt == nil { run.firstTextAt = outcome.firstTextAt }
            if isHeld {
                let check = AnswerCheck(
                    request: request, confidenceMin: run.search.route.rules.confidenceMin)
                if let complaint = check.complaint(run.written, outcome.finishReason) {
                    return .rejected(outcome, complaint)
                }
                try await showHeld()
            }
            return .ended(outcome)
        } catch {
            if let readerError { return .readerLeft(readerError) }
            return error is CancellationError ? .readerLeft(error) : .failed(error)
        }
    }

    private func completion(
        _ leg: Leg, _ outcome: ProviderOutcome, _ run: Run,
        complaint: AnswerCheck.Complaint? = nil
    ) -> Completion {
        let now = environment.now()
        let own = outcome.firstTextAt.map { Self.milliseconds(from: leg.openedAt, to: $0) }
        leg.place.took(
            outcome.usage, cost: around.cost(of: leg.candidate.name, outcome.usage))
        leg.place.answered(
            ArmFigures.Answer(
                firstToken: own, total: Self.milliseconds(from: leg.openedAt, to: now),
                isRejected: complaint != nil,
                isRefusal: outcome.finishReason == .contentFilter
                    || run.written.toolCalls.isEmpty && AnswerCheck.refuses(run.written.text)))
        var completion = Completion(
            candidate: leg.candidate.name.description, finishReason: outcome.finishReason,
            usage: outcome.usage,
            firstTokenMilliseconds: run.firstTextAt.map {
                Self.milliseconds(from: openedAt, to: $0)
            }, totalMilliseconds: Self.milliseconds(from: openedAt, to: now))
        run.search.learn(outcome.usage, of: leg)
        completion.stopSequence = outcome.stopSequence
        if let local = outcome.local { leg.span.note(local) }
        if let complaint { leg.span.rejected(complaint.rawValue) }
        leg.span.completed(completion, responseModel: outcome.responseModel)
        return completion
    }

    // MARK: From one leg to the next

    private func mayGoOn(after failure: CandidateFailure, _ leg: Leg, _ run: Run) -> Bool {
        guard run.switches < RouteRules.switchesMax, failure.kind.fallsThrough,
            run.search.hasNext || run.search.hasLastResort, !Task.isCancelled
        else { return false }
        // Nothing was shown, so this is no different from a candidate that never began.
        guard run.shown.bytes > 0 else { return true }
        return run.search.route.rules.continuesBroken && run.shown.canBeContinued(request)
    }

    /// The next who answers; nil when nobody does. What the last one took is said also where the
    /// client leaves meanwhile.
    private func another(
        after leg: Leg, _ reason: String, _ run: inout Run, taking usage: TokenUsage,
        allowsLastResort: Bool = true
    ) async throws -> Leg? {
        run.search.passOver(leg.candidate.name, reason)
        defer { spendings.withLock { $0 = run.search.spent } }
        do {
            return try await run.search.next(
                for: continued(run), allowsLastResort: allowsLastResort,
                // The header is out: what it does not say may not be done any more.
                mayShorten: leg.context != nil)
        } catch let error as CancellationError {
            var failure = Failure(error)
            failure.spent = [CandidateUsage(leg.candidate.name.description, usage)]
            throw failure
        } catch {
            return nil
        }
    }

    /// The request with the text so far as the beginning of the answer. Spaces at its end are left
    /// out: Anthropic refuses them, and others write worse after them.
    private func continued(_ run: Run) -> ChatRequest {
        var text = run.shown.text
        guard !text.isEmpty else { return request }
        var continued = request
        while text.last?.isWhitespace == true { text.removeLast() }
        if !text.isEmpty { continued.messages.append(ChatMessage(.assistant, text)) }
        if let limit = request.sampling.outputTokensMax {
            continued.sampling.outputTokensMax = max(
                1, limit - TokenEstimate.tokens(bytes: text.utf8.count))
        }
        return continued
    }

    private func hand(
        over leg: Leg, to next: Leg, taking usage: TokenUsage, _ run: inout Run,
        _ emit: ChatCall.Emit
    ) async throws {
        run.switches += 1
        let isContinued = run.shown.bytes > 0
        next.span.goesOn(for: leg.candidate.name, isContinued: isContinued)
        do {
            try await emit(
                .switched(
                    CandidateSwitch(
                        from: leg.candidate.name.description, usage: usage,
                        to: next.candidate.name.description, isContinued: isContinued)))
        } catch {
            await next.call.abandon()
            next.span.failed(error)
            throw error
        }
    }

    /// What a leg took that broke off before it could say so.
    private func estimate(_ leg: Leg, _ run: Run) -> TokenUsage {
        return TokenUsage(
            freshInput: run.search.promptTokens(leg)
                ?? TokenEstimate.tokens(leg.request.messages),
            output: TokenEstimate.tokens(bytes: run.written.bytes), isEstimated: true)
    }

    private func take() -> Leg? {
        first.withLock { leg in
            defer { leg = nil }
            return leg
        }
    }

    /// Never negative, though the machine's clock may be set back.
    private static func milliseconds(from start: Timestamp, to end: Timestamp) -> Double {
        max(0, (end - start).milliseconds)
    }
}
