import Core
import Logging
import ServiceLifecycle

/// Writes the waiting spans every so often, and once more at the end; prunes now and then.
struct TelemetryService: Service {
    let store: TraceStore
    let flushInterval: Duration

    func run() async throws {
        await cancelWhenGracefulShutdown { await keepUp() }
        await attempt("The last spans could not be written; they are lost.") {
            try await store.flush()
        }
    }

    private func keepUp() async {
        var untilPruned = 0
        while !Task.isCancelled {
            if untilPruned <= 0 {
                await attempt("The traces could not be pruned.") { try await store.prune() }
                untilPruned = Int(Self.pruneInterval / flushInterval)
            }
            untilPruned -= 1
            // Cancelled is how it ends, not a failure.
            try? await Task.sleep(for: flushInterval)
            await attempt("Spans could not be written; they are lost.") {
                try await store.flush()
            }
        }
    }

    private func attempt(_ complaint: Logger.Message, _ work: () async throws -> Void) async {
        do {
            try await work()
        } catch {
            logger.error(complaint, metadata: ["error": "\(error)"])
        }
    }

    private let logger = Logger(label: "heptad.observability")
    private static let pruneInterval = Duration.seconds(300)

    init(store: TraceStore, flushInterval: Duration) {
        self.store = store
        self.flushInterval = flushInterval
    }
}
