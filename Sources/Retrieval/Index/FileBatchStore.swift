import Core
import GRDB
import Storage

/// Which documents were put into a collection together. A batch is seen by who may read its
/// collection, and goes with it.
struct FileBatchStore: Sendable {
    let pool: DatabasePool
    let environment: Environment

    static let noBatch = Failure(.notFound, "There is no such batch of files.")
    /// As many as a collection remembers; the oldest are forgotten first.
    static let batchesMax = 200

    struct Stored: Sendable {
        let id: Identifier
        let createdAt: Timestamp
        let isCancelled: Bool
        let documents: [Identifier]
        let cancelled: Set<Identifier>
    }

    /// The documents are in the collection already.
    func create(
        of documents: [Identifier], in collection: Identifier, for principal: Principal
    ) async throws -> Identifier {
        let access = Access(principal)
        let id = environment.identifier()
        try await pool.write { database in
            let place = try access.collection(collection, atLeast: .write, database)
            try database.execute(
                sql: "INSERT INTO file_batch (id, collection, created_at) VALUES (?, ?, ?)",
                arguments: [id, place.number, environment.now()])
            let number = database.lastInsertedRowID
            for document in documents {
                let found = try access.document(document, atLeast: .read, database)
                try database.execute(
                    sql:
                        "INSERT OR IGNORE INTO file_batch_document (batch, document) VALUES (?, ?)",
                    arguments: [number, found.number])
            }
            try database.execute(
                sql: """
                    DELETE FROM file_batch WHERE collection = :collection AND number NOT IN (
                        SELECT number FROM file_batch WHERE collection = :collection
                        ORDER BY number DESC LIMIT :kept)
                    """, arguments: ["collection": place.number, "kept": Self.batchesMax])
        }
        return id
    }

    /// Newest documents first; those that were deleted since are not among them.
    func batch(
        _ id: Identifier, in collection: Identifier, for principal: Principal
    ) async throws -> Stored {
        let access = Access(principal)
        return try await pool.read { database in
            let place = try access.collection(collection, atLeast: .read, database)
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT number, created_at, is_cancelled FROM file_batch
                    WHERE id = ? AND collection = ?
                    """, arguments: [id, place.number])
            guard let row else { throw Self.noBatch }
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT document.id, file_batch_document.is_cancelled
                    FROM file_batch_document
                    JOIN document ON document.number = file_batch_document.document
                    WHERE batch = ? ORDER BY document.number DESC
                    """, arguments: [row["number"] as Int64])
            return Stored(
                id: id, createdAt: row["created_at"], isCancelled: row["is_cancelled"],
                documents: rows.map { $0["id"] },
                cancelled: Set(rows.filter { $0["is_cancelled"] }.map { $0["id"] }))
        }
    }

    /// Marks it and those of its documents as cancelled.
    func cancel(
        _ id: Identifier, _ documents: [Identifier], in collection: Identifier,
        for principal: Principal
    ) async throws {
        let access = Access(principal)
        try await pool.write { database in
            let place = try access.collection(collection, atLeast: .write, database)
            let number = try Int64.fetchOne(
                database, sql: "SELECT number FROM file_batch WHERE id = ? AND collection = ?",
                arguments: [id, place.number])
            guard let number else { throw Self.noBatch }
            try database.execute(
                sql: "UPDATE file_batch SET is_cancelled = 1 WHERE number = ?",
                arguments: [number])
            for document in documents {
                try database.execute(
                    sql: """
                        UPDATE file_batch_document SET is_cancelled = 1 WHERE batch = ?
                            AND document = (SELECT number FROM document WHERE id = ?)
                        """, arguments: [number, document])
            }
        }
    }
}
