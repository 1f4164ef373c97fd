package import Core
import Logging
import Metrics
import ServiceContextModule
import Synchronization
import Tracing

/// A model that gives an answer again where the same user asks the same again, or something that
/// means the same, as the configuration allows, and asks once where the same is asked several times
/// at once. An answer that was there is streamed as it came and is not charged.
///
/// Who joins a call that is under way gets its events as they come. Where the one who opened it goes
/// away, it goes on for the others and the next of them pays; where it fails, it fails for all.
package final class CachedModel: ChatModel {
    private let model: any ChatModel
    private let rules: [String?: CacheRules]
    private let shelf: AnswerShelf
    private let questions: QuestionReader
    private let audit: CacheAudit?
    private let environment: Environment
    private let tracer: any Tracer
    private let logger = Logger(label: "heptad.cache")

    /// How often a call is joined whose opener goes away before it is open.
    private static let joinsMax = 8

    /// - Parameter audit: is shown a share of the answers to similar questions.
    package convenience init(
        _ model: any ChatModel, _ configuration: InferenceConfiguration, embedder: any Embedder,
        audit: CacheAudit?, environment: Environment
    ) {
        self.init(
            model, configuration, embedder: embedder, audit: audit, environment: environment,
            tracer: InstrumentationSystem.tracer)
    }

    init(
        _ model: any ChatModel, _ configuration: InferenceConfiguration, embedder: any Embedder,
        audit: CacheAudit?, environment: Environment,
        tracer: any Tracer
    ) {
        self.model = model
        rules = configuration.cacheRules()
        shelf = AnswerShelf(
            configuration.cache, keepsForOutages: rules.values.contains { $0.answersOutages },
            environment: environment)
        questions = QuestionReader(embedder, environment: environment)
        self.audit = audit
        self.environment = environment
        self.tracer = tracer
    }

    package func models() async -> [ModelCard] { await model.models() }

    package func countTokens(_ texts: [String], model name: String) async throws -> [Int] {
        try await model.countTokens(texts, model: name)
    }

    /// The answer that was given to the same request, else the one to a question that means the
    /// same; nil where there is none, or it is not this model's to give.
    package func recall(_ request: ChatRequest) async throws -> ChatCall? {
        let rules = rules(for: request)
        guard rules.keeps(request), let key = CacheKey(request) else { return nil }
        let openedAt = environment.now()
        if let answer = shelf.answer(to: key) {
            return given(answer, .hit, to: request, since: openedAt)
        }
        guard rules.comparesQuestions(of: request),
            let question = try await questions.question(request),
            let match = shelf.nearest(
                to: question, of: request.principal.userID, min: rules.similarityMin)
        else { return nil }
        return given(match.answer, .similar, to: request, match: match, since: openedAt)
    }

    package func open(_ request: ChatRequest) async throws -> ChatCall {
        let rules = rules(for: request)
        guard rules.keeps(request), let key = CacheKey(request) else {
            return try await model.open(request)
        }
        if let call = try await recall(request) { return call }
        var place = AnswerShelf.Place(user: request.principal.userID, key: key)
        if rules.comparesQuestions(of: request) {
            place.question = try await questions.question(request)
        }
        let openedAt = environment.now()
        do {
            return try await shared(request, place, since: openedAt)
        } catch {
            guard rules.answersOutages, Self.isOutage(error),
                let answer = shelf.lateAnswer(to: key)
            else { throw error }
            logger.warning(
                "Nobody can answer; a kept answer is given",
                metadata: ["model": "\(request.model)", "failure": "\(Failure(error))"])
            return given(
                answer, .stale, to: request, since: openedAt, spent: Failure(error).spent)
        }
    }

    private func rules(for request: ChatRequest) -> CacheRules {
        rules[request.model] ?? rules[nil] ?? CacheRules()
    }

    private static func isOutage(_ error: any Error) -> Bool {
        [.upstream, .unavailable, .timeout, .rateLimited].contains(Failure(error).code)
    }

    /// Makes the answer, or joins the call that makes it.
    private func shared(
        _ request: ChatRequest, _ place: AnswerShelf.Place, since openedAt: Timestamp
    ) async throws -> ChatCall {
        for _ in 0..<Self.joinsMax {
            try Task.checkCancellation()
            switch shelf.look(up: place, traceID: TraceContext.currentTraceID) {
            case .hit(let answer): return given(answer, .hit, to: request, since: openedAt)
            case .missed(let call, let seat):
                note(.miss)
                do {
                    var request = request
                    // Others may join who read it as it comes.
                    request.streams = true
                    call.opened(try await model.open(request))
                } catch {
                    call.failedToOpen(error)
                    throw error
                }
                return try await seated(call, seat, .miss, request, since: openedAt)
            case .joined(let call, let seat):
                do {
                    let seated = try await seated(call, seat, .joined, request, since: openedAt)
                    note(.joined)
                    return seated
                } catch {
                    // The opener went away before the call was open: the next try may open it.
                    guard Failure(error).code == .cancelled else { throw unpaid(error) }
                }
            }
        }
        return try await model.open(request)
    }

    /// Only the opener pays for what attempts took.
    private func unpaid(_ error: any Error) -> any Error {
        guard var failure = error as? Failure else { return error }
        failure.spent = []
        return failure
    }

    private func seated(
        _ call: SharedCall, _ seat: Int, _ use: CacheUse, _ request: ChatRequest,
        since openedAt: Timestamp
    ) async throws -> ChatCall {
        let opened = try await call.opening(seat)
        let source = Once(Source.shared(call, seat: seat))
        return ChatCall(
            candidate: opened.candidate, decision: opened.decision, notice: opened.notice,
            context: opened.context, cache: use, isCharged: { call.isCharged(seat) },
            spent: { call.isCharged(seat) ? opened.spent : [] },
            run: { emit in
                try await self.run(try source.take(), use, request, since: openedAt, emit)
            },
            abandon: {
                guard (try? source.take()) != nil else { return }
                await call.leave(seat)
            })
    }

    private func given(
        _ answer: KeptAnswer, _ use: CacheUse, to request: ChatRequest,
        match: AnswerShelf.Match? = nil, since openedAt: Timestamp,
        spent: [CandidateUsage] = []
    ) -> ChatCall {
        note(use)
        let source = Once(Source.kept(answer, match))
        let traceID = TraceContext.currentTraceID
        return ChatCall(
            candidate: answer.completion.candidate,
            decision: "cache \(answer.completion.candidate)" + (use == .stale ? " (stale)" : ""),
            notice: Self.notice(of: answer, match, use), context: answer.context, cache: use,
            cached: CachedAnswer(
                usage: answer.completion.usage, question: match?.question,
                similarity: match?.similarity),
            isCharged: { false }, spent: { spent },
            run: { emit in
                let taken = try source.take()
                if let match { self.audit?.consider(request, match, traceID: traceID) }
                return try await self.run(taken, use, request, since: openedAt, emit)
            }, abandon: { _ = try? source.take() })
    }

    private static func notice(
        of answer: KeptAnswer, _ match: AnswerShelf.Match?, _ use: CacheUse
    ) -> String? {
        if let match {
            return "This is the answer to an earlier question of yours:"
                + " \u{201C}\(match.question)\u{201D}"
        }
        guard use == .stale else { return nil }
        return "No model could be reached; this answer was given on \(answer.keptAt) and may be out"
            + " of date."
    }

    /// Where the events of an answer come from.
    private enum Source: Sendable {
        case kept(KeptAnswer, AnswerShelf.Match?)
        case shared(SharedCall, seat: Int)

        var traceID: String? {
            switch self {
            case .kept(let answer, _): answer.traceID
            case .shared(let call, _): call.traceID
            }
        }

        func read(_ emit: ChatCall.Emit) async throws -> Completion {
            switch self {
            case .kept(let answer, _):
                for event in answer.events { try await emit(event) }
                return answer.completion
            case .shared(let call, let seat): return try await call.read(seat, emit)
            }
        }
    }

    private func run(
        _ source: Source, _ use: CacheUse, _ request: ChatRequest, since openedAt: Timestamp,
        _ emit: ChatCall.Emit
    ) async throws -> Completion {
        guard use == .miss else {
            return try await runTraced(source, use, request, since: openedAt, emit)
        }
        var completion = try await source.read(emit)
        completion.cache = .miss
        return completion
    }

    /// Gives an answer that somebody else's call made, in a span that says so. The times of the
    /// completion are those of this call.
    private func runTraced(
        _ source: Source, _ use: CacheUse, _ request: ChatRequest, since openedAt: Timestamp,
        _ emit: ChatCall.Emit
    ) async throws -> Completion {
        let span = tracer.startSpan("cached \(request.model)", ofKind: .internal)
        defer { span.end() }
        span.updateAttributes { attributes in
            attributes["heptad.cache"] = use.rawValue
            attributes["heptad.purpose"] = request.purpose
            attributes["gen_ai.request.model"] = request.model
            if let traceID = source.traceID { attributes["heptad.cache.trace_id"] = traceID }
            // Not the question itself: administrators read traces, and nobody's chats.
            if case .kept(_, let match?) = source {
                attributes["heptad.cache.similarity"] = match.similarity
            }
        }
        var firstTextAt: Timestamp?
        do {
            let made = try await source.read { event in
                if case .text = event { firstTextAt = firstTextAt ?? environment.now() }
                try await emit(event)
            }
            span.attributes["heptad.candidate"] = made.candidate
            var completion = Completion(
                candidate: made.candidate, finishReason: made.finishReason, usage: made.usage,
                firstTokenMilliseconds: firstTextAt.map { max(0, ($0 - openedAt).milliseconds) },
                totalMilliseconds: max(0, (environment.now() - openedAt).milliseconds))
            completion.stopSequence = made.stopSequence
            completion.cache = use
            return completion
        } catch {
            span.setStatus(SpanStatus(code: .error, message: Failure(error).message))
            throw error
        }
    }

    /// On the span around the call, and counted.
    private func note(_ use: CacheUse) {
        ServiceContext.current.flatMap { tracer.activeSpan(identifiedBy: $0) }?
            .attributes["heptad.cache"] = use.rawValue
        Counter(label: "heptad_cache_lookups", dimensions: [("result", use.rawValue)])
            .increment()
    }
}

/// Something that can be taken once.
private final class Once<Value: Sendable>: Sendable {
    let value: Value
    private let isTaken = Mutex(false)

    init(_ value: Value) { self.value = value }

    func take() throws -> Value {
        let isFirst = isTaken.withLock { isTaken in
            defer { isTaken = true }
            return !isTaken
        }
        guard isFirst else {
            throw Failure(.internalError, "A call was run twice, or after it was given up.")
        }
        return value
    }
}
