import CCurl
import Core
import Foundation
import Glibc
import Synchronization

/// The way to the curl thread: a line of commands, and an eventfd that wakes the thread for them.
final class CurlLoop: Sendable {
    enum Command: Sendable {
        case add(Transfer)
        case cancel(Transfer)
        case resume(Transfer)
        case drain(Transfer)
    }

    private enum Phase {
        case idle
        case running(wake: Int32)
        case stopping
        case stopped
    }

    private struct State {
        var phase = Phase.idle
        // Bounded by the transfers: each has one `add`, one `cancel` or `drain`, and a `resume` for
        // each pause.
        var commands: [Command] = []
        var transfers = 0
        var waiters: [CheckedContinuation<Void, Never>] = []

        mutating func enqueue(_ command: Command, wake: Int32) {
            // A thread that has commands left to take is awake already.
            if commands.isEmpty { eventfd_write(wake, 1) }
            commands.append(command)
        }
    }

    private let transfersMax: Int
    private let state = Mutex(State())

    init(transfersMax: Int) { self.transfersMax = transfersMax }

    /// Starts the transfer, and the thread where this is the first. Throws `unavailable`.
    func add(_ transfer: Transfer) throws {
        let startsAt: Int32? = try state.withLock { state in
            guard state.transfers < transfersMax else {
                throw Failure(
                    .unavailable, "Too many calls to other servers are under way; try again soon.",
                    retryAfter: .seconds(1))
            }
            switch state.phase {
            case .stopping, .stopped:
                throw Failure(.unavailable, "The server is stopping.")
            case .running(let wake):
                state.transfers += 1
                state.enqueue(.add(transfer), wake: wake)
                return nil
            case .idle:
                let wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
                guard wake >= 0 else {
                    throw Failure(
                        .unavailable, "This process has too many files open.", cause: errno)
                }
                state.phase = .running(wake: wake)
                state.transfers += 1
                state.enqueue(.add(transfer), wake: wake)
                return wake
            }
        }
        guard let wake = startsAt else { return }
        let thread = Thread { [self] in
            CurlThread.run(self, wake: wake)
            ended(closing: wake)
        }
        thread.name = "heptad.curl"
        thread.stackSize = 1024 * 1024
        thread.start()
    }

    func send(_ command: Command) {
        state.withLock { state in
            guard case .running(let wake) = state.phase else { return }
            state.enqueue(command, wake: wake)
        }
    }

    /// Asks the thread to end every transfer and then itself.
    func stop() {
        state.withLock { state in
            switch state.phase {
            case .idle: state.phase = .stopped
            case .running(let wake):
                state.phase = .stopping
                eventfd_write(wake, 1)
            case .stopping, .stopped: break
            }
        }
    }

    /// Stops, and returns when the thread is gone.
    func stopped() async {
        stop()
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if case .stopped = state.phase { return true }
                state.waiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    // MARK: The thread's side

    func takeCommands() -> (commands: [Command], isStopping: Bool) {
        state.withLock { state in
            defer { state.commands = [] }
            if case .stopping = state.phase { return (state.commands, true) }
            return (state.commands, false)
        }
    }

    /// One transfer has left the thread.
    func released() { state.withLock { $0.transfers -= 1 } }

    private func ended(closing wake: Int32) {
        let (waiters, left) = state.withLock { state in
            state.phase = .stopped
            defer {
                state.waiters = []
                state.commands = []
            }
            return (state.waiters, state.commands)
        }
        close(wake)
        for case .add(let transfer) in left { transfer.finish(.failed(Self.stoppedFailure)) }
        for waiter in waiters { waiter.resume() }
    }

    static let stoppedFailure = Failure(.unavailable, "The server is stopping.")
}
