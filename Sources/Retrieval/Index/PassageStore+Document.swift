import Core
import Foundation
import GRDB
import Storage

/// Looking into the passages of one document. They were added in one transaction, so that their
/// numbers follow one another and the keyword index need not look at any others.
extension PassageStore {
    func numbers(ofDocument document: Int64, limit: Int) async throws -> [Int64] {
        try await pool.read { database in
            try Int64.fetchAll(
                database, sql: Self.numbersQuery, arguments: [document, limit])
        }
    }

    static let numbersQuery = """
        SELECT number FROM passage WHERE document = ? ORDER BY number LIMIT ?
        """

    /// Those of the passages that match, best first; their scores are those of a search of all.
    func matches(_ expression: String, amongPassages numbers: [Int64]) async throws -> [Match] {
        guard let first = numbers.first, let last = numbers.last else { return [] }
        let wanted = Set(numbers)
        return try await pool.read { database in
            try Row.fetchAll(
                database, sql: Self.matchesAmongQuery, arguments: [expression, first, last]
            ).map { Match(passage: $0["rowid"], score: -($0["distance"] as Double)) }
                .filter { wanted.contains($0.passage) }
        }
    }

    static let matchesAmongQuery = """
        SELECT rowid, bm25(passage_terms, 2.0, 1.0, 0.5) AS distance FROM passage_terms
        WHERE passage_terms MATCH ? AND rowid BETWEEN ? AND ? ORDER BY distance
        """

    /// Which of the words the passages hold, in any of their forms.
    func words(_ words: [String], amongPassages numbers: [Int64]) async throws -> Set<String> {
        guard let first = numbers.first, let last = numbers.last else { return [] }
        return try await pool.read { database in
            let statement = try database.makeStatement(
                sql: """
                    SELECT EXISTS (
                        SELECT 1 FROM passage_terms
                        WHERE passage_terms MATCH ? AND rowid BETWEEN ? AND ?)
                    """)
            return try words.reduce(into: []) { found, word in
                let holds = try Bool.fetchOne(
                    statement, arguments: ["\"\(word)\"", first, last])
                if holds == true { found.insert(word) }
            }
        }
    }

    func countWithoutVector(_ numbers: [Int64]) async throws -> Int {
        let list = String(decoding: try JSONEncoder().encode(numbers), as: UTF8.self)
        return try await pool.read { database in
            try Int.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*) FROM json_each(?) AS wanted
                    WHERE NOT EXISTS (SELECT 1 FROM vector WHERE vector.passage = wanted.value)
                    """, arguments: [list]) ?? 0
        }
    }
}

extension DocumentStore {
    /// How many documents that are ready, and passages, a scope has.
    func counts(in scope: SearchScope) async throws -> (documents: Int, passages: Int) {
        let column = scope.documents == nil ? "collection" : "number"
        let list = String(
            decoding: try JSONEncoder().encode(scope.documents?.numbers ?? scope.collections),
            as: UTF8.self)
        return try await pool.read { database in
            let row = try Row.fetchOne(
                database,
                sql: """
                    SELECT COUNT(*) AS documents, TOTAL(passage_count) AS passages
                    FROM json_each(?) AS wanted
                    CROSS JOIN document ON document.\(column) = wanted.value
                    WHERE document.state = 'ready'
                    """, arguments: [list])
            return (row?["documents"] ?? 0, Int(row?["passages"] as Double? ?? 0))
        }
    }

    /// Asks for a document to be read again: one that is ready is found as it is until then, any other
    /// is pending as if it had just come.
    func reset(document id: Identifier, for principal: Principal) async throws {
        try await pool.write { database in
            let document = try Access(principal).document(id, atLeast: .write, database)
            try database.execute(
                sql: """
                    UPDATE document SET is_stale = state = 'ready', failure = NULL,
                        state = iif(state = 'ready', state, 'pending')
                    WHERE number = ?
                    """, arguments: [document.number])
        }
    }
}
