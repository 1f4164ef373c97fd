import Core
import Foundation
import GRDB
import Logging
import Storage

/// What is kept of traces, and for how long.
struct Retention: Sendable {
    let age: Duration
    let bytes: Int64
}

/// `telemetry.db`. A member sees the traces that carry its `user.id`; administrators see all.
struct TraceStore: Sendable {
    private let store: Store
    private let buffer: SpanBuffer
    private let now: @Sendable () -> Timestamp
    private let retention: Retention
    private let logger = Logger(label: "heptad.observability")

    init(
        folder: String, buffer: SpanBuffer, now: @escaping @Sendable () -> Timestamp,
        retention: Retention
    ) throws {
        store = try Store(
            folder: folder, name: "telemetry.db", durability: .normal, migrations: Migrations.all)
        self.buffer = buffer
        self.now = now
        self.retention = retention
        buffer.whenMany { [pool = store.pool, logger, weak buffer] in
            guard let buffer else { return }
            pool.asyncWriteWithoutTransaction { database in
                do { try Self.write(buffer, database) } catch {
                    logger.error(
                        "Spans could not be written; they are lost.",
                        metadata: ["error": "\(error)"])
                }
            }
        }
    }

    /// Newest first, those that have just ended among them.
    func traces(for principal: Principal, before: Timestamp?, limit: Int) async throws
        -> [TraceSummary]
    {
        await flushForReading()
        let arguments: StatementArguments = [
            "owner": principal.userID, "before": before ?? Timestamp(microseconds: .max),
            "limit": min(max(1, limit), Self.listMax),
        ]
        let sql = Self.listSQL(isAdministrator: principal.isAdministrator)
        return try await store.pool.read { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map(TraceSummary.init)
        }
    }

    /// By start time. Throws `notFound` for what is no trace id, and for another's.
    func trace(_ traceID: String, for principal: Principal) async throws -> [TraceSpan] {
        let absent = Failure(.notFound, "There is no such trace, or it was pruned by now.")
        guard let id = TraceID(traceID)?.description else { throw absent }
        await flushForReading()
        return try await store.pool.read { database in
            let row = try Row.fetchOne(
                database, sql: "SELECT id, owner FROM traces WHERE trace_id = ?", arguments: [id])
            guard let row else { throw absent }
            let owner: String? = row["owner"]
            guard principal.isAdministrator || owner == principal.userID.description else {
                throw absent
            }
            return try Row.fetchAll(
                database, sql: Self.spansSQL, arguments: [row["id"] as Int64]
            ).map(TraceSpan.init)
        }
    }

    /// Writes every span that has ended by now, in one transaction. It runs on the database's own
    /// queue: it is also the last thing a cancelled service does, and whoever calls it next finds
    /// that an earlier one has been committed.
    func flush() async throws {
        try await withCheckedThrowingContinuation { continuation in
            store.pool.asyncWriteWithoutTransaction { database in
                continuation.resume(with: Result { try Self.write(buffer, database) })
            }
        }
    }

    /// Takes away traces that are too old, and then the oldest until the rest fits.
    func prune() async throws {
        let cutoff = Timestamp(
            microseconds: now().microseconds - retention.age.microseconds)
        while try await removeOldest(before: cutoff) > 0 {}
        // Down to nine tenths, so that not every span starts another round.
        guard try await bytes() > retention.bytes else { return }
        let all = Timestamp(microseconds: .max)
        while try await bytes() > retention.bytes / 10 * 9, try await removeOldest(before: all) > 0
        {}
    }

    /// For tests: reads the tables.
    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try store.pool.read(body)
    }

    private func flushForReading() async {
        do {
            try await flush()
        } catch {
            logger.warning(
                "Spans could not be written; what is shown may lack the newest.",
                metadata: ["error": "\(error)"])
        }
    }

    private static func write(_ buffer: SpanBuffer, _ database: Database) throws {
        let spans = buffer.drain()
        guard !spans.isEmpty else { return }
        do {
            try database.inTransaction {
                var rows = SpanRows(database)
                for (id, spans) in Dictionary(grouping: spans, by: \.parent.traceID) {
                    let kept = try rows.write(spans, of: id)
                    buffer.drop(spans.count - kept)
                }
                return .commit
            }
        } catch {
            buffer.drop(spans.count)
            throw error
        }
    }

    private func bytes() async throws -> Int64 {
        try await store.pool.read {
            try Int64.fetchOne($0, sql: "SELECT coalesce(sum(bytes), 0) FROM traces") ?? 0
        }
    }

    /// How many traces went.
    private func removeOldest(before time: Timestamp) async throws -> Int {
        try await store.pool.write { database in
            try database.execute(
                sql: """
                    DELETE FROM traces WHERE id IN (SELECT id FROM traces WHERE started_at < ?
                        ORDER BY started_at LIMIT \(Self.removedMax))
                    """, arguments: [time])
            return database.changesCount
        }
    }

    static func listSQL(isAdministrator: Bool) -> String {
        """
        SELECT * FROM traces WHERE \(isAdministrator ? "" : "owner = :owner AND") started_at < :before
        ORDER BY started_at DESC LIMIT :limit
        """
    }
    static let spansSQL =
        "SELECT * FROM spans WHERE trace = ? ORDER BY started_at, nanoseconds DESC"
    private static let listMax = 500
    // About 2,000 spans a transaction: others wait for it a few milliseconds.
    private static let removedMax = 200
}

extension TraceSummary {
    fileprivate init(_ row: Row) {
        let startedAt: Timestamp = row["started_at"]
        let endedAt: Timestamp = row["ended_at"]
        self.init(
            traceID: row["trace_id"], name: row["name"], startedAt: startedAt,
            durationMilliseconds: (endedAt - startedAt).milliseconds, spanCount: row["span_count"],
            hasError: row["has_error"])
    }
}

extension TraceSpan {
    fileprivate init(_ row: Row) throws {
        let decoder = JSONDecoder()
        let attributes: String = row["attributes"]
        let events: String = row["events"]
        self.init(
            spanID: row["span_id"], parentID: row["parent_id"], name: row["name"],
            kind: row["kind"], startedAt: row["started_at"],
            durationMilliseconds: Double(row["nanoseconds"] as Int64) / 1_000_000,
            attributes: try decoder.decode([String: String].self, from: Data(attributes.utf8)),
            events: events.isEmpty
                ? [] : try decoder.decode([Event].self, from: Data(events.utf8)),
            error: row["error"])
    }
}
