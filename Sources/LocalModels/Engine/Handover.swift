import Core
import Synchronization

/// Where text crosses from the engine's thread to the task that asked for it. The engine never
/// waits: what a slow reader has not taken yet is joined into its next piece, so at most one answer
/// is held, which the output limit bounds.
final class Handover: Sendable {
    enum Event: Sendable {
        case piece(GenerationPiece)
        case ended(Result<Generation, any Error>)
    }

    private struct State {
        var piece = GenerationPiece()
        var outcome: Result<Generation, any Error>?
        var reader: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let cancelled = Atomic(false)

    /// Asks the engine to stop. It then ends, within one token.
    func cancel() { cancelled.store(true, ordering: .relaxed) }

    var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    func write(_ piece: GenerationPiece) {
        guard !piece.isEmpty else { return }
        wake { state in
            state.piece.text += piece.text
            state.piece.tokens += piece.tokens
        }
    }

    func end(_ outcome: Result<Generation, any Error>) {
        wake { $0.outcome = outcome }
    }

    /// The next piece; after the last one how it ended. For one reader. Does not end when
    /// the task is cancelled: the engine does, and says so here.
    func next() async -> Event {
        while true {
            let event: Event? = state.withLock { state in
                if !state.piece.isEmpty {
                    defer { state.piece = GenerationPiece() }
                    return .piece(state.piece)
                }
                return state.outcome.map { .ended($0) }
            }
            if let event { return event }
            await withCheckedContinuation { continuation in
                let hasMore = state.withLock { state in
                    if !state.piece.isEmpty || state.outcome != nil { return true }
                    state.reader = continuation
                    return false
                }
                if hasMore { continuation.resume() }
            }
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let reader = state.withLock { state in
            change(&state)
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }
}
