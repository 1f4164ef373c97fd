import Core
import Metrics
import Synchronization

/// The door of a provider: so many calls at once, a line for the next, and a limit to the wait.
final class ProviderGate: Sendable {
    /// A place among those who run. It is free again when this is let go of.
    final class Place: Sendable {
        private let gate: ProviderGate

        fileprivate init(_ gate: ProviderGate) { self.gate = gate }

        deinit { gate.leave() }
    }

    private enum End { case called, gaveUp }

    private struct State {
        var line: CallLine
        var waiting: [Int: CheckedContinuation<End, Never>] = [:]
        /// Tickets that were given up before anyone waited for them.
        var gaveUp: Set<Int> = []
    }

    private let provider: String
    let runningMax: Int
    let waitingMax: Int
    private let waitMax: Duration
    private let runningGauge: Gauge
    private let waitingGauge: Gauge
    private let state: Mutex<State>

    init(_ provider: String, runningMax: Int, waitingMax: Int, waitMax: Duration) {
        self.provider = provider
        self.runningMax = runningMax
        self.waitingMax = waitingMax
        self.waitMax = waitMax
        let dimensions = [("provider", provider)]
        runningGauge = Gauge(label: "heptad_provider_calls_running", dimensions: dimensions)
        waitingGauge = Gauge(label: "heptad_provider_calls_waiting", dimensions: dimensions)
        state = Mutex(State(line: CallLine(runningMax: runningMax, waitingMax: waitingMax)))
    }

    var load: (running: Int, waiting: Int) {
        state.withLock { ($0.line.running, $0.line.waiting.count) }
    }

    /// Returns when the call may run. Throws `unavailable` when the line is full, or when it did not
    /// move in time.
    func enter() async throws -> Place {
        let entry = state.withLock { $0.line.enter() }
        record()
        switch entry {
        case .runs: return Place(self)
        case .full:
            throw Failure(
                .unavailable,
                "Too many calls wait for the provider \(provider). Try again in a few seconds.",
                retryAfter: .seconds(5))
        case .waits(let ticket):
            return try await wait(ticket)
        }
    }

    private func wait(_ ticket: Int) async throws -> Place {
        let waitMax = waitMax
        let end = await withTaskGroup(of: End?.self) { group in
            group.addTask { await self.turn(of: ticket) }
            group.addTask {
                try? await Task.sleep(for: waitMax)
                self.giveUp(ticket)
                return nil
            }
            var end = End.gaveUp
            for await one in group {
                guard let one else { continue }
                end = one
                group.cancelAll()
            }
            return end
        }
        record()
        if end == .called {
            let place = Place(self)
            try Task.checkCancellation()
            return place
        }
        try Task.checkCancellation()
        throw Failure(
            .unavailable,
            "The provider \(provider) has had too many calls at once for too long. Try again in a"
                + " few seconds.",
            retryAfter: .seconds(5))
    }

    private func turn(of ticket: Int) async -> End {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let end = state.withLock { state -> End? in
                    if state.gaveUp.remove(ticket) != nil { return .gaveUp }
                    // Called before it got here.
                    guard state.line.waiting.contains(ticket) else { return .called }
                    state.waiting[ticket] = continuation
                    return nil
                }
                if let end { continuation.resume(returning: end) }
            }
        } onCancel: {
            giveUp(ticket)
        }
    }

    private func giveUp(_ ticket: Int) {
        let continuation = state.withLock { state -> CheckedContinuation<End, Never>? in
            guard state.line.giveUp(ticket) else { return nil }
            let continuation = state.waiting.removeValue(forKey: ticket)
            if continuation == nil { state.gaveUp.insert(ticket) }
            return continuation
        }
        continuation?.resume(returning: .gaveUp)
    }

    private func leave() {
        let next = state.withLock { state in
            state.line.leave().flatMap { state.waiting.removeValue(forKey: $0) }
        }
        next?.resume(returning: .called)
        record()
    }

    private func record() {
        let (running, waiting) = load
        runningGauge.record(running)
        waitingGauge.record(waiting)
    }
}
