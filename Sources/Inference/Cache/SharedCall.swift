import Core
import Synchronization

/// One call on its way to all who asked the same at the same time. The first to take a seat opens
/// the call and pays; whoever reads first sets it going; and it ends early only when nobody is left.
///
///     opening -> ready -> running -> ended
final class SharedCall: Sendable {
    private enum Stage {
        case opening
        case ready(ChatCall)
        case running(Task<Void, Never>)
        case ended(Result<Completion, any Error>)
    }

    private struct State {
        var stage = Stage.opening
        /// Set once the call is open.
        var call: ChatCall?
        var events: [ChatEvent] = []
        /// How far each has read, of those who are still there.
        var readers: [Int: Int] = [:]
        var seatCount = 0
        /// The seat whose holder pays: the first, and when that leaves early the next who stays.
        var payer = 0
        var waitsForReaders = false

        var result: Result<Completion, any Error>? {
            if case .ended(let result) = stage { result } else { nil }
        }
    }

    /// How far the model may be ahead of the fastest reader.
    static let eventsAheadMax = 256
    private static let eventsTakenMax = 64

    /// The trace in which the call is made.
    let traceID: String?
    private let state = Mutex(State())
    private let news = Bell()
    private let room = Bell()
    private let onEnd: @Sendable (SharedCall, [ChatEvent], Completion?) -> Void

    /// - Parameter onEnd: told once, with all events and, where it went well, the completion.
    init(
        traceID: String?, onEnd: @escaping @Sendable (SharedCall, [ChatEvent], Completion?) -> Void
    ) {
        self.traceID = traceID
        self.onEnd = onEnd
    }

    /// A seat; nil when the call has ended.
    func join() -> Int? {
        state.withLock { state in
            guard state.result == nil else { return nil }
            let seat = state.seatCount
            state.seatCount += 1
            state.readers[seat] = 0
            return seat
        }
    }

    /// Whether this seat's holder is the one who pays.
    func isCharged(_ seat: Int) -> Bool { state.withLock { $0.payer == seat } }

    /// What was left out of its prompt, once it is open.
    var context: String? { state.withLock { $0.call?.context } }

    // MARK: Opening

    /// Told by the one who opened it.
    func opened(_ call: ChatCall) {
        state.withLock { state in
            state.call = call
            state.stage = .ready(call)
        }
        news.ring()
    }

    func failedToOpen(_ error: any Error) { end(.failure(error)) }

    /// Waits until the call is open, and returns it: for what it says of who answers, not to be run.
    /// Throws what its opener was thrown; the seat is given up then.
    func opening(_ seat: Int) async throws -> ChatCall {
        while true {
            let version = news.version
            let (call, result) = state.withLock { ($0.call, $0.result) }
            if let call { return call }
            if case .failure(let error)? = result {
                finish(seat)
                throw error
            }
            await news.wait(after: version)
            guard !Task.isCancelled else {
                await leave(seat)
                throw CancellationError()
            }
        }
    }

    // MARK: Reading

    /// All events so far and those to come, each as soon as it is there.
    func read(_ seat: Int, _ emit: ChatCall.Emit) async throws -> Completion {
        start()
        var place = 0
        do {
            while true {
                try Task.checkCancellation()
                let version = news.version
                let (fresh, result) = state.withLock { state in
                    (Array(state.events[place...].prefix(Self.eventsTakenMax)), state.result)
                }
                for event in fresh {
                    try await emit(event)
                    place += 1
                    advance(seat, to: place)
                }
                guard fresh.isEmpty else { continue }
                if let result {
                    finish(seat)
                    return try result.get()
                }
                await news.wait(after: version)
            }
        } catch {
            await leave(seat)
            throw error
        }
    }

    /// Gives a seat up early. Who pays hands that on; the last to go ends the call.
    func leave(_ seat: Int) async {
        var (unused, running): (ChatCall?, Task<Void, Never>?)
        let isOver = state.withLock { state in
            guard state.readers.removeValue(forKey: seat) != nil else { return false }
            if state.payer == seat, let next = state.readers.keys.min() { state.payer = next }
            guard state.readers.isEmpty else { return false }
            switch state.stage {
            case .opening, .ended: return false
            case .ready(let call): unused = call
            case .running(let task): running = task
            }
            state.stage = .ended(.failure(CancellationError()))
            return true
        }
        room.ring()
        guard isOver else { return }
        onEnd(self, [], nil)
        running?.cancel()
        await unused?.abandon()
        await running?.value
    }

    private func start() {
        state.withLock { state in
            guard case .ready(let call) = state.stage else { return }
            // Under nobody: who began to read may leave while others read on. `leave` cancels it when
            // the last is gone, and waits for its end.
            state.stage = .running(Task { await self.run(call) })
        }
    }

    private func run(_ call: ChatCall) async {
        do {
            let completion = try await call.run { event in
                state.withLock { $0.events.append(event) }
                news.ring()
                await waitForReaders()
            }
            end(.success(completion))
        } catch {
            end(.failure(error))
        }
    }

    private func waitForReaders() async {
        while !Task.isCancelled {
            let version = room.version
            let isAhead = state.withLock { state in
                let fastest = state.readers.values.max() ?? state.events.count
                state.waitsForReaders = state.events.count - fastest > Self.eventsAheadMax
                return state.waitsForReaders
            }
            guard isAhead else { return }
            await room.wait(after: version)
        }
    }

    private func advance(_ seat: Int, to place: Int) {
        let isAwaited = state.withLock { state in
            state.readers[seat] = place
            return state.waitsForReaders
        }
        if isAwaited { room.ring() }
    }

    /// Gives a seat up at the end, when there is nothing more to pay for.
    private func finish(_ seat: Int) { _ = state.withLock { $0.readers.removeValue(forKey: seat) } }

    private func end(_ result: Result<Completion, any Error>) {
        let events: [ChatEvent]? = state.withLock { state in
            guard state.result == nil else { return nil }
            state.stage = .ended(result)
            return state.events
        }
        guard let events else { return }
        onEnd(self, events, try? result.get())
        news.ring()
    }
}
