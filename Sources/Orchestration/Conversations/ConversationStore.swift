import Core
import Foundation
import GRDB
import Storage

/// The rows of chats, entries, turns and turn logs. Whatever reads or writes for someone takes the
/// principal, and answers `notFound` for what is another's.
struct ConversationStore: Sendable {
    let pool: DatabasePool

    static let chatsPerPageMax = 200
    static let titleCharactersMax = 200
    // A chat is read as a whole, so its length is what bounds that read.
    static let entriesPerChatMax = 2000

    static let noChat = Failure(.notFound, "There is no such chat.")

    func chats(of principal: Principal, before: Timestamp?, limit: Int) async throws
        -> [ChatSummary]
    {
        let latest = before ?? Timestamp(microseconds: .max)
        let count = min(max(limit, 1), Self.chatsPerPageMax)
        return try await pool.read { database in
            try Row.fetchAll(
                database, sql: Self.chatsQuery, arguments: [principal.userID, latest, count]
            ).map(Self.summary)
        }
    }

    static let chatsQuery = """
        SELECT id, title, created_at, updated_at, passages_max, collections FROM chats
        WHERE owner = ? AND updated_at < ? ORDER BY updated_at DESC LIMIT ?
        """

    func createChat(_ id: Identifier, titled title: String, at now: Timestamp, for owner: Principal)
        async throws -> ChatSummary
    {
        let title = Title.cleaned(title)
        guard title.count <= Self.titleCharactersMax else {
            throw Failure(
                .tooLarge,
                "The title is longer than \(Self.titleCharactersMax) characters; shorten it.")
        }
        return try await pool.write { database in
            let moment = try Self.nextMoment(at: now, for: owner, in: database)
            try database.execute(
                sql: """
                    INSERT INTO chats (id, owner, title, created_at, updated_at)
                    VALUES (?, ?, ?, ?, ?)
                    """,
                arguments: [id, owner.userID, title, moment, moment])
            return ChatSummary(id: id, title: title, createdAt: moment, updatedAt: moment)
        }
    }

    func entries(in chat: Identifier, for principal: Principal) async throws
        -> (ChatSummary, [ChatEntry])
    {
        try await pool.read { database in
            let summary = try Self.chat(chat, of: principal, in: database)
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT entries.*, turns.state, turns.outcome FROM entries
                    LEFT JOIN turns ON turns.id = entries.turn
                    WHERE entries.chat = ? ORDER BY entries.position
                    """,
                arguments: [chat])
            return (summary, try rows.map(Self.entry))
        }
    }

    /// The newest messages that say something, oldest first, and how many there are in all.
    func history(of chat: Identifier, limit: Int, for principal: Principal) async throws
        -> ChatHistory
    {
        try await pool.read { database in
            let chat = try Self.chat(chat, of: principal, in: database)
            let count =
                try Int.fetchOne(
                    database, sql: "SELECT count(*) FROM entries WHERE chat = ? AND text <> ''",
                    arguments: [chat.id]) ?? 0
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT role, text FROM entries WHERE chat = ? AND text <> ''
                    ORDER BY position DESC LIMIT ?
                    """,
                arguments: [chat.id, limit])
            let messages = try rows.reversed().map { row in
                ChatMessage(try Self.role(row["role"]), row["text"])
            }
            return ChatHistory(
                messages: messages, count: count, passagesMax: chat.passagesMax,
                collectionIDs: chat.collectionIDs)
        }
    }

    func setPassages(_ max: Int?, in chat: Identifier, for principal: Principal) async throws {
        try await pool.write { database in
            try database.execute(
                sql: "UPDATE chats SET passages_max = ? WHERE id = ? AND owner = ?",
                arguments: [max, chat, principal.userID])
            guard database.changesCount > 0 else { throw Self.noChat }
        }
    }

    func setCollections(
        _ collections: [Identifier]?, in chat: Identifier, for principal: Principal
    ) async throws {
        let text = try collections.map { try JSON.encode($0) }
        try await pool.write { database in
            try database.execute(
                sql: "UPDATE chats SET collections = ? WHERE id = ? AND owner = ?",
                arguments: [text, chat, principal.userID])
            guard database.changesCount > 0 else { throw Self.noChat }
        }
    }

    func removeChat(_ id: Identifier, for principal: Principal) async throws {
        try await pool.write { database in
            try database.execute(
                sql: "DELETE FROM chats WHERE id = ? AND owner = ?",
                arguments: [id, principal.userID])
            guard database.changesCount > 0 else { throw Self.noChat }
        }
    }

    static func chat(_ id: Identifier, of principal: Principal, in database: Database) throws
        -> ChatSummary
    {
        let row = try Row.fetchOne(
            database,
            sql: """
                SELECT id, title, created_at, updated_at, passages_max, collections FROM chats
                WHERE id = ? AND owner = ?
                """,
            arguments: [id, principal.userID])
        guard let row else { throw noChat }
        return summary(row)
    }

    /// Now in whole milliseconds, as JSON carries it, and later than any other chat of the owner:
    /// then a list can go on after the last moment it has seen, with nothing skipped or repeated.
    static func nextMoment(at now: Timestamp, for owner: Principal, in database: Database) throws
        -> Timestamp
    {
        let latest =
            try Int64.fetchOne(
                database, sql: "SELECT max(updated_at) FROM chats WHERE owner = ?",
                arguments: [owner.userID]) ?? 0
        return Timestamp(microseconds: max(now.microseconds / 1000 * 1000, latest + 1000))
    }

    private static func summary(_ row: Row) -> ChatSummary {
        var summary = ChatSummary(
            id: row["id"], title: row["title"], createdAt: row["created_at"],
            updatedAt: row["updated_at"])
        summary.passagesMax = row["passages_max"]
        summary.collectionIDs = (row["collections"] as String?).flatMap {
            try? JSON.decode([Identifier].self, $0)
        }
        return summary
    }

    private static func entry(_ row: Row) throws -> ChatEntry {
        let state: String? = row["state"]
        let outcome: String? = row["outcome"]
        return ChatEntry(
            id: row["id"], role: try role(row["role"]), text: row["text"],
            createdAt: row["created_at"], turnID: row["turn"],
            turnState: state.flatMap(TurnState.init(rawValue:)),
            outcome: try outcome.map { try JSON.decode(TurnOutcome.self, $0) })
    }

    private static func role(_ text: String) throws -> ChatMessage.Role {
        guard let role = ChatMessage.Role(rawValue: text) else {
            throw Failure(
                .internalError, "A saved message cannot be read; the log has the details.",
                cause: "role \(text)")
        }
        return role
    }
}

/// What a turn begins with.
struct ChatHistory: Sendable {
    let messages: [ChatMessage]
    /// Of all messages, these and older ones.
    let count: Int
    let passagesMax: Int?
    let collectionIDs: [Identifier]?
}

/// Values as columns of JSON text.
enum JSON {
    static func encode(_ value: some Encodable) throws -> String {
        String(decoding: try JSONEncoder().encode(value), as: UTF8.self)
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}
