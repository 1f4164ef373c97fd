import Core
import GRDB
import Storage

/// A turn as it was asked, for looking into it afterwards.
struct AskedTurn: Sendable {
    let question: String
    let outcome: TurnOutcome?
    /// The passages that its model was given; nil where that is not kept any more.
    let passageIDs: Set<Identifier>?
}

extension ConversationStore {
    func asked(_ turn: Identifier, for principal: Principal) async throws -> AskedTurn {
        try await pool.read { database in
            let row = try Row.fetchOne(
                database,
                sql: "SELECT chat, outcome, is_compact FROM turns WHERE id = ? AND owner = ?",
                arguments: [turn, principal.userID])
            guard let row else { throw Self.noTurn }
            let chat: Identifier = row["chat"]
            let question = try String.fetchOne(
                database,
                sql: """
                    SELECT text FROM entries WHERE chat = ? AND position < (
                        SELECT position FROM entries WHERE chat = ? AND turn = ?)
                    ORDER BY position DESC LIMIT 1
                    """, arguments: [chat, chat, turn])
            let body = try String.fetchOne(
                database,
                sql: """
                    SELECT body FROM turn_events WHERE turn = ? AND kind = 'passages'
                    ORDER BY number DESC LIMIT 1
                    """,
                arguments: [turn])
            let passages = try body.map { try JSON.decode([Passage].self, $0) }
            let isCompact: Bool = row["is_compact"]
            return AskedTurn(
                question: question ?? "",
                outcome: try (row["outcome"] as String?).map {
                    try JSON.decode(TurnOutcome.self, $0)
                },
                passageIDs: passages.map { Set($0.map(\.id)) } ?? (isCompact ? nil : []))
        }
    }
}
