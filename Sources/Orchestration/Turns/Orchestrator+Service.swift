import Core
import Logging
import ServiceLifecycle
import Synchronization

extension Orchestrator: Service {
    /// Ends what a crash left behind, then writes answers until the server stops. Asked to stop, it
    /// takes no new turns and gives those that run `shutdownGraceSeconds`; what is not complete by
    /// then is kept as `interrupted`.
    package func run() async throws {
        try await recover()
        // Turns begin in requests and run here, under the service, so that they outlive their
        // connections: this is the one place where work crosses from those tasks to this one. The
        // registry's limit on turns bounds what the stream can hold.
        let (begun, intake) = AsyncStream.makeStream(of: BegunTurn.self)
        self.intake.withLock { $0 = intake }
        await withDiscardingTaskGroup { group in
            await withGracefulShutdownHandler {
                for await turn in begun {
                    group.addTask { await self.answer(turn) }
                }
            } onGracefulShutdown: {
                self.close()
            }
            // Also when the task was cancelled, which ends the loop as well.
            close()
            await waitForTurns()
            turns.stopAll(.shutdown)
        }
    }

    /// Takes no new turns from here on; those handed over already are still answered.
    private func close() {
        let intake = intake.withLock { intake in
            defer { intake = nil }
            return intake
        }
        intake?.finish()
    }

    private func waitForTurns() async {
        let deadline = ContinuousClock.now + .seconds(configuration.shutdownGraceSeconds)
        while !Task.isCancelled {
            let version = turns.ended.version
            let left = deadline - ContinuousClock.now
            guard turns.count > 0, left > .zero else { return }
            await turns.ended.wait(after: version, atMost: left)
        }
    }

    // Batches of old logs that one start may take; the rest is left to the next.
    private static let compactionsMax = 50

    private func recover() async throws {
        let count = try await store.interruptRunning(at: environment.now())
        if count > 0 {
            logger.notice("Turns were interrupted by a crash", metadata: ["count": "\(count)"])
        }
        let days = configuration.turnEventsKeptDays
        let limit = environment.now() + .seconds(-86_400 * days)
        for _ in 0..<Self.compactionsMax
        where try await store.compactLogs(endedBefore: limit) == 0 {
            break
        }
    }
}
