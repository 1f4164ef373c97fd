import Core
import Foundation
import GRDB
import Storage

/// The collections of `knowledge.db`, and whom they are shared with. Every method takes who asks.
struct CollectionStore: Sendable {
    let pool: DatabasePool
    let environment: Environment
    let quota: Quota

    /// What a principal may have; past it nothing more is taken in.
    static let collectionsMax = 1000
    static let sharesMax = 200
    static let defaultName = "Documents"

    // MARK: Reading

    /// Newest first.
    func collections(for principal: Principal) async throws -> [Core.Collection] {
        let access = Access(principal)
        return try await pool.read { database in
            let rows = try Row.fetchAll(
                database, sql: Self.collectionsQuery, arguments: access.arguments())
            return try collections(rows, database)
        }
    }

    static let collectionsQuery = """
        SELECT *, \(Access.level) AS level FROM collection
        WHERE collection.number IN (\(Access.readable))
        ORDER BY collection.number DESC
        """

    private func collection(_ number: Int64, _ access: Access, _ database: Database) throws
        -> Core.Collection
    {
        let rows = try Row.fetchAll(
            database,
            sql: "SELECT *, \(Access.level) AS level FROM collection WHERE number = :number",
            arguments: access.arguments(["number": number]))
        guard let collection = try collections(rows, database).first else {
            throw Access.noCollection
        }
        return collection
    }

    private func collections(_ rows: [Row], _ database: Database) throws -> [Core.Collection] {
        let numbers = rows.map { $0["number"] as Int64 }
        let list = String(decoding: try JSONEncoder().encode(numbers), as: UTF8.self)
        let counts = try Row.fetchAll(
            database, sql: Self.countsQuery, arguments: ["collections": list])
        let byCollection = Dictionary(grouping: counts) { $0["collection"] as Int64 }
        return rows.map { row in
            var collection = Self.collection(row)
            for count in byCollection[row["number"]] ?? [] { collection.add(count) }
            (collection.documentsMax, collection.bytesMax) = quota.limits(of: collection.settings)
            return collection
        }
    }

    static let countsQuery = """
        SELECT collection, state, COUNT(*) AS documents, TOTAL(passage_count) AS passages,
            TOTAL(byte_count) AS bytes
        FROM (
            SELECT document.collection, state, passage_count, byte_count
            FROM json_each(:collections) AS wanted
            CROSS JOIN document ON document.collection = wanted.value
            UNION ALL
            SELECT attachment.collection, state, passage_count, byte_count
            FROM json_each(:collections) AS wanted
            CROSS JOIN attachment ON attachment.collection = wanted.value
            CROSS JOIN document ON document.number = attachment.document
        ) GROUP BY collection, state
        """

    private static func collection(_ row: Row) -> Core.Collection {
        var collection = Core.Collection(
            id: row["id"], name: row["name"], ownerID: row["owner_id"],
            createdAt: row["created_at"])
        collection.access = Access.access(of: row["level"] ?? 1)
        collection.activeAt = row["active_at"] ?? collection.createdAt
        collection.settings = CollectionSettings(stored: row["settings"])
        let metadata = Data((row["metadata"] as String).utf8)
        collection.metadata =
            (try? JSONDecoder().decode([String: String].self, from: metadata)) ?? [:]
        collection.expiresAfterDays = row["expires_days"]
        return collection
    }

    // MARK: Changing

    func create(named name: String, for principal: Principal) async throws -> Core.Collection {
        let access = Access(principal)
        try access.refuseLimitedKey()
        return try await pool.write { database in
            let count = try Int.fetchOne(
                database, sql: "SELECT COUNT(*) FROM collection WHERE owner_id = ?",
                arguments: [principal.userID])
            guard count ?? 0 < Self.collectionsMax else {
                throw Failure(
                    .invalid,
                    "There are \(Self.collectionsMax) collections already. Remove one first.")
            }
            try Self.insert(named: name, principal.userID, environment, database)
            guard database.changesCount == 1 else { throw Self.taken(name) }
            return try collection(database.lastInsertedRowID, access, database)
        }
    }

    private static func insert(
        named name: String, _ owner: Identifier, _ environment: Environment, _ database: Database
    ) throws {
        try database.execute(
            sql: """
                INSERT INTO collection (id, owner_id, name, created_at) VALUES (?, ?, ?, ?)
                ON CONFLICT DO NOTHING
                """, arguments: [environment.identifier(), owner, name, environment.now()])
    }

    private static func taken(_ name: String) -> Failure {
        Failure(.conflict, "There is a collection named “\(name)” already.")
    }

    /// The collection that an owner's documents go to when none is named.
    static func defaultCollection(
        of owner: Identifier, _ environment: Environment, _ database: Database
    ) throws -> Identifier {
        try insert(named: defaultName, owner, environment, database)
        let id = try Identifier.fetchOne(
            database, sql: "SELECT id FROM collection WHERE owner_id = ? AND name = ?",
            arguments: [owner, defaultName])
        guard let id else { throw Access.noCollection }
        return id
    }

    func change(
        _ id: Identifier, _ change: CollectionChange, for principal: Principal
    ) async throws -> Core.Collection {
        let access = Access(principal)
        return try await pool.write { database in
            let place = try access.collection(id, atLeast: .own, database)
            func set(_ column: String, _ value: (any DatabaseValueConvertible)?) throws {
                try database.execute(
                    sql: "UPDATE OR IGNORE collection SET \(column) = ? WHERE number = ?",
                    arguments: [value, place.number])
            }
            if let name = change.name {
                try set("name", name)
                guard database.changesCount == 1 else { throw Self.taken(name) }
            }
            if let settings = change.settings {
                try set("settings", try Self.text(of: settings))
            }
            if let metadata = change.metadata {
                try set("metadata", try Self.text(of: metadata))
            }
            if let days = change.expiresAfterDays { try set("expires_days", days > 0 ? days : nil) }
            try set("active_at", environment.now())
            return try collection(place.number, access, database)
        }
    }

    static func text(of value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    func remove(
        _ id: Identifier, keepingDocuments: Bool, for principal: Principal
    ) async throws {
        let access = Access(principal)
        try await pool.write { database in
            let place = try access.collection(id, atLeast: .own, database)
            if keepingDocuments {
                let target = try Self.defaultCollection(of: place.owner, environment, database)
                let number = try Int64.fetchOne(
                    database, sql: "SELECT number FROM collection WHERE id = ?",
                    arguments: [target])
                guard let number, number != place.number else {
                    throw Failure(
                        .conflict, "“\(Self.defaultName)” is where documents go by themselves.")
                }
                let documents = try Int64.fetchAll(
                    database, sql: "SELECT number FROM document WHERE collection = ?",
                    arguments: [place.number])
                for document in documents {
                    try DocumentStore.move(document, to: number, of: place.owner, database)
                }
            }
            try DocumentStore.delete("collection = ?", [place.number], database)
            try database.execute(
                sql: "DELETE FROM collection WHERE number = ?", arguments: [place.number])
        }
    }

    // MARK: Sharing

    func shares(of id: Identifier, for principal: Principal) async throws -> [Share] {
        let access = Access(principal)
        return try await pool.read { database in
            let place = try access.collection(id, atLeast: .own, database)
            return try Row.fetchAll(
                database, sql: "SELECT grantee, level FROM share WHERE collection = ?",
                arguments: [place.number]
            ).map { Share(granteeID: $0["grantee"], access: Access.access(of: $0["level"])) }
        }
    }

    func share(
        _ id: Identifier, with grantee: Identifier, _ given: CollectionAccess?,
        for principal: Principal
    ) async throws {
        let access = Access(principal)
        try access.refuseLimitedKey()
        try await pool.write { database in
            let place = try access.collection(id, atLeast: .own, database)
            guard let given else {
                return try database.execute(
                    sql: "DELETE FROM share WHERE collection = ? AND grantee = ?",
                    arguments: [place.number, grantee])
            }
            guard given < .own, grantee != place.owner else {
                throw Failure(.invalid, "A collection has one owner; share it to read or to write.")
            }
            let count = try Int.fetchOne(
                database, sql: "SELECT COUNT(*) FROM share WHERE collection = ?",
                arguments: [place.number])
            guard count ?? 0 < Self.sharesMax else {
                throw Failure(
                    .invalid, "It is shared with \(Self.sharesMax) already; take one away first.")
            }
            try database.execute(
                sql: "INSERT OR REPLACE INTO share (collection, grantee, level) VALUES (?, ?, ?)",
                arguments: [place.number, grantee, Access.level(of: given)])
        }
    }
}

extension Core.Collection {
    fileprivate mutating func add(_ count: Row) {
        let documents: Int = count["documents"]
        documentCount += documents
        passageCount += Int(count["passages"] as Double)
        byteCount += Int(count["bytes"] as Double)
        switch DocumentSummary.State(rawValue: count["state"]) {
        case .pending: pendingCount += documents
        case .ready: break
        case .failed, nil: failedCount += documents
        }
    }
}
