package import Core
import Logging
import Metrics
import ServiceContextModule
import ServiceLifecycle
import Synchronization
import Tracing

/// Does the jobs of a store, a few at a time, for as long as it runs. One process does so for a
/// store: at its start it takes every job that is still marked as running for cut off.
package final class JobRunner: Service {
    private let store: JobStore
    private let handlers: [String: any JobHandler]
    private let longKinds: Set<String>
    private let configuration: OrchestrationConfiguration
    private let logger = Logger(label: "heptad.jobs")
    private let state = Mutex(State())
    private let changed = Bell()

    private struct State {
        var runningCount = 0
        var longCount = 0
        var isStopping = false
    }

    // How long to wait with a database that cannot be read just now.
    private static let retryDelay = Duration.seconds(1)
    private static let saveAttemptsMax = 3
    private static let saveRetryDelay = Duration.milliseconds(200)

    /// - Parameters:
    ///   - handlers: at most one for a kind; a second one is never asked.
    ///   - longKinds: of the jobs that may take hours. One place is never theirs, where there are
    ///     two or more, so that brief ones go on beside them.
    package init(
        store: JobStore, handlers: [any JobHandler], longKinds: Set<String> = []
    ) {
        self.store = store
        self.longKinds = longKinds
        self.handlers = Dictionary(handlers.map { ($0.kind, $0) }) { first, _ in first }
        configuration = store.configuration
    }

    package func run() async throws {
        try await store.recover(kinds: Set(handlers.keys))
        await withDiscardingTaskGroup { group in
            await withGracefulShutdownHandler {
                while let row = await next() {
                    group.addTask { await self.perform(row) }
                }
            } onGracefulShutdown: {
                self.stop()
            }
            stop()
            await waitForJobs()
            // What has not come to a step in all that time is stopped where it is; its row goes back
            // to waiting all the same.
            group.cancelAll()
        }
    }

    /// Waits for a job and a place to do it in; nil when the runner stops.
    private func next() async -> JobRow? {
        while !Task.isCancelled {
            let version = store.arrivals.version
            let (isStopping, isFull, isFullOfLong) = state.withLock {
                (
                    $0.isStopping, $0.runningCount >= configuration.jobsMax,
                    $0.longCount >= max(1, configuration.jobsMax - 1)
                )
            }
            if isStopping { return nil }
            let kinds = handlers.keys.filter { !isFullOfLong || !longKinds.contains($0) }.sorted()
            do {
                if !isFull, let row = try await store.claim(kinds: kinds) {
                    count(row, 1)
                    return row
                }
                await store.arrivals.wait(after: version)
            } catch {
                if Task.isCancelled { return nil }
                logger.error("The next job could not be taken", metadata: ["error": "\(error)"])
                await store.arrivals.wait(after: version, atMost: Self.retryDelay)
            }
        }
        return nil
    }

    private func perform(_ row: JobRow) async {
        let startedAt = store.environment.now()
        let event = await handle(row)
        await finish(row.job, event)
        Counter(
            label: "heptad_jobs_total", dimensions: [("kind", row.job.kind), ("end", event.name)]
        )
        .increment()
        Metrics.Timer(label: "heptad_job_duration_seconds", dimensions: [("kind", row.job.kind)])
            .recordSeconds((store.environment.now() - startedAt).milliseconds / 1000)
        count(row, -1)
        changed.ring()
        // There is a place again.
        store.arrivals.ring()
    }

    private func handle(_ row: JobRow) async -> JobEvent {
        let job = row.job
        guard let handler = handlers[job.kind] else {
            return .failed(
                message: "This server has nothing that does jobs of the kind \(job.kind).")
        }
        do {
            // A trace of its own: the request that asked for the job is long answered.
            try await withSpan("job \(job.kind)", context: .topLevel, ofKind: .internal) { span in
                span.attributes["user.id"] = row.principal.userID.description
                span.attributes["heptad.job.id"] = job.id.description
                try await handler.run(job, for: row.principal) { progress in
                    // Recorded even where the job ends here, so that the last step is seen.
                    try await store.report(progress, of: job.id)
                    if store.isCancelled(job.id) || isStopping { throw CancellationError() }
                }
            }
            return .succeeded
        } catch {
            if store.isCancelled(job.id) { return .cancelled }
            if isStopping || Task.isCancelled { return .released }
            logger.warning(
                "A job failed",
                metadata: ["kind": "\(job.kind)", "job": "\(job.id)", "error": "\(error)"])
            return .failed(message: Failure(error).message)
        }
    }

    private func finish(_ job: Job, _ event: JobEvent) async {
        for attempt in 1...Self.saveAttemptsMax {
            do {
                return try await store.finish(job.id, event)
            } catch {
                logger.error(
                    "The end of a job could not be saved",
                    metadata: ["job": "\(job.id)", "attempt": "\(attempt)", "error": "\(error)"])
                try? await Task.sleep(for: Self.saveRetryDelay)
            }
        }
        // Its row stays as running, and the next start takes it for cut off.
        store.drop(job.id)
    }

    private func count(_ row: JobRow, _ change: Int) {
        state.withLock {
            $0.runningCount += change
            if longKinds.contains(row.job.kind) { $0.longCount += change }
        }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func stop() {
        state.withLock { $0.isStopping = true }
        store.arrivals.ring()
    }

    private func waitForJobs() async {
        let deadline = ContinuousClock.now + .seconds(configuration.shutdownGraceSeconds)
        while !Task.isCancelled {
            let version = changed.version
            let left = deadline - ContinuousClock.now
            guard state.withLock({ $0.runningCount }) > 0, left > .zero else { return }
            await changed.wait(after: version, atMost: left)
        }
    }
}

extension JobEvent {
    /// For a metric's label.
    fileprivate var name: String {
        switch self {
        case .claimed: "claimed"
        case .succeeded: "succeeded"
        case .failed: "failed"
        case .cancelled: "cancelled"
        case .released: "released"
        case .crashed: "crashed"
        }
    }
}
