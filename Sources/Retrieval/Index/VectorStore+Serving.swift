import Core
import Foundation
import GRDB
import Storage

/// Which of the models that made vectors is the one that searches compare, and how another takes its
/// place: all at once, when no passage that could be found by meaning would be lost to it.
extension VectorStore {
    /// Nil while there are no vectors.
    func serving() async throws -> EmbeddingModel? {
        try await pool.read { try Self.serving($0)?.model }
    }

    private static func serving(_ database: Database) throws -> (
        number: Int64, model: EmbeddingModel
    )? {
        try Row.fetchOne(database, sql: servingQuery).map { row in
            (
                row["number"],
                EmbeddingModel(candidate: row["candidate"], dimensions: row["dimensions"])
            )
        }
    }

    static let servingQuery = """
        SELECT number, candidate, dimensions FROM serving_model
        CROSS JOIN embedding_model ON embedding_model.number = serving_model.model
        """

    /// How many passages have a vector of this candidate, and how many there are.
    func progress(of candidate: String) async throws -> (made: Int, all: Int) {
        try await pool.read { database in
            let made = try Int.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*) FROM embedding_model CROSS JOIN vector
                        ON vector.model = embedding_model.number
                    WHERE embedding_model.candidate = ?
                        AND embedding_model.number NOT IN (SELECT model FROM serving_model)
                    """, arguments: [candidate])
            let all = try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM passage")
            return (made ?? 0, all ?? 0)
        }
    }

    /// Makes `model` the one that serves, in one step with the marks on what it leaves behind. False,
    /// and nothing changed, where a passage has a vector of the one that serves now and none of it:
    /// but for those of the owners named and the passages named, which words alone find from then on.
    func switchOver(
        to model: EmbeddingModel, leaving owners: Set<Identifier> = [], passages: Set<Int64> = []
    ) async throws -> Bool {
        let left = String(decoding: try JSONEncoder().encode(owners), as: UTF8.self)
        let refused = String(decoding: try JSONEncoder().encode(passages), as: UTF8.self)
        return try await pool.write { database in
            guard let old = try Self.serving(database), old.model != model else { return true }
            let number = try Self.modelNumber(of: model, database)
            let arguments: StatementArguments = [
                "old": old.number, "new": number, "left": left, "refused": refused,
            ]
            let wouldLose = try Bool.fetchOne(
                database, sql: Self.lossQuery, arguments: arguments)
            guard wouldLose != true else { return false }
            if !owners.isEmpty {
                try database.execute(
                    sql: """
                        UPDATE document SET lacks_vectors = 1
                        WHERE owner_id IN (SELECT value FROM json_each(:left)) AND EXISTS (
                            SELECT 1 FROM passage WHERE passage.document = document.number
                                AND NOT EXISTS (SELECT 1 FROM vector
                                    WHERE vector.passage = passage.number AND model = :new))
                        """, arguments: ["left": left, "new": number])
            }
            try database.execute(sql: "UPDATE serving_model SET model = ?", arguments: [number])
            try Self.changed(database)
            return true
        }
    }

    private static let lossQuery = """
        SELECT EXISTS (
            SELECT 1 FROM vector AS old
            CROSS JOIN passage ON passage.number = old.passage
            CROSS JOIN document ON document.number = passage.document
            WHERE old.model = :old
                AND document.owner_id NOT IN (SELECT value FROM json_each(:left))
                AND old.passage NOT IN (SELECT value FROM json_each(:refused))
                AND NOT EXISTS (
                    SELECT 1 FROM vector AS made
                    WHERE made.passage = old.passage AND made.model = :new))
        """

    /// Takes vectors away that no search compares any more, so many at most; those of `kept`, which is
    /// on its way, stay. The models whose last vectors went, and how many vectors did.
    func removeUnused(besides kept: String?, limit: Int) async throws
        -> (gone: [EmbeddingModel], count: Int)
    {
        try await pool.write { database in
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT number, candidate, dimensions FROM embedding_model
                    WHERE EXISTS (SELECT 1 FROM serving_model)
                        AND number NOT IN (SELECT model FROM serving_model)
                        AND candidate IS NOT ?
                    """, arguments: [kept])
            var gone: [EmbeddingModel] = []
            var count = 0
            for row in rows where count < limit {
                let number: Int64 = row["number"]
                try database.execute(
                    sql: """
                        DELETE FROM vector WHERE number IN (
                            SELECT number FROM vector WHERE model = ? LIMIT ?)
                        """, arguments: [number, limit - count])
                count += database.changesCount
                try database.execute(
                    sql: """
                        DELETE FROM embedding_model WHERE number = ?
                            AND NOT EXISTS (SELECT 1 FROM vector WHERE model = ?)
                        """, arguments: [number, number])
                guard database.changesCount > 0 else { continue }
                gone.append(
                    EmbeddingModel(candidate: row["candidate"], dimensions: row["dimensions"]))
            }
            // A passage may have had no others.
            if !gone.isEmpty { try Self.changed(database) }
            return (gone, count)
        }
    }

    // MARK: The job that embeds again

    struct Reembedding: Equatable, Sendable {
        let candidate: String
        let job: Identifier
        let owner: Identifier
    }

    /// The job that was enqueued last, whatever became of it.
    func reembedding() async throws -> Reembedding? {
        try await pool.read { database in
            try Row.fetchOne(database, sql: "SELECT candidate, job_id, owner_id FROM reembedding")
                .map {
                    Reembedding(
                        candidate: $0["candidate"], job: $0["job_id"], owner: $0["owner_id"])
                }
        }
    }

    func set(_ reembedding: Reembedding) async throws {
        try await pool.write { database in
            try database.execute(sql: "DELETE FROM reembedding")
            try database.execute(
                sql: "INSERT INTO reembedding (candidate, job_id, owner_id) VALUES (?, ?, ?)",
                arguments: [reembedding.candidate, reembedding.job, reembedding.owner])
        }
    }

    /// Whose collections are the oldest: as a rule first whoever set the server up.
    func owners() async throws -> [Identifier] {
        try await pool.read { database in
            try Identifier.fetchAll(
                database,
                sql: "SELECT owner_id FROM collection GROUP BY owner_id ORDER BY min(number)")
        }
    }
}

extension VectorStore {
    func count(of model: EmbeddingModel) async throws -> Int {
        try await pool.read { database in
            try Int.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*) FROM embedding_model CROSS JOIN vector
                        ON vector.model = embedding_model.number
                    WHERE candidate = ? AND dimensions = ?
                    """, arguments: [model.candidate, model.dimensions]) ?? 0
        }
    }

    /// Where the last vector of the model that serves is gone, the next that comes serves.
    func forgetServingWithoutVectors() async throws {
        try await pool.write { database in
            try database.execute(
                sql: """
                    DELETE FROM serving_model WHERE NOT EXISTS (
                        SELECT 1 FROM vector WHERE vector.model = serving_model.model)
                    """)
        }
    }
}
