package import Core
import Synchronization

/// A queue that keeps jobs in memory and runs one when it is told to, the way a runner does.
package final class ScriptedJobQueue: JobQueue {
    private struct State {
        var jobs: [(job: Job, owner: Identifier)] = []
        var failure: Failure?
    }

    private let state = Mutex(State())
    private let environment: Environment

    package init(environment: Environment = .manual()) { self.environment = environment }

    /// What `enqueue` throws from now on; nil to take jobs again.
    package func refuse(with failure: Failure?) { state.withLock { $0.failure = failure } }

    package var jobs: [Job] { state.withLock { $0.jobs.map(\.job) } }

    package func enqueue(kind: String, payload: String, for principal: Principal) async throws
        -> Job
    {
        let now = environment.now()
        let job = Job(
            id: environment.identifier(), kind: kind, payload: payload, state: .available, done: 0,
            total: 0, message: "", createdAt: now, updatedAt: now)
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            state.jobs.append((job, principal.userID))
        }
        return job
    }

    package func job(_ id: Identifier, for principal: Principal) async throws -> Job {
        let found = state.withLock { state in
            state.jobs.first { $0.job.id == id && $0.owner == principal.userID }
        }
        guard let found else { throw Failure(.notFound, "There is no such job.") }
        return found.job
    }

    package func follow(
        _ id: Identifier, for principal: Principal, _ emit: (Job) async throws -> Void
    ) async throws {
        try await emit(try await job(id, for: principal))
    }

    package func cancel(_ id: Identifier, for principal: Principal) async throws {
        _ = try await job(id, for: principal)
        update(id) { $0.with(.cancelled, $0.message) }
    }

    /// Runs one job with a handler and keeps what became of it. Gives all it reported, and throws
    /// what it threw.
    @discardableResult
    package func run(
        _ id: Identifier, with handler: any JobHandler, for principal: Principal
    ) async throws -> [JobProgress] {
        let job = try await job(id, for: principal)
        update(id) { $0.with(.running, "") }
        var reports: [JobProgress] = []
        do {
            try await handler.run(job, for: principal) { progress in
                guard try await self.job(id, for: principal).state != .cancelled else {
                    throw CancellationError()
                }
                reports.append(progress)
                self.update(id) { $0.with(.running, progress.message, progress) }
            }
            update(id) { $0.with(.completed, reports.last?.message ?? "") }
            return reports
        } catch {
            let failure = Failure(error)
            let wasCancelled = failure.code == .cancelled
            update(id) { $0.with(wasCancelled ? .cancelled : .failed, failure.message) }
            throw error
        }
    }

    private func update(_ id: Identifier, _ change: (Job) -> Job) {
        state.withLock { state in
            for place in state.jobs.indices where state.jobs[place].job.id == id {
                state.jobs[place].job = change(state.jobs[place].job)
            }
        }
    }
}

extension Job {
    fileprivate func with(_ state: State, _ message: String, _ progress: JobProgress? = nil) -> Job
    {
        Job(
            id: id, kind: kind, payload: payload, state: state, done: progress?.done ?? done,
            total: progress?.total ?? total, message: message, createdAt: createdAt,
            updatedAt: updatedAt)
    }
}
