import Core
import Egress
import Foundation
import GRDB
import Storage

/// The collections, documents and files of `knowledge.db`. Every method takes whose rows it means.
struct DocumentStore: Sendable {
    let pool: DatabasePool
    let environment: Environment

    /// What a principal may have; past it nothing more is taken in.
    static let collectionsMax = 1000

    // MARK: Collections

    func collections(of owner: Identifier) async throws -> [Core.Collection] {
        try await pool.read { database in
            try Row.fetchAll(database, sql: Self.collectionsQuery, arguments: [owner])
                .map(Self.collection)
        }
    }

    static let collectionsQuery = """
        SELECT collection.id, collection.name, collection.created_at,
            COUNT(document.number) AS documents, TOTAL(document.passage_count) AS passages
        FROM collection LEFT JOIN document ON document.collection = collection.number
        WHERE collection.owner_id = ?
        GROUP BY collection.number ORDER BY collection.number DESC
        """

    private static func collection(_ row: Row) -> Core.Collection {
        Core.Collection(
            id: row["id"], name: row["name"], documentCount: row["documents"],
            passageCount: Int(row["passages"] as Double), createdAt: row["created_at"])
    }

    func createCollection(named name: String, of owner: Identifier) async throws
        -> Core.Collection
    {
        try await pool.write { database in
            let count = try Int.fetchOne(
                database, sql: "SELECT COUNT(*) FROM collection WHERE owner_id = ?",
                arguments: [owner])
            guard count ?? 0 < Self.collectionsMax else {
                throw Failure(
                    .invalid,
                    "There are \(Self.collectionsMax) collections already. Remove one first.")
            }
            let id = environment.identifier()
            let now = environment.now()
            try database.execute(
                sql: """
                    INSERT INTO collection (id, owner_id, name, created_at) VALUES (?, ?, ?, ?)
                    ON CONFLICT DO NOTHING
                    """, arguments: [id, owner, name, now])
            guard database.changesCount == 1 else {
                throw Failure(.conflict, "There is a collection named “\(name)” already.")
            }
            return Core.Collection(
                id: id, name: name, documentCount: 0, passageCount: 0, createdAt: now)
        }
    }

    func removeCollection(_ id: Identifier, of owner: Identifier) async throws {
        try await pool.write { database in
            let number = try Self.number(ofCollection: id, of: owner, database)
            try Self.delete("collection = ?", [number], database)
            try database.execute(
                sql: "DELETE FROM collection WHERE number = ?", arguments: [number])
        }
    }

    /// The numbers of these collections, or of all of the owner's where none is named.
    func scope(_ ids: [Identifier], of owner: Identifier) async throws -> [Int64] {
        try await pool.read { database in
            guard !ids.isEmpty else {
                return try Int64.fetchAll(
                    database, sql: "SELECT number FROM collection WHERE owner_id = ?",
                    arguments: [owner])
            }
            return try Set(ids).map { try Self.number(ofCollection: $0, of: owner, database) }
        }
    }

    private static func number(
        ofCollection id: Identifier, of owner: Identifier, _ database: Database
    ) throws -> Int64 {
        let number = try Int64.fetchOne(
            database, sql: "SELECT number FROM collection WHERE id = ? AND owner_id = ?",
            arguments: [id, owner])
        guard let number else { throw noCollection }
        return number
    }

    private static let noCollection = Failure(.notFound, "There is no such collection.")
    static let noDocument = Failure(.notFound, "There is no such document.")

    /// The collection that uploads go to when none is named.
    private func defaultCollection(of owner: Identifier, _ database: Database) throws -> Int64 {
        try database.execute(
            sql: """
                INSERT INTO collection (id, owner_id, name, created_at) VALUES (?, ?, ?, ?)
                ON CONFLICT DO NOTHING
                """,
            arguments: [
                environment.identifier(), owner, Self.defaultCollectionName, environment.now(),
            ])
        let number = try Int64.fetchOne(
            database, sql: "SELECT number FROM collection WHERE owner_id = ? AND name = ?",
            arguments: [owner, Self.defaultCollectionName])
        guard let number else { throw Self.noCollection }
        return number
    }

    private static let defaultCollectionName = "Documents"

    // MARK: Documents

    /// Keeps a file as a pending document. The same file under the same name is the same document;
    /// one that failed is pending again. True where nothing had to be kept.
    func keep(_ upload: Upload, mediaType: String, of owner: Identifier) async throws
        -> (id: Identifier, isKnown: Bool)
    {
        let sum = try SHA256()
        upload.bytes.withUnsafeBytes { sum.update($0) }
        let hash = sum.hexadecimal
        return try await pool.write { database in
            let collection =
                try upload.collectionID.map {
                    try Self.number(ofCollection: $0, of: owner, database)
                } ?? defaultCollection(of: owner, database)
            // The bytes themselves are compared: no digest can mistake one file for another.
            let known = try Row.fetchOne(
                database,
                sql: """
                    SELECT document.number, document.id FROM document
                    JOIN original ON original.document = document.number
                    WHERE document.collection = ? AND document.name = ? AND byte_count = ?
                        AND media_type = ? AND original.bytes = ?
                        AND (source IS ? OR source IS NULL)
                    ORDER BY document.number DESC LIMIT 1
                    """,
                arguments: [
                    collection, upload.name, upload.bytes.count, mediaType, Data(upload.bytes),
                    upload.source,
                ])
            if let known {
                try database.execute(
                    sql: """
                        UPDATE document SET source = ?, content_hash = ?,
                            state = iif(state = 'failed', 'pending', state), failure = NULL
                        WHERE number = ?
                        """, arguments: [upload.source, hash, known["number"] as Int64])
                return (known["id"], true)
            }
            let id = environment.identifier()
            try database.execute(
                sql: """
                    INSERT INTO document
                        (id, owner_id, collection, name, media_type, byte_count, state, created_at,
                        source, content_hash)
                    VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)
                    """,
                arguments: [
                    id, owner, collection, upload.name, mediaType, upload.bytes.count,
                    environment.now(), upload.source, hash,
                ])
            try database.execute(
                sql: "INSERT INTO original (document, bytes) VALUES (?, ?)",
                arguments: [database.lastInsertedRowID, Data(upload.bytes)])
            return (id, false)
        }
    }

    func setJob(_ job: Identifier, of document: Identifier) async throws {
        try await pool.write { database in
            try database.execute(
                sql: "UPDATE document SET job_id = ? WHERE id = ?", arguments: [job, document])
        }
    }

    func documents(in collection: Identifier, of owner: Identifier) async throws -> [StoredDocument]
    {
        try await pool.read { database in
            let number = try Self.number(ofCollection: collection, of: owner, database)
            return try Row.fetchAll(
                database,
                sql: Self.documentQuery + """
                    WHERE document.collection = ? ORDER BY document.number DESC
                    """, arguments: [number]
            ).map(StoredDocument.init)
        }
    }

    func document(_ id: Identifier, of owner: Identifier) async throws -> StoredDocument {
        try await pool.read { try Self.document(id, of: owner, $0) }
    }

    static func document(
        _ id: Identifier, of owner: Identifier, _ database: Database
    ) throws -> StoredDocument {
        let row = try Row.fetchOne(
            database, sql: documentQuery + "WHERE document.id = ? AND document.owner_id = ?",
            arguments: [id, owner])
        guard let row else { throw noDocument }
        return StoredDocument(row)
    }

    private static let documentQuery = """
        SELECT document.*, collection.id AS collection_id, other.id AS similar_id
        FROM document JOIN collection ON collection.number = document.collection
        LEFT JOIN document AS other ON other.number = document.similar_to

        """

    func bytes(of document: StoredDocument) async throws -> [UInt8] {
        let data = try await pool.read { database in
            try Data.fetchOne(
                database, sql: "SELECT bytes FROM original WHERE document = ?",
                arguments: [document.number])
        }
        guard let data else { throw Self.noDocument }
        return [UInt8](data)
    }

    /// The document and its extracted text; no text where it is not ready.
    func text(of id: Identifier, of owner: Identifier) async throws -> (StoredDocument, String) {
        try await pool.read { database in
            let document = try Self.document(id, of: owner, database)
            let text = try String.fetchOne(
                database, sql: "SELECT text FROM extraction WHERE document = ?",
                arguments: [document.number])
            return (document, text ?? "")
        }
    }

    func remove(document id: Identifier, of owner: Identifier) async throws {
        try await pool.write { database in
            let count = try Self.delete("id = ? AND owner_id = ?", [id, owner], database)
            guard count == 1 else { throw Self.noDocument }
        }
    }

    /// Takes documents away with everything that was made of them: the only way they go. The words
    /// of their passages leave the index first, while it can still be told what they were.
    @discardableResult
    static func delete(
        _ condition: String, _ arguments: StatementArguments, _ database: Database
    ) throws -> Int {
        let numbers = try Int64.fetchAll(
            database, sql: "SELECT number FROM document WHERE " + condition, arguments: arguments)
        for number in numbers {
            try PassageStore.forgetWords(of: number, database)
            try database.execute(sql: "DELETE FROM document WHERE number = ?", arguments: [number])
        }
        if !numbers.isEmpty { try VectorStore.changed(database) }
        return numbers.count
    }

    /// Takes a document away unless it has become searchable meanwhile. Blocks, so that a task that
    /// was cancelled can still clean up.
    func discardPending(document id: Identifier, of owner: Identifier) throws {
        try pool.write { database in
            _ = try Self.delete(
                "id = ? AND owner_id = ? AND state <> 'ready'", [id, owner], database)
        }
    }

    /// Says why a document did not become searchable. Blocks, like `discardPending`.
    func fail(document id: Identifier, of owner: Identifier, because sentence: String) throws {
        try pool.write { database in
            try database.execute(
                sql: """
                    UPDATE document SET state = 'failed', failure = ?
                    WHERE id = ? AND owner_id = ? AND state = 'pending'
                    """, arguments: [sentence, id, owner])
        }
    }
}

/// A row of `document`.
struct StoredDocument: Sendable {
    let number: Int64
    let collection: Int64
    let jobID: Identifier?
    let summary: DocumentSummary

    init(_ row: Row) {
        number = row["number"]
        collection = row["collection"]
        jobID = row["job_id"]
        summary = DocumentSummary(
            id: row["id"], collectionID: row["collection_id"], name: row["name"],
            mediaType: row["media_type"], byteCount: row["byte_count"],
            passageCount: row["passage_count"],
            state: DocumentSummary.State(rawValue: row["state"]) ?? .failed,
            failure: row["failure"], createdAt: row["created_at"],
            source: row["source"], contentHash: row["content_hash"], similarTo: row["similar_id"])
    }
}
