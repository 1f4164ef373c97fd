import Core
import Synchronization

/// A call of a local model that stands in line or runs. Its place is given back when it has ended,
/// and when it is let go of.
package final class LocalCall: Sendable {
    private let ticket: Int
    private let handover: Handover
    private let engine: Engine
    private let isTaken = Atomic(false)

    init(ticket: Int, handover: Handover, engine: Engine) {
        self.ticket = ticket
        self.handover = handover
        self.engine = engine
    }

    deinit { cancel() }

    /// Hands every piece to `emit`: whole UTF-8 characters, stop strings held back. Cancelling the
    /// task, or throwing from `emit`, ends the generation within one token. Run it once.
    package func run(_ emit: (GenerationPiece) async throws -> Void) async throws -> Generation {
        precondition(
            !isTaken.exchange(true, ordering: .relaxed), "A call of a local model is run once.")
        return try await withTaskCancellationHandler {
            var refusal: (any Error)?
            while true {
                switch await handover.next() {
                case .piece(let piece):
                    guard refusal == nil else { continue }
                    do {
                        try Task.checkCancellation()
                        try await emit(piece)
                    } catch {
                        refusal = error
                        cancel()
                    }
                case .ended(let outcome):
                    // Also when it had ended by itself: the caller did not get all of it.
                    if let refusal { throw refusal }
                    return try outcome.get()
                }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Ends the call, within one token when it runs.
    package func cancel() {
        handover.cancel()
        engine.cancel(ticket)
    }
}
