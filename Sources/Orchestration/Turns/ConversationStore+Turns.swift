import Core
import GRDB
import Storage

/// A turn as it is first saved, with the events that are there before the model speaks.
struct NewTurn: Sendable {
    let id: Identifier
    let chatID: Identifier
    let questionID: Identifier
    let answerID: Identifier
    let question: String
    let events: [TurnEventKind]
    let traceID: String?
    let startedAt: Timestamp
}

extension ConversationStore {
    /// Saves question, empty answer and first events, all or nothing. Throws `conflict` when a turn
    /// is running in the chat already, or the chat is full.
    func save(_ turn: NewTurn, for principal: Principal) async throws {
        try await pool.write { database in
            let chat = try Self.chat(turn.chatID, of: principal, in: database)
            let isBusy = try Bool.fetchOne(
                database,
                sql: "SELECT EXISTS (SELECT 1 FROM turns WHERE chat = ? AND state = 'running')",
                arguments: [turn.chatID])
            guard isBusy == false else { throw Self.busy }
            let position = try Self.nextPosition(in: turn.chatID, database)

            try database.execute(
                sql: """
                    INSERT INTO turns (id, chat, owner, answer, state, trace, started_at)
                    VALUES (?, ?, ?, ?, 'running', ?, ?)
                    """,
                arguments: [
                    turn.id, turn.chatID, principal.userID, turn.answerID, turn.traceID,
                    turn.startedAt,
                ])
            let entry = """
                INSERT INTO entries (chat, position, id, role, text, turn, created_at)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """
            try database.execute(
                sql: entry,
                arguments: [
                    turn.chatID, position, turn.questionID, ChatMessage.Role.user.rawValue,
                    turn.question, nil, turn.startedAt,
                ])
            try database.execute(
                sql: entry,
                arguments: [
                    turn.chatID, position + 1, turn.answerID, ChatMessage.Role.assistant.rawValue,
                    "", turn.id, turn.startedAt,
                ])
            try Self.append(turn.events, to: turn.id, after: 0, at: turn.startedAt, database)
            try database.execute(
                sql: "UPDATE chats SET title = ?, updated_at = ? WHERE id = ?",
                arguments: [
                    chat.title.isEmpty ? Title.of(question: turn.question) : chat.title,
                    try Self.nextMoment(at: turn.startedAt, for: principal, in: database), chat.id,
                ])
        }
    }

    static let busy = Failure(
        .conflict, "An answer is being written in this chat. Wait for it, or stop it first.",
        retryAfter: .seconds(5))

    /// Appends to the log of a running turn. An event that is there already stays as it is, so a
    /// commit whose end was not heard of can be made again.
    func append(
        _ events: [TurnEventKind], to turn: Identifier, after number: Int, at now: Timestamp
    ) async throws {
        try await pool.write { database in
            try Self.append(events, to: turn, after: number, at: now, database)
        }
    }

    /// Writes the last events, `ended` among them, and the answer, at once. Does nothing when the
    /// turn is gone with its chat, or has ended already.
    func end(
        _ turn: Identifier, with outcome: TurnOutcome, events: [TurnEventKind], after number: Int,
        at now: Timestamp
    ) async throws {
        try await pool.write { database in
            try Self.end(turn, outcome, events: events, after: number, at: now, database)
        }
    }

    static func end(
        _ turn: Identifier, _ outcome: TurnOutcome, events: [TurnEventKind], after number: Int,
        at now: Timestamp, _ database: Database
    ) throws {
        try database.execute(
            sql: """
                UPDATE turns SET state = ?, ended_at = ?, outcome = ?
                WHERE id = ? AND state = 'running'
                """,
            arguments: [outcome.state.rawValue, now, try JSON.encode(outcome), turn])
        guard database.changesCount > 0 else { return }
        try append(events, to: turn, after: number, at: now, database)
        // The chat leads to its entries by primary key; the answer's own id has no index.
        try database.execute(
            sql: """
                UPDATE entries SET text = ?
                WHERE chat = (SELECT chat FROM turns WHERE id = ?) AND turn = ?
                """,
            arguments: [outcome.text, turn, turn])
    }

    private static func append(
        _ events: [TurnEventKind], to turn: Identifier, after number: Int, at now: Timestamp,
        _ database: Database
    ) throws {
        let statement = try database.cachedStatement(sql: appendQuery)
        for (place, event) in events.enumerated() {
            let (kind, body) = try columns(of: event)
            try statement.execute(arguments: [turn, number + 1 + place, kind, body, now, turn])
        }
    }

    // Selecting from `turns` leaves events of a turn out that was taken away while it ran.
    static let appendQuery = """
        INSERT INTO turn_events (turn, number, kind, body, at)
        SELECT ?, ?, ?, ?, ? FROM turns WHERE id = ?
        ON CONFLICT (turn, number) DO NOTHING
        """

    private static func nextPosition(in chat: Identifier, _ database: Database) throws -> Int {
        let last =
            try Int.fetchOne(
                database, sql: "SELECT max(position) FROM entries WHERE chat = ?",
                arguments: [chat]) ?? 0
        guard last + 2 <= entriesPerChatMax else {
            throw Failure(.conflict, "This chat is full. Begin a new one to go on.")
        }
        return last + 1
    }

    private static func columns(of event: TurnEventKind) throws -> (kind: String, body: String) {
        switch event {
        case .passages(let passages): ("passages", try JSON.encode(passages))
        case .text(let text): ("text", text)
        case .notice(let notice): ("notice", notice)
        case .progress(let progress): ("progress", try JSON.encode(progress))
        case .ended: ("ended", "")
        }
    }
}
