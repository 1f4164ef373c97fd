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

    private struct State {
        var answers = RecencyMap<CacheKey, KeptAnswer>()
        var bytes = 0
        var calls: [CacheKey: SharedCall] = [:]
    }

    private let state = Mutex(State())
    private let life: Duration
    private let bytesMax: Int
    private let environment: Environment
    private let bytesGauge = Gauge(label: "heptad_cache_bytes")
    private let answersGauge = Gauge(label: "heptad_cache_answers")

    /// One answer takes no more than this part of all.
    static let answerShare = 8

    init(_ configuration: CacheConfiguration, environment: Environment) {
        life = .seconds(configuration.ttlSeconds)
        bytesMax = configuration.bytesMax
        self.environment = environment
    }

    func look(up key: CacheKey, traceID: String?) -> Found {
        let now = environment.now()
        return state.withLock { state in
            if let answer = state.answers.use(key) {
                if now - answer.keptAt < life { return .hit(answer) }
                state.answers.remove(key)
                state.bytes -= answer.bytes
            }
            if let call = state.calls[key], let seat = call.join() {
                return .joined(call, seat: seat)
            }
            let call = SharedCall(traceID: traceID) { [weak self] call, events, completion in
                self?.ended(call, key, events, completion)
            }
            state.calls[key] = call
            return .missed(call, seat: call.join() ?? 0)
        }
    }

    var bytes: Int { state.withLock { $0.bytes } }
    var count: Int { state.withLock { $0.answers.count } }

    private func ended(
        _ call: SharedCall, _ key: CacheKey, _ events: [ChatEvent], _ completion: Completion?
    ) {
        let answer = completion.flatMap { completion in
            KeptAnswer(
                events, completion, at: environment.now(), traceID: call.traceID,
                context: call.context)
        }
        let (bytes, count) = state.withLock { state in
            if state.calls[key] === call { state.calls[key] = nil }
            if let answer, answer.bytes <= bytesMax / Self.answerShare {
                let earlier = state.answers.insert(answer, for: key)
                state.bytes += answer.bytes - (earlier?.bytes ?? 0)
                while state.bytes > bytesMax, let oldest = state.answers.removeOldest() {
                    state.bytes -= oldest.bytes
                }
            }
            return (state.bytes, state.answers.count)
        }
        bytesGauge.record(bytes)
        answersGauge.record(count)
    }
}
