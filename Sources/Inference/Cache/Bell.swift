import Synchronization

/// Wakes everyone who waits for a change. A waiter notes `version`, looks at what the bell is about,
/// and waits only when that had nothing new, so that no change is missed in between.
final class Bell: Sendable {
    private struct State {
        var version: UInt64 = 0
        var tickets: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    var version: UInt64 { state.withLock { $0.version } }

    func ring() {
        let woken = state.withLock { state in
            state.version &+= 1
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in woken.values { continuation.resume() }
    }

    /// Returns once the bell has rung since `version`, or the task is cancelled.
    func wait(after version: UInt64) async {
        let ticket = state.withLock { state in
            state.tickets &+= 1
            return state.tickets
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.version != version || Task.isCancelled { return true }
                    state.waiting[ticket] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: ticket) }?.resume()
        }
    }
}
