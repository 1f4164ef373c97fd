package import Core
import Logging
import Synchronization

/// The jobs of all users: durable rows, and in memory what changes often about those that run now.
package final class JobStore: Sendable {
    private struct Running {
        var job: Job
        let ownerID: Identifier
        var isCancelled: Bool
        var savedAt: Timestamp
    }

    private struct State {
        var running: [Identifier: Running] = [:]
        /// One bell for each job that someone follows, with the number of its followers.
        var bells: [Identifier: (bell: Bell, followers: Int)] = [:]
        var followerCount = 0
    }

    let table: JobTable
    let environment: Environment
    let configuration: OrchestrationConfiguration
    /// Rings when there may be a job to do.
    let arrivals = Bell()
    private let state = Mutex(State())

    static let payloadBytesMax = 65_536
    static let kindBytesMax = 64
    static let messageCharactersMax = 300
    // Progress is pushed to followers as it comes, and written down at most this often.
    static let saveInterval = Duration.milliseconds(250)
    static let followersMax = 512

    package init(
        store: OrchestrationStore, environment: Environment,
        configuration: OrchestrationConfiguration = OrchestrationConfiguration()
    ) throws {
        try configuration.validate()
        table = JobTable(pool: store.pool)
        self.environment = environment
        self.configuration = configuration
    }

    /// Opens a store of its own. Where an `Orchestrator` uses the same folder, hand both one
    /// `OrchestrationStore` instead, so that the file has one writer.
    package convenience init(folder: String, environment: Environment) throws {
        try self.init(store: OrchestrationStore(folder: folder), environment: environment)
    }
}

extension JobStore: JobQueue {
    package func enqueue(kind: String, payload: String, for principal: Principal) async throws
        -> Job
    {
        guard !kind.isEmpty, kind.utf8.count <= Self.kindBytesMax else {
            throw Failure(.invalid, "A job needs a kind of at most \(Self.kindBytesMax) bytes.")
        }
        guard payload.utf8.count <= Self.payloadBytesMax else {
            throw Failure(
                .tooLarge, "What the job is to do takes more than \(Self.payloadBytesMax) bytes.")
        }
        let now = environment.now()
        let job = Job(
            id: environment.identifier(), kind: kind, payload: payload, state: .available, done: 0,
            total: 0, message: "", createdAt: now, updatedAt: now)
        try await table.insert(job, for: principal, waitingMax: configuration.jobsWaitingPerUserMax)
        arrivals.ring()
        return job
    }

    package func job(_ id: Identifier, for principal: Principal) async throws -> Job {
        let running = state.withLock { $0.running[id] }
        if let running, running.ownerID == principal.userID { return running.job }
        return try await table.job(id, for: principal)
    }

    package func follow(
        _ id: Identifier, for principal: Principal, _ emit: (Job) async throws -> Void
    ) async throws {
        let bell = try bell(of: id)
        defer { leave(id) }
        var last: Job?
        while true {
            let version = bell.version
            let job = try await job(id, for: principal)
            if job != last { try await emit(job) }
            if job.state.isFinal { return }
            last = job
            await bell.wait(after: version)
            try Task.checkCancellation()
        }
    }

    package func cancel(_ id: Identifier, for principal: Principal) async throws {
        _ = try await table.cancel(id, for: principal, at: environment.now())
        state.withLock { state in
            guard state.running[id]?.ownerID == principal.userID else { return }
            state.running[id]?.isCancelled = true
        }
        ring(id)
    }

    private func bell(of id: Identifier) throws -> Bell {
        try state.withLock { state in
            guard state.followerCount < Self.followersMax else {
                throw Failure(
                    .rateLimited, "Too many are watching jobs just now. Ask for the job instead.",
                    retryAfter: .seconds(5))
            }
            let entry = state.bells[id] ?? (Bell(), 0)
            state.bells[id] = (entry.bell, entry.followers + 1)
            state.followerCount += 1
            return entry.bell
        }
    }

    private func leave(_ id: Identifier) {
        state.withLock { state in
            guard let entry = state.bells[id] else { return }
            state.bells[id] = entry.followers > 1 ? (entry.bell, entry.followers - 1) : nil
            state.followerCount -= 1
        }
    }

    private func ring(_ id: Identifier) {
        state.withLock { $0.bells[id]?.bell }?.ring()
    }
}

// What the runner does with jobs.
extension JobStore {
    func recover(kinds: Set<String>) async throws {
        let now = environment.now()
        try await table.recover(
            kinds: kinds, crashesMax: configuration.jobCrashesMax,
            keptSince: now + .seconds(-86_400 * configuration.jobsKeptDays), at: now)
        // A client may have come back and looked before the rows were put right.
        let followed = state.withLock { $0.bells.values.map(\.bell) }
        for bell in followed { bell.ring() }
    }

    func claim(kinds: [String]) async throws -> JobRow? {
        let now = environment.now()
        guard let row = try await table.claim(kinds: kinds, at: now) else { return nil }
        state.withLock { state in
            state.running[row.job.id] = Running(
                job: row.job, ownerID: row.principal.userID, isCancelled: false, savedAt: now)
        }
        // Cancelled between the claim and the line above, which then saw nothing to mark.
        if try await table.isCancelled(row.job.id) {
            state.withLock { $0.running[row.job.id]?.isCancelled = true }
        }
        ring(row.job.id)
        return row
    }

    func isCancelled(_ id: Identifier) -> Bool {
        state.withLock { $0.running[id]?.isCancelled ?? false }
    }

    /// Takes progress in: at once for followers, in the table when it is due.
    func report(_ progress: JobProgress, of id: Identifier) async throws {
        let now = environment.now()
        let progress = JobProgress(
            done: max(0, progress.done), total: max(0, progress.total),
            message: String(progress.message.prefix(Self.messageCharactersMax)))
        let isDue = state.withLock { state -> Bool in
            guard var running = state.running[id] else { return false }
            running.job = running.job.with(progress: progress, updatedAt: now)
            let isDue = now - running.savedAt >= Self.saveInterval
            if isDue { running.savedAt = now }
            state.running[id] = running
            return isDue
        }
        ring(id)
        if isDue { try await table.save(progress, of: id, at: now) }
    }

    /// Ends or releases a running job, with the progress it had.
    func finish(_ id: Identifier, _ event: JobEvent) async throws {
        guard let job = state.withLock({ $0.running[id]?.job }) else { return }
        let now = environment.now()
        _ = try await shielded { [table] in try await table.apply(event, to: job, at: now) }
        drop(id)
        if event == .released { arrivals.ring() }
    }

    /// Forgets that a job runs, and lets followers look at its row.
    func drop(_ id: Identifier) {
        state.withLock { _ = $0.running.removeValue(forKey: id) }
        ring(id)
    }
}
