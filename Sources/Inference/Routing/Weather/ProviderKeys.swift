import Core
import Egress
import Metrics
import Synchronization

/// A provider's keys as its calls use them: each call has one, and where that is refused or has had
/// too many calls, the next. Keys that an administrator set go in the place of the configuration's.
final class ProviderKeys: Sendable {
    /// A key that was kept sealed, as it came out.
    struct Opened: Sendable {
        let id: Identifier
        let key: String
    }

    /// How a key does, by its place among all.
    struct Rest: Sendable {
        let model: String
        let until: Timestamp
        let reason: FailureClass
    }

    private struct State {
        var ring: KeyRing
        /// Nil for the configuration's.
        var ids: [Identifier?]
        /// What calls began with earlier keys say is not of these.
        var generation = 0
        /// Why there is no key though there should be one.
        var problem: Failure?
        /// Gone, but a call that is under way may still repeat them.
        var retired: [String] = []
    }

    private let provider: String
    private let configured: [String]
    private let now: @Sendable () -> Timestamp
    private let state: Mutex<State>

    private static let retiredMax = 32

    init(_ provider: String, _ configuration: ProviderConfiguration, environment: Environment) {
        self.provider = provider
        configured = configuration.keys
        now = environment.now
        state = Mutex(
            State(ring: KeyRing(configured), ids: configured.map { _ in nil }))
    }

    /// All of them, for taking them out of what is shown.
    var all: [String] {
        state.withLock { ($0.ring.keys + $0.retired).filter { !$0.isEmpty } } + configured
    }

    /// From now on these are used, or the configuration's where there are none. With a `problem`
    /// calls fail for it.
    func use(_ opened: [Opened], problem: Failure? = nil) {
        state.withLock { state in
            state.retired = (state.retired + state.ring.keys).suffix(Self.retiredMax)
            let isOwn = !opened.isEmpty || problem != nil
            state.ring = KeyRing(isOwn ? opened.map(\.key) : configured)
            state.ids = isOwn ? opened.map(\.id) : configured.map { _ in nil }
            state.problem = problem
            state.generation += 1
        }
    }

    /// Those that are in use, with what they rest for.
    func standings() -> [(id: Identifier?, key: String, rests: [Rest])] {
        let now = now()
        return state.withLock { state in
            state.ids.enumerated().map { place, id in
                (
                    id, state.ring.keys[place],
                    state.ring.rests(of: place, at: now).map {
                        Rest(model: $0.0, until: $0.1, reason: $0.2.kind)
                    }
                )
            }
        }
    }

    func room(model: String) -> RateRoom? { state.withLock { $0.ring.room(model: model) } }

    /// How long until a call of so many tokens may go out; nil when it may go now.
    func wait(model: String, tokens: Int) -> Duration? {
        state.withLock { $0.ring.wait(model: model, tokens: tokens, at: now()) }
    }

    /// Sends with one key after the other until one is taken. Throws the failure of the last, or why
    /// the keys rest.
    func send(
        model: String, tokens: Int, _ post: (_ key: String) async throws -> HTTPResponse
    ) async throws -> HTTPResponse {
        var tried: Set<Int> = []
        var failure: (any Error)?
        let (generation, problem) = state.withLock { ($0.generation, $0.problem) }
        if let problem { throw CandidateFailure(.credential, problem) }
        // Where other keys are set meanwhile, the next attempt begins with those.
        while let (place, key) = next(model, tokens, tried, generation) {
            tried.insert(place)
            do {
                let response = try await post(key)
                update(generation) {
                    $0.read(response.headers, key: place, model: model, at: now())
                    $0.succeeded(key: place, model: model)
                }
                return response
            } catch let error as CandidateFailure {
                failure = error
                let goesOn = update(generation) {
                    $0.failed(key: place, model: model, error, at: now())
                }
                guard goesOn == true else { throw error }
                Counter(
                    label: "heptad_provider_key_rests_total",
                    dimensions: [("provider", provider), ("reason", error.kind.rawValue)]
                ).increment()
            }
        }
        throw failure ?? resting(model: model, tokens: tokens)
    }

    private func next(_ model: String, _ tokens: Int, _ tried: Set<Int>, _ generation: Int) -> (
        Int, String
    )? {
        state.withLock { state in
            guard state.generation == generation else { return nil }
            return state.ring.next(model: model, tokens: tokens, tried: tried, at: now()).map {
                ($0, state.ring.keys[$0])
            }
        }
    }

    @discardableResult
    private func update<Result: Sendable>(
        _ generation: Int, _ change: (inout KeyRing) -> Result
    ) -> Result? {
        state.withLock { $0.generation == generation ? change(&$0.ring) : nil }
    }

    private func resting(model: String, tokens: Int) -> CandidateFailure {
        let (wait, reason) = state.withLock { state in
            (
                state.ring.wait(model: model, tokens: tokens, at: now()),
                state.ring.failure(model: model, tokens: tokens, at: now())
            )
        }
        guard let reason else {
            return CandidateFailure(
                .throttled,
                Failure(
                    .rateLimited, "The limits of the provider \(provider) are used up for now.",
                    retryAfter: wait))
        }
        return CandidateFailure(
            reason.kind,
            Failure(
                reason.failure.code, reason.failure.message, cause: reason.failure.cause,
                retryAfter: reason.kind == .throttled ? wait : reason.failure.retryAfter))
    }
}
