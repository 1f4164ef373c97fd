import Core
import Synchronization

/// What the curl thread and one reader share of a request: the head, the bytes that wait to be
/// read, and how it ended.
final class Transfer: Sendable {
    /// All that the curl thread needs to know to perform the request.
    struct Plan: Sendable {
        let address: WebAddress
        let method: String
        let headers: [HTTPHeader]
        let body: [UInt8]
        let limits: HTTPLimits
        let path: NetworkPath
        let certificatesFile: String
        let started: ContinuousClock.Instant
    }

    enum Ending: Sendable {
        case complete
        case failed(any Error)
    }

    /// What became of bytes that the curl thread brought.
    enum Reception { case taken, tooEarly, unwanted }

    // What a transfer that nobody reads may still bring, and for how long.
    static let drainBytesMax = 64 * 1024
    static let drainTime = Duration.seconds(1)

    // Four of libcurl's own pieces: enough to keep a fast link busy, little enough for a thousand.
    static let bufferBytesMax = 64 * 1024

    private struct State {
        var head: HTTPHead?
        var buffer: [UInt8] = []
        var isPaused = false
        var isDraining = false
        var ending: Ending?
        var waiter: Waiter?

        mutating func takeWaiter() -> Waiter? {
            defer { waiter = nil }
            return waiter
        }
    }

    typealias Waiter = CheckedContinuation<Void, Never>

    let plan: Plan
    private let loop: CurlLoop
    private let state = Mutex(State())

    init(_ plan: Plan, loop: CurlLoop) {
        self.plan = plan
        self.loop = loop
    }

    // MARK: The reader's side

    func head() async throws -> HTTPHead {
        while true {
            let found: HTTPHead? = try state.withLock { state in
                if let head = state.head { return head }
                if case .failed(let error) = state.ending { throw error }
                return nil
            }
            if let found { return found }
            try await wait { $0.head != nil }
        }
    }

    func next() async throws -> [UInt8]? {
        while true {
            let (bytes, isEnd, wasPaused) = try state.withLock { state in
                defer { state.buffer = [] }
                guard state.buffer.isEmpty else {
                    defer { state.isPaused = false }
                    return (state.buffer, false, state.isPaused)
                }
                if case .failed(let error) = state.ending { throw error }
                return ([], state.ending != nil, false)
            }
            if wasPaused { loop.send(.resume(self)) }
            if !bytes.isEmpty { return bytes }
            if isEnd { return nil }
            try await wait { !$0.buffer.isEmpty }
        }
    }

    /// Ends the transfer unless it has ended; its connection is closed.
    func close() {
        if finish(.failed(CancellationError()), keepsBytes: false) { loop.send(.cancel(self)) }
    }

    /// Ends the transfer for its reader, and lets the rest of it come for a moment.
    func drain() {
        let isOpen = state.withLock { state in
            guard state.ending == nil else { return false }
            state.ending = .complete
            state.isDraining = true
            state.buffer = []
            return true
        }
        if isOpen { loop.send(.drain(self)) }
    }

    /// Returns when `isReady` may have become true, or the transfer has ended.
    private func wait(until isReady: @Sendable (borrowing State) -> Bool) async throws {
        let isTaken = Mutex(false)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    guard state.ending == nil, !isReady(state) else { return false }
                    guard state.waiter == nil else {
                        isTaken.withLock { $0 = true }
                        return false
                    }
                    state.waiter = continuation
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            close()
        }
        if isTaken.withLock({ $0 }) {
            throw Failure(.internalError, "An answer can be read by one reader only.")
        }
    }

    // MARK: The curl thread's side

    var hasEnded: Bool { state.withLock { $0.ending != nil } }

    /// Returns who is to be woken.
    func arrived(_ head: HTTPHead) -> Waiter? {
        state.withLock { state in
            state.head = head
            return state.takeWaiter()
        }
    }

    /// Keeps the bytes for the reader; `tooEarly` when enough wait, and then `resume` follows once
    /// they are read. Returns who is to be woken, too.
    func receive(_ bytes: UnsafeRawBufferPointer) -> (Reception, Waiter?) {
        state.withLock { state in
            guard state.ending == nil else {
                return (state.isDraining ? Reception.taken : .unwanted, Waiter?.none)
            }
            guard state.buffer.count < Self.bufferBytesMax else {
                state.isPaused = true
                return (.tooEarly, nil)
            }
            state.buffer.append(contentsOf: bytes)
            return (.taken, state.takeWaiter())
        }
    }

    /// Ends the transfer unless it has ended; returns who is to be woken.
    func ended(_ ending: Ending) -> Waiter? { end(ending, keepsBytes: true).waiter }

    /// False when it had ended before.
    @discardableResult
    func finish(_ ending: Ending, keepsBytes: Bool = true) -> Bool {
        let (isFirst, waiter) = end(ending, keepsBytes: keepsBytes)
        waiter?.resume()
        return isFirst
    }

    private func end(_ ending: Ending, keepsBytes: Bool) -> (isFirst: Bool, waiter: Waiter?) {
        state.withLock { state in
            guard state.ending == nil else { return (false, Waiter?.none) }
            state.ending = ending
            if !keepsBytes { state.buffer = [] }
            return (true, state.takeWaiter())
        }
    }
}
