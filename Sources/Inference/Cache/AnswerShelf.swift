import Core
import Metrics
import Synchronization

/// The answers that are kept, and the calls that are under way to become such. Never takes more
/// memory than it may.
final class AnswerShelf: Sendable {
    enum Found: Sendable {
        case hit(KeptAnswer)
        case joined(SharedCall, seat: Int)
        /// The one who asked has to open the call.
        case missed(SharedCall, seat: Int)
    }

    /// The answer to another question, and how near that is.
    struct Match: Sendable {
        let answer: KeptAnswer
        let question: String
        let similarity: Double
    }

    /// What a call's answer is kept under.
    struct Place: Sendable {
        let user: Identifier
        let key: CacheKey
        /// Where questions are compared.
        var question: SimilarQuestion?
    }

    private struct State {
        var kept = KeptAnswers()
        var calls: [CacheKey: SharedCall] = [:]
    }

    private let state = Mutex(State())
    private let life: Duration
    private let outageLife: Duration
    private let bytesMax: Int
    private let questionsMax: Int
    private let environment: Environment
    private let bytesGauge = Gauge(label: "heptad_cache_bytes")
    private let answersGauge = Gauge(label: "heptad_cache_answers")

    /// One answer takes no more than this part of all.
    static let answerShare = 8
    /// Questions near enough whose traits are compared.
    private static let nearestMax = 16

    /// - Parameter keepsForOutages: whether answers are of use past their time.
    init(_ configuration: CacheConfiguration, keepsForOutages: Bool, environment: Environment) {
        life = .seconds(configuration.ttlSeconds)
        outageLife = keepsForOutages ? .seconds(configuration.outageSeconds) : .zero
        bytesMax = configuration.bytesMax
        questionsMax = configuration.questionsMax
        self.environment = environment
    }

    /// The answer to this very request.
    func answer(to key: CacheKey) -> KeptAnswer? {
        let now = environment.now()
        return state.withLock { $0.kept.answer(to: key, at: now, life: life, kept: outageLife) }
    }

    /// The answer to this very request, even if its time is over.
    func lateAnswer(to key: CacheKey) -> KeptAnswer? {
        let now = environment.now()
        return state.withLock {
            $0.kept.answer(to: key, at: now, life: life + outageLife, kept: .zero)
        }
    }

    /// The answer to the nearest question that was asked under the same circumstances, that is near
    /// enough, and that differs in nothing an answer hangs on.
    func nearest(to question: SimilarQuestion, of user: Identifier, min: Double) -> Match? {
        let asked = state.withLock { $0.kept.questions[user]?.entries ?? [] }
        let near = asked.filter { $0.value.around == question.around }
            .compactMap { entry in
                question.vector.similarity(to: entry.value.vector).map { (entry, $0) }
            }
            .filter { $0.1 >= min }.sorted { $0.1 > $1.1 }
        for ((key, other), similarity) in near.prefix(Self.nearestMax)
        where question.traits.differences(from: other.traits).isEmpty {
            guard let answer = answer(to: key) else { continue }
            state.withLock { $0.kept.use(key, of: user) }
            return Match(
                answer: answer, question: other.text,
                // Sums of rounded numbers may be a little more than 1.
                similarity: Swift.min(similarity, 1))
        }
        return nil
    }

    func look(up place: Place, traceID: String?) -> Found {
        let (now, key) = (environment.now(), place.key)
        return state.withLock { state in
            if let answer = state.kept.answer(to: key, at: now, life: life, kept: outageLife) {
                return .hit(answer)
            }
            if let call = state.calls[key], let seat = call.join() {
                return .joined(call, seat: seat)
            }
            let call = SharedCall(traceID: traceID) { [weak self] call, events, completion in
                self?.ended(call, place, events, completion)
            }
            state.calls[key] = call
            return .missed(call, seat: call.join() ?? 0)
        }
    }

    var bytes: Int { state.withLock { $0.kept.bytes } }
    var count: Int { state.withLock { $0.kept.count } }

    private func ended(
        _ call: SharedCall, _ place: Place, _ events: [ChatEvent], _ completion: Completion?
    ) {
        let answer = completion.flatMap { completion in
            KeptAnswer(
                events, completion, at: environment.now(), traceID: call.traceID,
                context: call.context)
        }
        let (bytes, count) = state.withLock { state in
            if state.calls[place.key] === call { state.calls[place.key] = nil }
            let size = (answer?.bytes ?? 0) + (place.question?.bytes ?? 0)
            if let answer, size <= bytesMax / Self.answerShare {
                state.kept.keep(answer, place, questionsMax: questionsMax)
                while state.kept.bytes > bytesMax, state.kept.removeOldest() {}
            }
            return (state.kept.bytes, state.kept.count)
        }
        bytesGauge.record(bytes)
        answersGauge.record(count)
    }
}
