import Core
import GRDB
import Storage

/// A stretch of a turn's log as it is saved.
struct TurnLogPage: Sendable {
    let state: TurnState
    let events: [TurnEvent]
}

extension ConversationStore {
    static let noTurn = Failure(.notFound, "There is no such turn.")
    static let eventsPerPage = 500

    /// The events after `number`, at most a page of them.
    ///
    /// An interrupted turn always gives its `ended` again: up to one group commit of text was seen
    /// by followers and lost in the crash, so that their `number` may lie past the end of the log.
    func log(of turn: Identifier, after number: Int, for principal: Principal) async throws
        -> TurnLogPage
    {
        try await pool.read { database in
            let row = try Row.fetchOne(
                database, sql: "SELECT state, outcome FROM turns WHERE id = ? AND owner = ?",
                arguments: [turn, principal.userID])
            guard let row, let state = TurnState(rawValue: row["state"]) else { throw Self.noTurn }
            let outcome = try (row["outcome"] as String?).map {
                try JSON.decode(TurnOutcome.self, $0)
            }
            var rows = try Row.fetchAll(
                database, sql: Self.logQuery, arguments: [turn, number, Self.eventsPerPage])
            if rows.isEmpty, state == .interrupted {
                rows = try Row.fetchAll(
                    database,
                    sql: "SELECT number, kind, body FROM turn_events WHERE turn = ? AND kind = ?",
                    arguments: [turn, "ended"])
            }
            return TurnLogPage(
                state: state, events: try rows.map { try Self.event($0, outcome: outcome) })
        }
    }

    static let logQuery = """
        SELECT number, kind, body FROM turn_events
        WHERE turn = ? AND number > ? ORDER BY number LIMIT ?
        """

    /// Whether the turn is the principal's.
    func owns(turn: Identifier, _ principal: Principal) async throws -> Bool {
        try await pool.read { database in
            try Bool.fetchOne(
                database, sql: "SELECT EXISTS (SELECT 1 FROM turns WHERE id = ? AND owner = ?)",
                arguments: [turn, principal.userID]) ?? false
        }
    }

    /// Ends every turn that is still marked as running: it belonged to a process that is gone. What
    /// its log has is the answer. Called before the first turn of this process begins.
    func interruptRunning(at now: Timestamp) async throws -> Int {
        try await pool.write { database in
            let turns = try Row.fetchAll(
                database, sql: "SELECT id, trace, started_at FROM turns WHERE state = 'running'")
            for row in turns {
                let id: Identifier = row["id"]
                let log = try Row.fetchAll(
                    database,
                    sql: "SELECT number, kind, body, at FROM turn_events WHERE turn = ?"
                        + " ORDER BY number",
                    arguments: [id])
                let events = try log.map { try Self.event($0, outcome: nil) }
                let started: Timestamp = row["started_at"]
                let last: Timestamp = log.last?["at"] ?? started
                let outcome = TurnOutcome(
                    interruptedAfter: events.map(\.kind), traceID: row["trace"],
                    totalMilliseconds: (last - started).milliseconds)
                try Self.end(
                    id, outcome, events: [.ended(outcome)], after: events.last?.number ?? 0,
                    at: now, database)
            }
            return turns.count
        }
    }

    /// Leaves only the last event of each turn that ended before `moment`, so that following it
    /// still gives the whole answer, in one piece. At most one batch; returns how many it did.
    func compactLogs(endedBefore moment: Timestamp) async throws -> Int {
        try await pool.write { database in
            let ids = try String.fetchAll(
                database,
                sql: "SELECT id FROM turns WHERE is_compact = 0 AND ended_at < ? LIMIT ?",
                arguments: [moment, Self.turnsPerCompaction])
            for id in ids {
                try database.execute(
                    sql: "DELETE FROM turn_events WHERE turn = ? AND kind <> 'ended'",
                    arguments: [id])
                try database.execute(
                    sql: "UPDATE turns SET is_compact = 1 WHERE id = ?", arguments: [id])
            }
            return ids.count
        }
    }

    static let turnsPerCompaction = 200

    private static func event(_ row: Row, outcome: TurnOutcome?) throws -> TurnEvent {
        let body: String = row["body"]
        let kind: TurnEventKind? =
            switch row["kind"] as String {
            case "passages": .passages(try JSON.decode([Passage].self, body))
            case "text": .text(body)
            case "notice": .notice(body)
            case "progress": .progress(try JSON.decode(JobProgress.self, body))
            case "ended": outcome.map { .ended($0) }
            default: nil
            }
        guard let kind else {
            throw Failure(
                .internalError, "The log of this turn cannot be read; the server's log says why.",
                cause: "event \(row["kind"] as String)")
        }
        return TurnEvent(number: row["number"], kind: kind)
    }
}

extension TurnOutcome {
    /// What is left of a turn whose process died: the text of its log, with the model's own marks.
    init(interruptedAfter events: [TurnEventKind], traceID: String?, totalMilliseconds: Double) {
        var text = ""
        var passages: [Passage] = []
        var notices: [String] = []
        for event in events {
            switch event {
            case .text(let piece): text += piece
            case .passages(let found): passages = found
            case .notice(let notice): notices.append(notice)
            case .progress, .ended: break
            }
        }
        self.init(
            state: .interrupted, text: text,
            citations: CitationMarks.citations(in: text, of: passages), notices: notices,
            completion: nil, failure: nil, traceID: traceID, totalMilliseconds: totalMilliseconds)
    }
}
