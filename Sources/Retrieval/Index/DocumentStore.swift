import Core
import Egress
import Foundation
import GRDB
import Storage

/// The documents and files of `knowledge.db`. A method that takes a principal lets it do what its
/// access to the document's collections allows; the others are for work that was let in before.
struct DocumentStore: Sendable {
    let pool: DatabasePool
    let environment: Environment
    let quota: Quota

    static let noDocument = Failure(.notFound, "There is no such document.")

    // MARK: Documents

    /// Keeps a file as a pending document. The same file under the same name is the same document;
    /// one that failed is pending again. True where nothing had to be kept.
    func keep(_ upload: Upload, mediaType: String, for principal: Principal) async throws
        -> (id: Identifier, isKnown: Bool)
    {
        let access = Access(principal)

        let sum = try SHA256()
        upload.bytes.withUnsafeBytes { sum.update($0) }
        let hash = sum.hexadecimal
        return try await pool.write { database in
            let target =
                try upload.collectionID ?? access.onlyCollection
                ?? CollectionStore.defaultCollection(of: principal.userID, environment, database)
            let place = try access.collection(target, atLeast: .write, database)
            if upload.purpose == nil, let id = try known(upload, mediaType, hash, place, database) {
                return (id, true)
            }
            try quota.check(upload.bytes.count, into: place, isNewToOwner: true, database)
            return (try insert(upload, mediaType, hash, place, principal, database), false)
        }
    }

    /// The document that the same file is already.
    private func known(
        _ upload: Upload, _ mediaType: String, _ hash: String, _ place: Access.Place,
        _ database: Database
    ) throws -> Identifier? {
        // The bytes themselves are compared: no digest can mistake one file for another.
        let known = try Row.fetchOne(
            database,
            sql: """
                SELECT document.number, document.id FROM document
                JOIN original ON original.document = document.number
                WHERE document.collection = ? AND document.name = ? AND byte_count = ?
                    AND media_type = ? AND original.bytes = ? AND purpose IS NULL
                    AND (source IS ? OR (source IS NULL AND ? NOT LIKE 'http%'))
                ORDER BY document.number DESC LIMIT 1
                """,
            arguments: [
                place.number, upload.name, upload.bytes.count, mediaType, Data(upload.bytes),
                upload.source, upload.source,
            ])
        guard let known else { return nil }
        try database.execute(
            sql: """
                UPDATE document SET source = ?, content_hash = ?,
                    state = iif(state = 'failed', 'pending', state), failure = NULL
                WHERE number = ?
                """, arguments: [upload.source, hash, known["number"] as Int64])
        return known["id"]
    }

    private func insert(
        _ upload: Upload, _ mediaType: String, _ hash: String, _ place: Access.Place,
        _ principal: Principal, _ database: Database
    ) throws -> Identifier {
        let id = environment.identifier()
        try database.execute(
            sql: """
                INSERT INTO document
                    (id, owner_id, collection, name, media_type, byte_count, state, created_at,
                    source, content_hash, added_by, purpose, expires_at)
                VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                id, place.owner, place.number, upload.name, mediaType, upload.bytes.count,
                environment.now(), upload.source, hash, principal.userID, upload.purpose,
                upload.expiresAt,
            ])
        try database.execute(
            sql: "INSERT INTO original (document, bytes) VALUES (?, ?)",
            arguments: [database.lastInsertedRowID, Data(upload.bytes)])
        return id
    }

    /// Whose job it is asks how it goes.
    func setJob(
        _ job: Identifier, of document: Identifier, by principal: Principal
    ) async throws {
        try await pool.write { database in
            try database.execute(
                sql: "UPDATE document SET job_id = ?, added_by = ? WHERE id = ?",
                arguments: [job, principal.userID, document])
        }
    }

    /// Those in a collection, its own and the attached ones; nil for all of the principal's own.
    /// Newest first.
    func documents(in collection: Identifier?, for principal: Principal) async throws
        -> [StoredDocument]
    {
        let access = Access(principal)
        return try await pool.read { database in
            guard let collection else {
                return try Row.fetchAll(
                    database,
                    sql: Self.documentQuery + """
                        WHERE document.owner_id = :user
                            AND document.collection IN (\(Access.readable))
                        ORDER BY document.number DESC
                        """, arguments: access.arguments()
                ).map { StoredDocument($0, for: principal) }
            }
            let place = try access.collection(collection, atLeast: .read, database)
            return try Row.fetchAll(
                database,
                sql: Self.documentQuery + """
                    WHERE document.collection = :number OR document.number IN (
                        SELECT document FROM attachment WHERE attachment.collection = :number)
                    ORDER BY document.number DESC
                    """, arguments: access.arguments(["number": place.number])
            ).map { StoredDocument($0, for: principal) }
        }
    }

    func document(
        _ id: Identifier, for principal: Principal, atLeast access: CollectionAccess = .read
    ) async throws -> StoredDocument {
        try await pool.read {
            try Access(principal).document(id, atLeast: access, $0)
        }
    }

    static let documentQuery = """
        SELECT document.*, collection.id AS collection_id, other.id AS similar_id,
            \(Access.level) AS level
        FROM document JOIN collection ON collection.number = document.collection
        LEFT JOIN document AS other ON other.number = document.similar_to

        """

    /// Those of the documents that are there and may not be read.
    func hidden(
        _ ids: Set<Identifier>, from principal: Principal
    ) async throws -> Set<Identifier> {
        let access = Access(principal)
        return try await pool.read { database in
            var hidden: Set<Identifier> = []
            for id in ids {
                let isThere = try Bool.fetchOne(
                    database, sql: "SELECT EXISTS (SELECT 1 FROM document WHERE id = ?)",
                    arguments: [id])
                guard isThere == true else { continue }
                do {
                    _ = try access.document(id, atLeast: .read, database)
                } catch let failure as Failure where failure.code == .notFound {
                    hidden.insert(id)
                }
            }
            return hidden
        }
    }

    /// The settings of the collection that it is at home in.
    func settings(of document: StoredDocument) async throws -> CollectionSettings {
        try await pool.read { database in
            let text = try String.fetchOne(
                database, sql: "SELECT settings FROM collection WHERE number = ?",
                arguments: [document.collection])
            return CollectionSettings(stored: text ?? "{}")
        }
    }

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
    func text(of id: Identifier, for principal: Principal) async throws -> (StoredDocument, String)
    {
        try await pool.read { database in
            let document = try Access(principal).document(id, atLeast: .read, database)
            let text = try String.fetchOne(
                database, sql: "SELECT text FROM extraction WHERE document = ?",
                arguments: [document.number])
            return (document, text ?? "")
        }
    }

    func remove(document id: Identifier, for principal: Principal) async throws {
        try await pool.write { database in
            let document = try Access(principal).document(id, atLeast: .write, database)
            try Self.delete("number = ?", [document.number], database)
        }
    }

    /// Takes away what was to be kept until now only. Returns how much that was.
    func removeExpired() async throws -> Int {
        try await pool.write { database in
            try Self.delete("expires_at <= ?", [environment.now()], database)
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
    func discardPending(document id: Identifier) throws {
        try pool.write { database in
            _ = try Self.delete("id = ? AND state <> 'ready'", [id], database)
        }
    }

    /// Calls off that a document is read again: it stays what it was. Blocks, like `discardPending`.
    func keepAsItIs(document id: Identifier) throws {
        try pool.write { database in
            try database.execute(
                sql: "UPDATE document SET is_stale = 0 WHERE id = ?", arguments: [id])
        }
    }

    /// Says why a document did not become searchable. Blocks, like `discardPending`.
    func fail(document id: Identifier, because sentence: String) throws {
        try pool.write { database in
            try database.execute(
                sql: """
                    UPDATE document SET state = 'failed', failure = ?
                    WHERE id = ? AND state = 'pending'
                    """, arguments: [sentence, id])
        }
    }
}

/// A row of `document`, as a principal sees it.
struct StoredDocument: Sendable {
    let number: Int64
    let collection: Int64
    let owner: Identifier
    /// Whose job reads it.
    let addedBy: Identifier
    /// What the principal may do in the collection it is at home in; nil for nothing.
    let level: Int?
    let jobID: Identifier?
    /// Found as it is, and to be read again.
    let isStale: Bool
    let summary: DocumentSummary

    init(_ row: Row, for principal: Principal) {
        number = row["number"]
        collection = row["collection"]
        owner = row["owner_id"]
        addedBy = row["added_by"] ?? row["owner_id"]
        level = row["level"]
        jobID = row["job_id"]
        isStale = row["is_stale"]
        // What only the owner has a right to: other documents, and paths of the owner's machine.
        let isOwn = owner == principal.userID
        var summary = DocumentSummary(
            id: row["id"], collectionID: row["collection_id"], name: row["name"],
            mediaType: row["media_type"], byteCount: row["byte_count"],
            passageCount: row["passage_count"],
            state: DocumentSummary.State(rawValue: row["state"]) ?? .failed,
            failure: row["failure"], createdAt: row["created_at"],
            source: isOwn ? row["source"] : nil, contentHash: row["content_hash"],
            similarTo: isOwn ? row["similar_id"] : nil)
        summary.tags = Self.decoded(row["tags"]) ?? []
        summary.attributes = Self.decoded(row["attributes"]) ?? [:]
        summary.purpose = row["purpose"]
        summary.expiresAt = row["expires_at"]
        self.summary = summary
    }

    private static func decoded<Value: Decodable>(_ text: String) -> Value? {
        try? JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }
}
