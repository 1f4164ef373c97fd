package import Core
import Foundation
import GRDB
import Storage

/// An API key as its owner sees it in a list.
package struct KeySummary: Hashable, Codable, Sendable {
    package let id: Identifier
    package let name: String
    /// The first characters of the key, to tell one from another.
    package let prefix: String
    package let createdAt: Timestamp
    /// To the minute; nil when it was never used.
    package let lastUsedAt: Timestamp?
    /// The collections that it is limited to; nil for all.
    package let collectionIDs: [Identifier]?
}

/// An API key at the moment it is made, the only one at which it can be read.
package struct NewKey: Hashable, Codable, Sendable {
    package let id: Identifier
    package let name: String
    package let prefix: String
    package let key: String
}

extension IdentityStore {
    static let keyPrefix = "hp_"
    private static let shownCharacters = 8
    static let keysMax = 100

    /// Throws `invalid` for a name that cannot be, `conflict` when the user has too many keys.
    ///
    /// - Parameter collectionIDs: what the key is limited to; nil for no limit.
    package func createKey(
        name: String, collectionIDs: [Identifier]? = nil, for principal: Principal
    ) async throws -> NewKey {
        guard principal.collectionIDs == nil else {
            throw Failure(.forbidden, "A key that is limited to collections cannot make keys.")
        }
        let name = name.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !name.isEmpty, name.count <= Self.nameCharactersMax, name.utf8.count <= 256 else {
            throw Failure(
                .invalid, "A key's name has 1 to \(Self.nameCharactersMax) characters.")
        }
        let key = Self.keyPrefix + (try Secret.token())
        let created = NewKey(
            id: environment.identifier(), name: name,
            prefix: String(key.prefix(Self.keyPrefix.count + Self.shownCharacters)), key: key)
        let hash = Secret.sha256(key)
        let now = environment.now()
        try await store.pool.write { database in
            let count = try Int.fetchOne(
                database, sql: "SELECT COUNT(*) FROM keys WHERE userID = ?",
                arguments: [principal.userID])
            guard count ?? 0 < Self.keysMax else {
                throw Failure(
                    .conflict, "There are \(Self.keysMax) keys already; revoke one first.")
            }
            try database.execute(
                sql: """
                    INSERT INTO keys (id, userID, name, prefix, hash, createdAt, collections)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    created.id, principal.userID, name, created.prefix, Data(hash), now,
                    try collectionIDs.map { try JSON.text($0) },
                ])
        }
        return created
    }

    /// Newest first.
    package func keys(for principal: Principal) async throws -> [KeySummary] {
        try await store.pool.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT id, name, prefix, createdAt, lastUsedAt, collections FROM keys
                    WHERE userID = ? ORDER BY id DESC
                    """,
                arguments: [principal.userID]
            ).map {
                KeySummary(
                    id: $0["id"], name: $0["name"], prefix: $0["prefix"],
                    createdAt: $0["createdAt"], lastUsedAt: $0["lastUsedAt"],
                    collectionIDs: Self.collectionIDs($0))
            }
        }
    }

    /// A limit that cannot be read leaves the key nothing.
    private static func collectionIDs(_ row: Row) -> [Identifier]? {
        (row["collections"] as String?).map { text in
            (try? JSONDecoder().decode([Identifier].self, from: Data(text.utf8))) ?? []
        }
    }

    /// Ends a key at once. Throws `notFound` for another's.
    package func revokeKey(_ id: Identifier, for principal: Principal) async throws {
        let count = try await store.pool.write { database in
            try database.execute(
                sql: "DELETE FROM keys WHERE id = ? AND userID = ?",
                arguments: [id, principal.userID])
            return database.changesCount
        }
        guard count > 0 else { throw Failure(.notFound, "There is no such key.") }
    }

    /// Whom a key acts for; nil when there is no such key.
    func principal(key: String) async throws -> Principal? {
        let hash = Secret.sha256(key)
        let now = environment.now()
        let version = memory.version
        if let known = memory.entry(of: hash, at: version), let usedAt = known.lastUsedAt,
            now - usedAt < Self.stampInterval
        {
            return known.principal
        }
        let found = try await store.pool.read { database in
            try Row.fetchOne(
                database,
                sql: """
                    SELECT \(Self.columns), keys.id AS keyID, keys.lastUsedAt,
                        keys.collections
                    FROM keys JOIN users ON users.id = keys.userID WHERE keys.hash = ?
                    """,
                arguments: [Data(hash)]
            ).map { row -> (Principal?, Timestamp?) in
                var principal = Self.principal(row, keyID: row["keyID"])
                principal?.collectionIDs = Self.collectionIDs(row)
                return (principal, row["lastUsedAt"])
            }
        }
        guard case (let principal?, let lastUsedAt)? = found else { return nil }
        memory.remember(.init(principal: principal, lastUsedAt: lastUsedAt), of: hash, at: version)
        let isStale = lastUsedAt.map { now - $0 >= Self.stampInterval } ?? true
        if isStale {
            await note("UPDATE keys SET lastUsedAt = ? WHERE hash = ?", [now, Data(hash)])
        }
        return principal
    }
}
