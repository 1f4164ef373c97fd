package import Core
import Metrics
import ServiceContextModule
import Synchronization
import Tracing

/// A model that gives an answer again where the same user asks the same again, as the configuration
/// allows, and asks once where the same is asked several times at once. An answer that was there is
/// streamed as it came and is not charged.
///
/// Who joins a call that is under way gets its events as they come. Where the one who opened it goes
/// away, it goes on for the others and the next of them pays; where it fails, it fails for all.
package final class CachedModel: ChatModel {
    private let model: any ChatModel
    private let caching: ExactCaching
    private let shelf: AnswerShelf
    private let environment: Environment
    private let tracer: @Sendable () -> any Tracer

    /// How often a call is joined whose opener goes away before it is open.
    private static let joinsMax = 8

    package convenience init(
        _ model: any ChatModel, _ configuration: CacheConfiguration, environment: Environment
    ) {
        self.init(
            model, configuration, environment: environment,
            tracer: { InstrumentationSystem.tracer })
    }

    init(
        _ model: any ChatModel, _ configuration: CacheConfiguration, environment: Environment,
        tracer: @escaping @Sendable () -> any Tracer
    ) {
        self.model = model
        caching = configuration.exact
        shelf = AnswerShelf(configuration, environment: environment)
        self.environment = environment
        self.tracer = tracer
    }

    package func models() async -> [ModelCard] { await model.models() }

    package func countTokens(_ texts: [String], model name: String) async throws -> [Int] {
        try await model.countTokens(texts, model: name)
    }

    package func open(_ request: ChatRequest) async throws -> ChatCall {
        guard caching.covers(request), let key = CacheKey(request) else {
            return try await model.open(request)
        }
        let openedAt = environment.now()
        for _ in 0..<Self.joinsMax {
            try Task.checkCancellation()
            switch shelf.look(up: key, traceID: TraceContext.currentTraceID) {
            case .hit(let answer):
                note(.hit)
                return given(answer, request, since: openedAt)
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
            cache: use, isCharged: { call.isCharged(seat) }, spent: { opened.spent },
            run: { emit in
                try await self.run(try source.take(), use, request, since: openedAt, emit)
            },
            abandon: {
                guard (try? source.take()) != nil else { return }
                await call.leave(seat)
            })
    }

    private func given(
        _ answer: KeptAnswer, _ request: ChatRequest, since openedAt: Timestamp
    ) -> ChatCall {
        let source = Once(Source.kept(answer))
        return ChatCall(
            candidate: answer.completion.candidate,
            decision: "cache \(answer.completion.candidate)",
            cache: .hit, isCharged: { false },
            run: { emit in
                try await self.run(try source.take(), .hit, request, since: openedAt, emit)
            }, abandon: { _ = try? source.take() })
    }

    /// Where the events of an answer come from.
    private enum Source: Sendable {
        case kept(KeptAnswer)
        case shared(SharedCall, seat: Int)

        var traceID: String? {
            switch self {
            case .kept(let answer): answer.traceID
            case .shared(let call, _): call.traceID
            }
        }

        func read(_ emit: ChatCall.Emit) async throws -> Completion {
            switch self {
            case .kept(let answer):
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
        let span = tracer().startSpan("cached \(request.model)", ofKind: .internal)
        defer { span.end() }
        span.updateAttributes { attributes in
            attributes["heptad.cache"] = use.rawValue
            attributes["heptad.purpose"] = request.purpose
            attributes["gen_ai.request.model"] = request.model
            if let traceID = source.traceID { attributes["heptad.cache.trace_id"] = traceID }
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
            completion.cache = use
            return completion
        } catch {
            span.setStatus(SpanStatus(code: .error, message: Failure(error).message))
            throw error
        }
    }

    /// On the span around the call, and counted.
    private func note(_ use: CacheUse) {
        ServiceContext.current.flatMap { tracer().activeSpan(identifiedBy: $0) }?
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
