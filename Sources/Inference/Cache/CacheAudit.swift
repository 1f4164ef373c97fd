package import Core
import Logging
import Metrics
import ServiceLifecycle
import Synchronization
import Tracing

/// Finds out how often the answer to a similar question is the wrong one: asks the model a share of
/// these questions after all, in the background and one after the other, and compares both answers.
///
/// What this costs is the operator's, booked under `operatorID` for the purpose `audit`, unless the
/// configuration says that users pay for their own.
package final class CacheAudit: Sendable {
    private struct Case: Sendable {
        let request: ChatRequest
        let match: AnswerShelf.Match
        let traceID: String?
    }

    private struct State {
        var waiting: [Case] = []
        var hourBeganAt: Timestamp?
        var takenInHour = 0
        var checked = 0
        var wrong = 0
    }

    private let configuration: AuditConfiguration
    private let model: any ChatModel
    private let embedder: any Embedder
    private let environment: Environment
    private let tracer: any Tracer
    private let state = Mutex(State())
    private let bell = Bell()
    private let logger = Logger(label: "heptad.cache")

    /// Answers that may wait to be checked; more are left unchecked.
    static let waitingMax = 32
    /// What of an answer is compared; the embedding model reads less.
    private static let answerBytesMax = 100_000
    /// The longest that one check may take.
    private static let checkMax = Duration.seconds(600)
    /// Whose the checks are that nobody else pays for: no user has this identifier.
    package static let operatorID = Identifier("00000000-0000-7000-8000-000000000000")

    /// - Parameter model: without the cache, or it would be compared to itself.
    package convenience init(
        _ configuration: AuditConfiguration, model: any ChatModel, embedder: any Embedder,
        environment: Environment
    ) {
        self.init(
            configuration, model: model, embedder: embedder, environment: environment,
            tracer: InstrumentationSystem.tracer)
    }

    init(
        _ configuration: AuditConfiguration, model: any ChatModel, embedder: any Embedder,
        environment: Environment, tracer: any Tracer
    ) {
        self.configuration = configuration
        self.model = model
        self.embedder = embedder
        self.environment = environment
        self.tracer = tracer
    }

    /// How many were checked, and how many of them were wrong.
    var figures: (checked: Int, wrong: Int) { state.withLock { ($0.checked, $0.wrong) } }

    /// Draws whether this answer is checked. Never waits.
    func consider(_ request: ChatRequest, _ match: AnswerShelf.Match, traceID: String?) {
        guard configuration.share > 0,
            Double(environment.random() >> 11) / Double(1 << 53) < configuration.share
        else { return }
        let (now, limit) = (environment.now(), configuration.callsPerHourMax)
        let isTaken = state.withLock { state in
            if state.hourBeganAt.map({ now - $0 >= .seconds(3600) }) ?? true {
                state.hourBeganAt = now
                state.takenInHour = 0
            }
            guard state.takenInHour < limit, state.waiting.count < Self.waitingMax else {
                return false
            }
            state.takenInHour += 1
            state.waiting.append(Case(request: request, match: match, traceID: traceID))
            return true
        }
        if isTaken { bell.ring() } else { count("skipped") }
    }

    private func checkAll() async {
        while !Task.isCancelled {
            let version = bell.version
            let next = state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
            guard let next else {
                await bell.wait(after: version)
                continue
            }
            do {
                try await QuestionReader.first(within: Self.checkMax) { try await self.check(next) }
            } catch {
                guard !Task.isCancelled else { return }
                count("failed")
                logger.warning(
                    "An answer from the cache could not be checked",
                    metadata: ["error": "\(Failure(error))"])
            }
        }
    }

    private func check(_ audited: Case) async throws {
        // A trace of its own: the one of the answer has ended.
        let span = tracer.startSpan(
            "cache audit", context: ServiceContext.topLevel, ofKind: .internal)
        defer { span.end() }
        do {
            let comparison = try await ServiceContext.withValue(span.context) {
                try await compare(audited)
            }
            note(comparison, audited, span)
        } catch {
            span.setStatus(SpanStatus(code: .error, message: Failure(error).message))
            throw error
        }
    }

    private func compare(_ audited: Case) async throws -> AnswerComparison {
        let principal = payer(audited.request.principal)
        var request = ChatRequest(
            principal: principal, model: audited.request.model,
            messages: audited.request.messages, sampling: audited.request.sampling,
            purpose: "audit")
        request.truncates = audited.request.truncates
        request.streams = false
        var asked = ""
        _ = try await model.open(request).run { event in
            guard case .text(let text) = event, asked.utf8.count < Self.answerBytesMax else {
                return
            }
            asked += text
        }
        let given = audited.match.answer.events.reduce(into: "") { answer, event in
            guard case .text(let text) = event, answer.utf8.count < Self.answerBytesMax else {
                return
            }
            answer += text
        }
        let made = try await embedder.embed(
            EmbeddingRequest(principal: principal, texts: [given, asked], purpose: "audit"))
        let vectors = (0..<2).map {
            QuestionVector(candidate: made.candidate, values: Array(made[$0]))
        }
        return AnswerComparison(
            given, asked, similarity: vectors[0].similarity(to: vectors[1]) ?? 0,
            similarityMin: configuration.similarityMin)
    }

    private func payer(_ user: Principal) -> Principal {
        guard !configuration.chargesUser, let id = Self.operatorID else { return user }
        return Principal(userID: id, role: .owner, name: "operator")
    }

    /// The words of question and answers stay out of log and trace: they are the user's.
    private func note(_ comparison: AnswerComparison, _ audited: Case, _ span: any Span) {
        let isWrong = !comparison.complaints.isEmpty
        let (checked, wrong) = state.withLock { state in
            state.checked += 1
            state.wrong += isWrong ? 1 : 0
            return (state.checked, state.wrong)
        }
        count(isWrong ? "wrong" : "right")
        Gauge(label: "heptad_cache_audit_wrong_ratio").record(Double(wrong) / Double(checked))
        let complaints = comparison.complaints.map(\.rawValue).joined(separator: ", ")
        span.updateAttributes { attributes in
            attributes["heptad.cache.audit"] = isWrong ? "wrong" : "right"
            attributes["heptad.cache.audit.complaints"] = complaints
            attributes["heptad.cache.audit.similarity"] = comparison.similarity
            attributes["heptad.cache.similarity"] = audited.match.similarity
            if let traceID = audited.traceID { attributes["heptad.cache.trace_id"] = traceID }
        }
        logger.log(
            level: isWrong ? .warning : .info, "An answer from the cache was checked",
            metadata: [
                "result": isWrong ? "wrong" : "right", "complaints": "\(complaints)",
                "answers": "\(comparison.similarity)", "questions": "\(audited.match.similarity)",
                "given_in": "\(audited.traceID ?? "")", "wrong": "\(wrong) of \(checked)",
            ])
    }

    private func count(_ result: String) {
        Counter(label: "heptad_cache_audits", dimensions: [("result", result)]).increment()
    }
}

extension CacheAudit: Service {
    /// Checks until the server stops; a check that runs then is given up.
    package func run() async throws {
        await cancelWhenGracefulShutdown { await self.checkAll() }
    }
}
