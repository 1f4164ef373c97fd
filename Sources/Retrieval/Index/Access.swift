import Core
import Foundation
import GRDB
import Storage

/// Who asks, as SQL is told of it: the user, the teams, and what the API key is limited to. Every
/// statement that decides what somebody may see is made of the two expressions here.
struct Access: Sendable {
    let principal: Principal
    private let grantees: String
    private let keyed: String?

    init(_ principal: Principal) {
        self.principal = principal
        grantees = Self.json([principal.userID] + (principal.teamIDs ?? []))
        keyed = principal.collectionIDs.map { Self.json($0) }
    }

    private static func json(_ ids: [Identifier]) -> String {
        // Identifiers are digits, letters and dashes.
        "[" + ids.map { "\"\($0)\"" }.joined(separator: ",") + "]"
    }

    /// 3 for the owner of the row of `collection`, 2 for who may write, 1 for who may read, else null.
    static let level = """
        CASE
            WHEN :keyed IS NOT NULL
                AND collection.id NOT IN (SELECT value FROM json_each(:keyed)) THEN NULL
            WHEN collection.owner_id = :user THEN 3
            ELSE (SELECT MAX(share.level) FROM share
                WHERE share.collection = collection.number
                    AND share.grantee IN (SELECT value FROM json_each(:grantees)))
        END
        """

    /// The numbers of the collections that may be read at all.
    static let readable = """
        SELECT collection.number FROM collection
        WHERE (collection.owner_id = :user OR collection.number IN (
                SELECT share.collection FROM share
                WHERE share.grantee IN (SELECT value FROM json_each(:grantees))))
            AND (:keyed IS NULL OR collection.id IN (SELECT value FROM json_each(:keyed)))
        """

    /// Arguments of a statement that has one of the two in it, and its own.
    func arguments(_ others: StatementArguments = [:]) -> StatementArguments {
        let own: StatementArguments = [
            "user": principal.userID, "grantees": grantees, "keyed": keyed,
        ]
        return own &+ others
    }

    static func level(of access: CollectionAccess) -> Int {
        switch access {
        case .read: 1
        case .write: 2
        case .own: 3
        }
    }

    static func access(of level: Int) -> CollectionAccess {
        level >= 3 ? .own : level == 2 ? .write : .read
    }

    /// A key that is limited to collections makes none.
    func refuseLimitedKey() throws {
        guard principal.collectionIDs == nil else {
            throw Failure(
                .forbidden,
                "This API key is limited to some collections; it cannot make or share any.")
        }
    }

    /// The only collection that the API key is for; nil for a key, or a session, without limits.
    var onlyCollection: Identifier? {
        get throws {
            guard let ids = principal.collectionIDs else { return nil }
            guard ids.count == 1 else {
                throw Failure(
                    .forbidden, "This API key is limited to some collections; name one of them.")
            }
            return ids[0]
        }
    }

    // MARK: Looking things up

    /// A collection that somebody may go so far with.
    struct Place {
        let number: Int64
        let owner: Identifier
        let level: Int
        let settings: CollectionSettings
    }

    /// Throws `notFound` for what may not be seen, `forbidden` for what may be seen and no more.
    func collection(
        _ id: Identifier, atLeast access: CollectionAccess, _ database: Database
    ) throws -> Place {
        let row = try Row.fetchOne(
            database,
            sql: """
                SELECT number, owner_id, name, settings, \(Self.level) AS level
                FROM collection WHERE collection.id = :id
                """, arguments: arguments(["id": id]))
        guard let row, let level: Int = row["level"] else { throw Self.noCollection }
        guard level >= Self.level(of: access) else {
            throw Failure(
                .forbidden,
                "“\(row["name"] as String)” belongs to somebody else; you may "
                    + (level == 1 ? "read it only." : "add to it, and no more."))
        }
        return Place(
            number: row["number"], owner: row["owner_id"], level: level,
            settings: CollectionSettings(stored: row["settings"]))
    }

    /// Throws `notFound` for what may not be seen, `forbidden` for what may not be changed.
    func document(
        _ id: Identifier, atLeast access: CollectionAccess, _ database: Database
    ) throws -> StoredDocument {
        let row = try Row.fetchOne(
            database, sql: DocumentStore.documentQuery + "WHERE document.id = :id",
            arguments: arguments(["id": id]))
        guard let row else { throw DocumentStore.noDocument }
        let document = StoredDocument(row, for: principal)
        if let level = document.level {
            guard level < Self.level(of: access) else { return document }
        } else {
            guard try isAttached(document, database) else { throw DocumentStore.noDocument }
            guard access > .read else { return document }
        }
        throw Failure(
            .forbidden, "“\(document.summary.name)” is in a collection that you may read only.")
    }

    private func isAttached(_ document: StoredDocument, _ database: Database) throws -> Bool {
        try Bool.fetchOne(
            database,
            sql: """
                SELECT EXISTS (SELECT 1 FROM attachment WHERE document = :number
                    AND collection IN (\(Self.readable)))
                """, arguments: arguments(["number": document.number])) ?? false
    }

    static let noCollection = Failure(.notFound, "There is no such collection.")
}

extension CollectionSettings {
    /// None where the text is not ours.
    init(stored text: String) {
        self = (try? JSONDecoder().decode(Self.self, from: Data(text.utf8))) ?? Self()
    }
}
