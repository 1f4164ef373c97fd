/// Work that outlives requests and restarts. Made by Orchestration.
package protocol JobQueue: Sendable {
    /// Durable once it returns.
    func enqueue(kind: String, payload: String, for principal: Principal) async throws -> Job

    func job(_ id: Identifier, for principal: Principal) async throws -> Job

    /// The job now and after every change, until it has ended; then it returns.
    func follow(
        _ id: Identifier, for principal: Principal, _ emit: (Job) async throws -> Void
    ) async throws

    /// Ends a waiting job at once and a running one at its next step.
    func cancel(_ id: Identifier, for principal: Principal) async throws
}

/// Does the jobs of one kind. The queue gives it a job at least once: after a restart the same job
/// comes again, so a handler starts over or goes on from what it saved.
package protocol JobHandler: Sendable {
    var kind: String { get }

    /// Throws `Failure` to fail the job with that sentence. `report` throws when the job is
    /// cancelled, which is the handler's cue to clean up and rethrow.
    func run(
        _ job: Job, for principal: Principal, report: (JobProgress) async throws -> Void
    ) async throws
}
