import Core
import Dispatch
import Synchronization

/// The one thread that hashes passwords: neither the event loops nor the shared pool may wait 0.3 s
/// for one, and two at a time would take both cores.
final class PasswordWorker: Sendable {
    /// Callers that may wait; past it a login is told to come back.
    static let waitingMax = 16

    private let queue = DispatchQueue(label: "heptad.passwords", qos: .utility)
    private let waiting = Mutex(0)

    /// Runs `work` on the worker's thread. Throws `unavailable` when too many wait already.
    @concurrent
    func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value
    {
        let mayWait = waiting.withLock { count in
            guard count < Self.waitingMax else { return false }
            count += 1
            return true
        }
        guard mayWait else {
            throw Failure(
                .unavailable, "Too many people are logging in; try again in a few seconds.",
                retryAfter: .seconds(5))
        }
        defer { waiting.withLock { $0 -= 1 } }
        return try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try work() }) }
        }
    }
}
