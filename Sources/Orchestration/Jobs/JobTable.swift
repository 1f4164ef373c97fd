import Core
import GRDB
import Storage

/// A job and what only the queue knows about it.
struct JobRow: Sendable {
    var job: Job
    let principal: Principal
    let crashes: Int
    let isCancelled: Bool
}

/// The rows of `jobs`.
struct JobTable: Sendable {
    let pool: DatabasePool

    static let noJob = Failure(.notFound, "There is no such job.")

    func insert(_ job: Job, for principal: Principal, waitingMax: Int) async throws {
        try await pool.write { database in
            let waiting =
                try Int.fetchOne(
                    database,
                    sql: "SELECT count(*) FROM jobs WHERE owner = ? AND state = 'available'",
                    arguments: [principal.userID]) ?? 0
            guard waiting < waitingMax else {
                throw Failure(
                    .rateLimited,
                    "You have \(waiting) jobs waiting, which is the most. Let some of them end"
                        + " first.", retryAfter: .seconds(30))
            }
            try database.execute(
                sql: """
                    INSERT INTO jobs
                        (id, owner, principal, kind, payload, state, created_at, updated_at)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    job.id, principal.userID, try JSON.encode(principal), job.kind, job.payload,
                    job.state.rawValue, job.createdAt, job.updatedAt,
                ])
        }
    }

    func job(_ id: Identifier, for principal: Principal) async throws -> Job {
        try await pool.read { database in
            let row = try Row.fetchOne(
                database, sql: "SELECT * FROM jobs WHERE id = ? AND owner = ?",
                arguments: [id, principal.userID])
            guard let row else { throw Self.noJob }
            return try Self.read(row).job
        }
    }

    /// Takes the next job that one of `kinds` can do and marks it as running; nil where none waits.
    /// Fair between users: first whoever has the fewest running, then whose last job began longest
    /// ago; of one user's jobs the oldest, those that a server went down with last: what can be done is
    /// done first, and many restarts are not held against the same few.
    func claim(kinds: [String], at now: Timestamp) async throws -> JobRow? {
        try await pool.write { database in
            let marks = databaseQuestionMarks(count: kinds.count)
            let row = try Row.fetchOne(
                database, sql: Self.claimQuery(marks), arguments: StatementArguments(kinds))
            guard let row else { return nil }
            var claimed = try Self.read(row)
            claimed.job = try Self.apply(.claimed, to: claimed.job, at: now, database)
            try database.execute(
                sql: "UPDATE jobs SET started_at = ? WHERE id = ?",
                arguments: [now, claimed.job.id])
            return claimed
        }
    }

    static func claimQuery(_ marks: String) -> String {
        """
        SELECT * FROM jobs WHERE id = (
            SELECT id FROM (
                SELECT owner, coalesce(min(CASE crashes WHEN 0 THEN id END), min(id)) AS id FROM jobs
                WHERE state = 'available' AND kind IN (\(marks)) GROUP BY owner
            ) AS next
            ORDER BY
                (SELECT count(*) FROM jobs WHERE owner = next.owner AND state = 'running'),
                (SELECT max(started_at) FROM jobs WHERE owner = next.owner),
                id
            LIMIT 1)
        """
    }

    func save(_ progress: JobProgress, of id: Identifier, at now: Timestamp) async throws {
        try await pool.write { database in
            try database.execute(
                sql: """
                    UPDATE jobs SET done = ?, total = ?, message = ?, updated_at = ?
                    WHERE id = ? AND state = 'running'
                    """,
                arguments: [progress.done, progress.total, progress.message, now, id])
        }
    }

    /// Applies an event to the saved job. Returns the job as it is then, changed or not.
    func apply(_ event: JobEvent, to job: Job, at now: Timestamp) async throws -> Job {
        try await pool.write { database in
            let state = try String.fetchOne(
                database, sql: "SELECT state FROM jobs WHERE id = ?", arguments: [job.id])
            guard let state = state.flatMap(Job.State.init(rawValue:)) else { throw Self.noJob }
            return try Self.apply(event, to: job.with(state: state), at: now, database)
        }
    }

    /// Cancels a waiting job at once, and notes the wish on a running one for the case of a crash.
    func cancel(_ id: Identifier, for principal: Principal, at now: Timestamp) async throws -> Job {
        try await pool.write { database in
            let row = try Row.fetchOne(
                database, sql: "SELECT * FROM jobs WHERE id = ? AND owner = ?",
                arguments: [id, principal.userID])
            guard let row else { throw Self.noJob }
            let job = try Self.read(row).job
            if job.state == .available {
                return try Self.apply(.cancelled, to: job, at: now, database)
            }
            try database.execute(
                sql: "UPDATE jobs SET is_cancelled = 1 WHERE id = ? AND state = 'running'",
                arguments: [id])
            return job
        }
    }

    /// For the queue itself, which has just claimed the job.
    func isCancelled(_ id: Identifier) async throws -> Bool {
        try await pool.read { database in
            try Bool.fetchOne(
                database, sql: "SELECT is_cancelled FROM jobs WHERE id = ?", arguments: [id])
                ?? false
        }
    }

    /// Makes order after a restart: no job runs yet, so those marked as running were cut off; those
    /// that nobody can do are failed, and old ones that have ended go.
    func recover(kinds: Set<String>, crashesMax: Int, keptSince: Timestamp, at now: Timestamp)
        async throws
    {
        try await pool.write { database in
            let running = try Row.fetchAll(
                database, sql: "SELECT * FROM jobs WHERE state = 'running'")
            for row in try running.map(Self.read) {
                let event = JobEvent.crashed(
                    crashes: row.crashes + 1, max: crashesMax, isCancelled: row.isCancelled)
                _ = try Self.apply(event, to: row.job, at: now, database)
                try database.execute(
                    sql: "UPDATE jobs SET crashes = crashes + 1 WHERE id = ?",
                    arguments: [row.job.id])
            }
            let waiting = try Row.fetchAll(
                database, sql: "SELECT * FROM jobs WHERE state = 'available'")
            for row in try waiting.map(Self.read) where !kinds.contains(row.job.kind) {
                let message = "This server has nothing that does jobs of the kind \(row.job.kind)."
                _ = try Self.apply(.failed(message: message), to: row.job, at: now, database)
            }
            try database.execute(
                sql: """
                    DELETE FROM jobs WHERE updated_at < ?
                    AND state IN ('completed', 'failed', 'cancelled')
                    """,
                arguments: [keptSince])
        }
    }

    private static func apply(
        _ event: JobEvent, to job: Job, at now: Timestamp, _ database: Database
    ) throws -> Job {
        guard let (state, message) = job.state.after(event) else { return job }
        let changed = job.with(state: state, message: message, updatedAt: now)
        try database.execute(
            sql: """
                UPDATE jobs SET state = ?, done = ?, total = ?, message = ?, updated_at = ?
                WHERE id = ?
                """,
            arguments: [
                state.rawValue, changed.done, changed.total, changed.message, now, job.id,
            ])
        return changed
    }

    private static func read(_ row: Row) throws -> JobRow {
        guard let state = Job.State(rawValue: row["state"]) else {
            throw Failure(
                .internalError, "A saved job cannot be read; the log has the details.",
                cause: "state \(row["state"] as String)")
        }
        let job = Job(
            id: row["id"], kind: row["kind"], payload: row["payload"], state: state,
            done: row["done"], total: row["total"], message: row["message"],
            createdAt: row["created_at"], updatedAt: row["updated_at"])
        return JobRow(
            job: job, principal: try JSON.decode(Principal.self, row["principal"]),
            crashes: row["crashes"], isCancelled: row["is_cancelled"])
    }
}

extension Job {
    func with(
        state: State? = nil, progress: JobProgress? = nil, message: String? = nil,
        updatedAt: Timestamp? = nil
    ) -> Job {
        Job(
            id: id, kind: kind, payload: payload, state: state ?? self.state,
            done: progress?.done ?? done, total: progress?.total ?? total,
            message: message ?? progress?.message ?? self.message, createdAt: createdAt,
            updatedAt: updatedAt ?? self.updatedAt)
    }
}
