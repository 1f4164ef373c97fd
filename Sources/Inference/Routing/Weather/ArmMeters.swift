import Metrics
import Synchronization

/// The metrics of a candidate as it serves a public name, looked up once: making one formats its
/// labels and takes the registry's lock.
final class ArmMeters: Sendable {
    let firstToken: Metrics.Timer
    let answer: Metrics.Timer
    let breaker: Gauge
    private let dimensions: [(String, String)]
    /// Made when they are first needed: a series for each class of failure is many.
    private let calls = Mutex<[String: Counter]>([:])

    init(_ arm: Weather.Arm) {
        dimensions = [("model", arm.model), ("candidate", arm.candidate.description)]
        firstToken = Metrics.Timer(
            label: "heptad_arm_first_token_seconds", dimensions: dimensions)
        answer = Metrics.Timer(label: "heptad_arm_answer_seconds", dimensions: dimensions)
        breaker = Gauge(
            label: "heptad_breaker_state",
            dimensions: [("provider", arm.candidate.provider), ("model", arm.candidate.model)])
    }

    func count(_ outcome: String) {
        calls.withLock { calls in
            if let counter = calls[outcome] { return counter }
            let counter = Counter(
                label: "heptad_arm_calls_total", dimensions: dimensions + [("outcome", outcome)])
            calls[outcome] = counter
            return counter
        }.increment()
    }
}
