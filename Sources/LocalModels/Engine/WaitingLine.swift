import Core
import Synchronization

/// Lets one caller in at a time, in the order they came.
final class WaitingLine: Sendable {
    private struct State {
        var isTaken = false
        var lastTicket = 0
        var waiting: [(ticket: Int, continuation: CheckedContinuation<Void, any Error>)] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    /// `limit` callers may wait while one is in.
    init(limit: Int) { self.limit = limit }

    /// Returns when it is the caller's turn, which then must `leave`. Throws `unavailable` when the
    /// line is full, and `CancellationError` when the task is cancelled while it waits.
    func enter() async throws {
        let ticket = state.withLock { state in
            state.lastTicket += 1
            return state.lastTicket
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    // Cancelled before this line, nobody else will take the caller out.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    guard state.isTaken else {
                        state.isTaken = true
                        return .success(())
                    }
                    guard state.waiting.count < limit else { return .failure(Self.full) }
                    state.waiting.append((ticket, continuation))
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiting.firstIndex { $0.ticket == ticket }
                    .map { state.waiting.remove(at: $0) }
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Lets the next one in.
    func leave() {
        let next = state.withLock { state in
            if state.waiting.isEmpty {
                state.isTaken = false
                return nil as CheckedContinuation<Void, any Error>?
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume()
    }

    /// How many wait now. For tests.
    var count: Int { state.withLock { $0.waiting.count } }

    private static let full = Failure(
        .unavailable, "The local model is busy and its line is full; try again in a moment.",
        retryAfter: .seconds(5))
}
