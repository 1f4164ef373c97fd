import Core
import Metrics
import Synchronization

/// How all candidates do: their breakers, what runs at them, how fast they are. One for the process.
final class Weather: Sendable {
    /// A call that is under way at a candidate. It gives its place back when it is let go of, and
    /// says once how the candidate did.
    final class Call: Sendable {
        let candidate: CandidateName
        private let weather: Weather
        private let place: Mutex<ProviderGate.Place?>
        private let arm: Arm
        private let meters: ArmMeters
        private let isJudged = Mutex(false)

        fileprivate init(
            _ arm: Arm, _ weather: Weather, _ place: ProviderGate.Place?, _ meters: ArmMeters
        ) {
            candidate = arm.candidate
            self.meters = meters
            self.weather = weather
            self.place = Mutex(place)
            self.arm = arm
        }

        deinit {
            judge { weather.learnedNothing(candidate, meters) }
            weather.ended(arm)
        }

        /// The first piece of the answer is here.
        func hasBegun() { weather.hasBegun(candidate, meters) }

        func answered(_ answer: ArmFigures.Answer) {
            judge { weather.answered(arm, answer, meters) }
        }

        /// What the provider charges for, whatever came of it.
        func took(_ usage: TokenUsage, cost: Picodollars) {
            weather.took(arm, usage, cost: cost)
        }

        /// Nothing runs there any more, though the answer goes on elsewhere.
        func leave() { place.withLock { $0 = nil } }

        func failed(_ kind: FailureClass) { judge { weather.failed(arm, kind, meters) } }

        private func judge(_ verdict: () -> Void) {
            let isFirst = isJudged.withLock { isJudged in
                defer { isJudged = true }
                return !isJudged
            }
            if isFirst { verdict() }
        }
    }

    /// A candidate as it serves a public name.
    struct Arm: Hashable, Sendable {
        let model: String
        let candidate: CandidateName
    }

    private struct State {
        var breakers: [CandidateName: CircuitBreaker] = [:]
        var figures: [Arm: ArmFigures] = [:]
        var running: [CandidateName: Int] = [:]
        var meters: [Arm: ArmMeters] = [:]
    }

    private let rules: CircuitBreaker.Rules
    private let gates: [String: ProviderGate]
    private let now: @Sendable () -> Timestamp
    private let state = Mutex(State())

    init(_ configuration: InferenceConfiguration, now: @escaping @Sendable () -> Timestamp) {
        rules = configuration.breaker.rules
        self.now = now
        gates = Dictionary(
            uniqueKeysWithValues: configuration.providers.map { name, provider in
                (
                    name,
                    ProviderGate(
                        name, runningMax: provider.concurrencyMax, waitingMax: provider.waitingMax,
                        waitMax: .seconds(provider.waitingSecondsMax))
                )
            })
    }

    /// How long the candidate's breaker stays open; nil when a call may go out.
    func breakerWait(_ candidate: CandidateName) -> Duration? {
        state.withLock { state in
            guard let breaker = state.breakers[candidate],
                case .refused(let until) = breaker.admission(at: now())
            else { return nil }
            return until - now()
        }
    }

    /// Takes a place at the provider, waiting for it if need be, and lets the breaker know. Throws
    /// like `ProviderGate.enter`, and where the breaker has opened meanwhile. A model of this machine
    /// has its own line and no breaker.
    func begin(_ candidate: Candidate, for model: String) async throws -> Call {
        let place =
            candidate.provider.isLocal
            ? nil : try await gates[candidate.name.provider]?.enter()
        let arm = Arm(model: model, candidate: candidate.name)
        let meters = state.withLock { state in
            let meters = state.meters[arm] ?? ArmMeters(arm)
            state.meters[arm] = meters
            return meters
        }
        let isAdmitted = update(candidate.name, meters) { state in
            if !candidate.provider.isLocal {
                var breaker = state.breakers[candidate.name] ?? CircuitBreaker(rules)
                if case .refused = breaker.admission(at: now()) { return false }
                breaker.begin(at: now())
                state.breakers[candidate.name] = breaker
            }
            state.figures[arm, default: ArmFigures()].began()
            state.running[candidate.name, default: 0] += 1
            return true
        }
        guard isAdmitted else {
            throw CandidateFailure(
                .transport,
                Failure(
                    .unavailable, "\(candidate.name) has failed too often and is left alone.",
                    retryAfter: breakerWait(candidate.name)))
        }
        return Call(arm, self, place, meters)
    }

    /// How a candidate did for a public name, with all that runs at it for any.
    func figures(_ candidate: CandidateName, for model: String) -> ArmFigures {
        state.withLock { state in
            var figures =
                state.figures[Arm(model: model, candidate: candidate)] ?? ArmFigures()
            figures.running = state.running[candidate] ?? 0
            return figures
        }
    }

    /// How a candidate did for a public name, with what runs at it for that name.
    func armFigures(_ candidate: CandidateName, for model: String) -> ArmFigures {
        state.withLock { $0.figures[Arm(model: model, candidate: candidate)] ?? ArmFigures() }
    }

    /// A candidate's breaker, and what runs at it, for those who look at it.
    func health(of candidate: CandidateName) -> (breaker: CircuitBreaker?, running: Int) {
        state.withLock { ($0.breakers[candidate], $0.running[candidate] ?? 0) }
    }

    /// All that was measured at a candidate, for whatever public name.
    func latencies(of candidate: CandidateName) -> (firstToken: Percentiles, total: Percentiles) {
        let figures = state.withLock { state in
            state.figures.filter { $0.key.candidate == candidate }.map(\.value)
        }
        return (
            Percentiles(figures.flatMap(\.firstTokens.values)),
            Percentiles(figures.flatMap(\.totals.values))
        )
    }

    func gate(of provider: String) -> ProviderGate? { gates[provider] }

    private func hasBegun(_ candidate: CandidateName, _ meters: ArmMeters) {
        update(candidate, meters) { state in
            // A probe has found out; a call among others is judged when it ends.
            if let breaker = state.breakers[candidate], breaker.state != .closed {
                state.breakers[candidate]?.succeeded(at: now())
            }
        }
    }

    private func answered(_ arm: Arm, _ answer: ArmFigures.Answer, _ meters: ArmMeters) {
        update(arm.candidate, meters) { state in
            state.breakers[arm.candidate]?.succeeded(at: now())
            state.figures[arm]?.answered(answer)
        }
        meters.count(answer.isRejected ? "rejected" : "answered")
        if let firstToken = answer.firstToken { meters.firstToken.recordMilliseconds(firstToken) }
        meters.answer.recordMilliseconds(answer.total)
    }

    private func took(_ arm: Arm, _ usage: TokenUsage, cost: Picodollars) {
        state.withLock { $0.figures[arm, default: ArmFigures()].took(usage, cost: cost) }
    }

    private func failed(_ arm: Arm, _ kind: FailureClass, _ meters: ArmMeters) {
        update(arm.candidate, meters) { state in
            switch kind.health {
            case .well: state.breakers[arm.candidate]?.succeeded(at: now())
            case .ill: state.breakers[arm.candidate]?.failed(at: now())
            case .unknown: state.breakers[arm.candidate]?.learnedNothing(at: now())
            }
            state.figures[arm]?.failed()
        }
        meters.count(kind.rawValue)
    }

    private func learnedNothing(_ candidate: CandidateName, _ meters: ArmMeters) {
        update(candidate, meters) { $0.breakers[candidate]?.learnedNothing(at: now()) }
    }

    private func ended(_ arm: Arm) {
        state.withLock { state in
            state.figures[arm]?.ended()
            state.running[arm.candidate] = max(0, (state.running[arm.candidate] ?? 0) - 1)
        }
    }

    /// Changes the state, and tells the metrics where a breaker's has changed with it.
    @discardableResult
    private func update<Result: Sendable>(
        _ candidate: CandidateName, _ meters: ArmMeters, _ change: (inout State) -> Result
    ) -> Result {
        let (before, after, result) = state.withLock { state in
            let before = state.breakers[candidate]?.state
            let result = change(&state)
            return (before, state.breakers[candidate]?.state, result)
        }
        guard before != after, let after else { return result }
        let level =
            switch after {
            case .closed: 0
            case .halfOpen: 1
            case .open: 2
            }
        meters.breaker.record(level)
        return result
    }
}
