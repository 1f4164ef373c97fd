import Core
import Egress
import Metrics
import Synchronization

/// A provider's keys as its calls use them: each call has one, and where that is refused or has had
/// too many calls, the next.
final class ProviderKeys: Sendable {
    private let provider: String
    private let now: @Sendable () -> Timestamp
    private let ring: Mutex<KeyRing>

    init(_ provider: String, _ configuration: ProviderConfiguration, environment: Environment) {
        self.provider = provider
        now = environment.now
        ring = Mutex(KeyRing(configuration.keys))
    }

    /// All of them, for taking them out of what is shown.
    var all: [String] { ring.withLock { $0.keys.filter { !$0.isEmpty } } }

    /// How long until a call of so many tokens may go out; nil when it may go now.
    func wait(model: String, tokens: Int) -> Duration? {
        ring.withLock { $0.wait(model: model, tokens: tokens, at: now()) }
    }

    /// Sends with one key after the other until one is taken. Throws the failure of the last, or why
    /// the keys rest.
    func send(
        model: String, tokens: Int, _ post: (_ key: String) async throws -> HTTPResponse
    ) async throws -> HTTPResponse {
        var tried: Set<Int> = []
        var failure: (any Error)?
        while let key = ring.withLock({
            $0.next(model: model, tokens: tokens, tried: tried, at: now())
        }) {
            tried.insert(key)
            do {
                let response = try await post(ring.withLock { $0.keys[key] })
                ring.withLock {
                    $0.read(response.headers, key: key, model: model, at: now())
                    $0.succeeded(key: key, model: model)
                }
                return response
            } catch let error as CandidateFailure {
                failure = error
                let goesOn = ring.withLock {
                    $0.failed(key: key, model: model, error, at: now())
                }
                guard goesOn else { throw error }
                Counter(
                    label: "heptad_provider_key_rests_total",
                    dimensions: [("provider", provider), ("reason", error.kind.rawValue)]
                ).increment()
            }
        }
        throw failure ?? resting(model: model, tokens: tokens)
    }

    private func resting(model: String, tokens: Int) -> CandidateFailure {
        let (wait, reason) = ring.withLock { ring in
            (
                ring.wait(model: model, tokens: tokens, at: now()),
                ring.failure(model: model, tokens: tokens, at: now())
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
