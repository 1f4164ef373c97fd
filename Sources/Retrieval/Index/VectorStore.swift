import Core
import Foundation
import GRDB
import Storage

/// One passage's place in the space of one embedding model.
struct Vector: Sendable, Equatable {
    /// `provider/model`: vectors of different models are never compared.
    let candidate: String
    let elements: [Float]

    var model: EmbeddingModel {
        EmbeddingModel(candidate: candidate, dimensions: elements.count)
    }
}

/// Whose vectors can be compared with each other. A model of the same name that gives vectors of
/// another length is another model.
struct EmbeddingModel: Hashable, Sendable {
    let candidate: String
    let dimensions: Int
}

/// The vectors of `knowledge.db`: the truth that matrix files are made from.
struct VectorStore: Sendable {
    let pool: DatabasePool
    let environment: Environment

    /// The models that one transaction has met.
    struct Models { fileprivate var numbers: [String: Int64] = [:] }

    static func insert(
        _ vector: Vector, passage: Int64, collection: Int64, stamp: UInt64, models: inout Models,
        _ database: Database
    ) throws {
        let key = "\(vector.candidate) \(vector.elements.count)"
        let model = try models.numbers[key] ?? modelNumber(of: vector.model, database)
        models.numbers[key] = model
        try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO vector (model, passage, collection, stamp, elements)
                VALUES (?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            model, passage, collection, Int64(bitPattern: stamp),
            vector.elements.withUnsafeBytes { Data($0) },
        ])
    }

    static func modelNumber(of model: EmbeddingModel, _ database: Database) throws -> Int64 {
        try database.execute(
            sql: """
                INSERT INTO embedding_model (candidate, dimensions) VALUES (?, ?)
                ON CONFLICT DO NOTHING
                """, arguments: [model.candidate, model.dimensions])
        let number = try Int64.fetchOne(
            database,
            sql: "SELECT number FROM embedding_model WHERE candidate = ? AND dimensions = ?",
            arguments: [model.candidate, model.dimensions])
        guard let number else { throw Failure(.internalError, "The embedding model is lost.") }
        // The first vectors of all serve from the start.
        try database.execute(
            sql: """
                INSERT INTO serving_model SELECT ?
                WHERE NOT EXISTS (SELECT 1 FROM serving_model)
                """, arguments: [number])
        return number
    }

    /// To be called in every transaction that adds vectors or takes some away: this is how an index,
    /// also that of another process, learns that it is behind.
    static func changed(_ database: Database) throws {
        try database.execute(sql: "UPDATE vector_generation SET number = number + 1")
    }

    // MARK: Passages without a vector

    struct Missing: Sendable {
        let passage: Int64
        let owner: Identifier
        let text: String
    }

    /// Passages after `number` that have no vector of `model`; without a model, those that were left
    /// without any when they came. Of all, of one owner, or of one document.
    func missing(
        after number: Int64, of owner: Identifier? = nil, in document: Int64? = nil,
        model: EmbeddingModel?, limit: Int
    ) async throws -> [Missing] {
        let query =
            model == nil
            ? Self.lackingQuery
            : document == nil ? Self.missingQuery : Self.missingInDocumentQuery
        var arguments: StatementArguments = ["after": number, "limit": limit]
        if let document {
            arguments = arguments &+ ["document": document]
        } else {
            arguments = arguments &+ ["owner": owner]
        }
        if let model {
            arguments =
                arguments &+ ["candidate": model.candidate, "dimensions": model.dimensions]
        }
        let bound = arguments
        return try await pool.read { database in
            try Row.fetchAll(database, sql: query, arguments: bound).map { row in
                let context: String = row["context"]
                let body: String = row["body"]
                return Missing(
                    passage: row["number"], owner: row["owner_id"],
                    text: context.isEmpty ? body : context + "\n" + body)
            }
        }
    }

    /// Every passage is looked at: for when the embedding model has changed.
    static let missingQuery = missingQuery(
        "(:owner IS NULL OR document.owner_id = :owner) AND passage.number > :after")
    static let missingInDocumentQuery = missingQuery(
        "passage.document = :document AND passage.number > :after")

    private static func missingQuery(_ condition: String) -> String {
        """
        SELECT passage.number, context, body, document.owner_id
        FROM passage CROSS JOIN document ON document.number = passage.document
        CROSS JOIN wording ON wording.passage = passage.number
        WHERE \(condition)
            AND NOT EXISTS (
                SELECT 1 FROM vector JOIN embedding_model
                    ON embedding_model.number = vector.model
                WHERE vector.passage = passage.number AND embedding_model.candidate = :candidate
                    AND embedding_model.dimensions = :dimensions)
        ORDER BY passage.number LIMIT :limit
        """
    }

    /// Only documents that are marked are looked at: for after every upload.
    static let lackingQuery = """
        SELECT passage.number, context, body, document.owner_id
        FROM document CROSS JOIN passage ON passage.document = document.number
        CROSS JOIN wording ON wording.passage = passage.number
        WHERE document.lacks_vectors AND passage.number > :after
            AND (:owner IS NULL OR document.owner_id = :owner)
            AND NOT EXISTS (SELECT 1 FROM vector WHERE vector.passage = passage.number)
        ORDER BY passage.number LIMIT :limit
        """

    /// Takes the mark off the documents all of whose passages have a vector that serves.
    func markComplete() async throws {
        try await pool.write { database in
            try database.execute(
                sql: """
                    UPDATE document SET lacks_vectors = 0
                    WHERE lacks_vectors AND NOT EXISTS (
                        SELECT 1 FROM passage
                        WHERE passage.document = document.number AND NOT EXISTS (
                            SELECT 1 FROM vector WHERE vector.passage = passage.number
                                AND vector.model IN (SELECT model FROM serving_model)))
                    """)
        }
    }

    /// Adds vectors of passages that are there already; of those gone meanwhile nothing is kept.
    func add(_ vectors: [(passage: Int64, vector: Vector)]) async throws {
        try await pool.write { database in
            var models = Models()
            for (passage, vector) in vectors {
                let collection = try Int64.fetchOne(
                    database, sql: "SELECT collection FROM passage WHERE number = ?",
                    arguments: [passage])
                guard let collection else { continue }
                try Self.insert(
                    vector, passage: passage, collection: collection, stamp: environment.random(),
                    models: &models, database)
            }
            try Self.changed(database)
        }
    }

    // MARK: Reading, for a search

    /// The vectors of these passages that a model made, those it has not left out.
    func elements(
        of passages: Set<Int64>, candidate: String, dimensions: Int
    ) async throws -> [Int64: [Float]] {
        guard !passages.isEmpty else { return [:] }
        let list = String(decoding: try JSONEncoder().encode(passages), as: UTF8.self)
        return try await pool.read { database in
            var found: [Int64: [Float]] = [:]
            let rows = try Row.fetchCursor(
                database, sql: Self.elementsQuery, arguments: [list, candidate, dimensions])
            while let row = try rows.next() {
                found[row["passage"]] = Self.elements(row["elements"], dimensions: dimensions)
            }
            return found
        }
    }

    static let elementsQuery = """
        SELECT vector.passage, vector.elements
        FROM embedding_model CROSS JOIN json_each(?) AS wanted
        CROSS JOIN vector ON vector.passage = wanted.value
            AND vector.model = embedding_model.number
        WHERE embedding_model.candidate = ? AND embedding_model.dimensions = ?
        """

    /// Zeros where the row is not as long as it should be.
    private static func elements(_ data: Data, dimensions: Int) -> [Float] {
        var elements = Array(repeating: Float(0), count: dimensions)
        if data.count == dimensions * MemoryLayout<Float>.stride {
            elements.withUnsafeMutableBytes { _ = data.copyBytes(to: $0) }
        }
        return elements
    }

    // MARK: Reading, for the index

    /// One vector's row without its elements, in the order of their numbers.
    struct Entry: Equatable, Sendable {
        let number: Int64
        let stamp: Int64
        let passage: Int64
        let collection: Int64
    }

    /// The vectors of one model at one moment.
    struct Moment {
        let generation: Int64
        /// How many there are.
        let count: Int
        fileprivate let model: Int64?
        fileprivate let database: Database

        /// Those that were added after `number`, oldest first; from zero, all.
        func entries(after number: Int64) throws -> [Entry] {
            guard let model else { return [] }
            var entries: [Entry] = []
            let rows = try Row.fetchCursor(
                database, sql: VectorStore.rowsQuery, arguments: [model, number])
            while let row = try rows.next() {
                entries.append(
                    Entry(number: row[0], stamp: row[1], passage: row[2], collection: row[3]))
            }
            return entries
        }

        /// The elements of one vector, read now; zeros where the row is not as long as it should be.
        func elements(of entry: Entry, dimensions: Int) throws -> [Float] {
            let statement = try database.cachedStatement(
                sql: "SELECT elements FROM vector WHERE number = ?")
            let data = try Data.fetchOne(statement, arguments: [entry.number]) ?? Data()
            return VectorStore.elements(data, dimensions: dimensions)
        }
    }

    /// The number that changes with every vector added or taken away. Blocks: for a thread of the
    /// index's own.
    func generation() throws -> Int64 {
        try pool.read { try Self.generation($0) }
    }

    private static func generation(_ database: Database) throws -> Int64 {
        try Int64.fetchOne(database, sql: "SELECT number FROM vector_generation") ?? 0
    }

    /// Reads the vectors of a model in one snapshot of the database. Blocks, like `generation`.
    func read<Result>(
        candidate: String, dimensions: Int, _ use: (Moment) throws -> Result
    ) throws -> Result {
        try pool.read { database in
            let model = try Int64.fetchOne(
                database,
                sql: "SELECT number FROM embedding_model WHERE candidate = ? AND dimensions = ?",
                arguments: [candidate, dimensions])
            let count = try Int.fetchOne(
                database, sql: "SELECT COUNT(*) FROM vector WHERE model = ?", arguments: [model])
            return try use(
                Moment(
                    generation: try Self.generation(database), count: count ?? 0, model: model,
                    database: database))
        }
    }

    static let rowsQuery = """
        SELECT number, stamp, passage, collection FROM vector
        WHERE model = ? AND number > ? ORDER BY number
        """
}
