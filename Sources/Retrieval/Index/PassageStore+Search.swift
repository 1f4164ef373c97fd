import Core
import Foundation
import GRDB

/// Finding passages, by their words and by their numbers.
extension PassageStore {
    struct Match: Equatable, Sendable {
        let passage: Int64
        /// BM25, larger for better.
        let score: Double
    }

    /// The passages that hold any of some phrases, best first, among those of the scope. The phrases
    /// are quoted and stand between `OR`.
    func best(_ phrases: String, in scope: SearchScope, limit: Int) async throws -> [Match] {
        try await pool.read { database in
            try Self.best(
                phrases, among: Self.stretches(of: scope, database), limit: limit, database)
        }
    }

    /// What passages score for the words that the best of them use most, as `FeedbackWords` has them.
    ///
    /// - Parameter best: passages to take words of, with how well they answer.
    func feedback(
        of best: [(passage: Int64, score: Double)], among passages: Set<Int64>
    ) async throws -> [Match] {
        try await pool.read { database in
            let texts = try best.compactMap { passage, score in
                try String.fetchOne(
                    database, sql: "SELECT body FROM wording WHERE passage = ?",
                    arguments: [passage]
                ).map { (text: $0, score: score) }
            }
            let words = FeedbackWords(of: texts).words
            guard let phrases = KeywordQuery.expression(of: words) else { return [] }
            return try Self.best(
                phrases, among: passages.sorted().map { $0...$0 }, limit: passages.count,
                rowsMax: FeedbackWords.passagesMax, database)
        }
    }

    /// - Parameters:
    ///   - ranges: ascending; nil for all passages.
    ///   - rowsMax: a phrase that more passages hold is left out; 0 for none.
    private static func best(
        _ phrases: String, among ranges: [ClosedRange<Int64>]?, limit: Int, rowsMax: Int = 0,
        _ database: Database
    ) throws -> [Match] {
        // No bytes at all would be bound as null, which means everywhere.
        if ranges?.isEmpty == true { return [] }
        let stretches = ranges.map { ranges in
            Data(ranges.flatMap { [$0.lowerBound, $0.upperBound] }.flatMap(bytes))
        }
        let best = try Data.fetchOne(
            database, sql: bestQuery,
            arguments: [
                "phrases": phrases, "stretches": stretches, "limit": limit, "rowsMax": rowsMax,
            ])
        return best.map(matches) ?? []
    }

    static let bestQuery = """
        SELECT best_bm25(passage_terms, :limit, :stretches, :rowsMax, \(weights))
        FROM passage_terms WHERE passage_terms MATCH :phrases LIMIT 1
        """

    private static func bytes(_ number: Int64) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) }
    }

    /// Pairs of a number and a score, in the machine's own order of bytes.
    private static func matches(_ pairs: Data) -> [Match] {
        pairs.withUnsafeBytes { bytes in
            stride(from: 0, to: bytes.count - 15, by: 16).map { place in
                Match(
                    passage: bytes.loadUnaligned(fromByteOffset: place, as: Int64.self),
                    score: bytes.loadUnaligned(fromByteOffset: place + 8, as: Double.self))
            }
        }
    }

    /// Where the passages of a scope lie; nil where it has all of them.
    private static func stretches(
        of scope: SearchScope, _ database: Database
    ) throws -> [ClosedRange<Int64>]? {
        if let documents = scope.documents { return documents.passages }
        let list = String(decoding: try JSONEncoder().encode(scope.collections), as: UTF8.self)
        let isEverything = try Bool.fetchOne(
            database, sql: isEverythingQuery, arguments: ["scope": list])
        if isEverything == true { return nil }
        let rows = try Row.fetchCursor(
            database, sql: stretchesQuery, arguments: ["scope": list])
        var stretches: [ClosedRange<Int64>] = []
        while let row = try rows.next() {
            let (first, last): (Int64, Int64) = (row["first"], row["last"])
            if let previous = stretches.last, previous.upperBound + 1 >= first {
                stretches[stretches.count - 1] =
                    previous.lowerBound...max(previous.upperBound, last)
            } else {
                stretches.append(first...last)
            }
        }
        return stretches
    }

    private static let isEverythingQuery = """
        SELECT NOT EXISTS (SELECT 1 FROM collection
            WHERE number NOT IN (SELECT value FROM json_each(:scope)))
        """

    static let stretchesQuery = """
        SELECT MIN(passage.number) AS first, MAX(passage.number) AS last
        FROM json_each(:scope) AS wanted
        CROSS JOIN document ON document.collection = wanted.value
        CROSS JOIN passage ON passage.document = document.number
        GROUP BY document.number ORDER BY first
        """

    /// The passages that match an FTS5 expression, best first, among those of the scope.
    func matches(_ expression: String, in scope: SearchScope, limit: Int) async throws -> [Match] {
        let query = scope.documents == nil ? Self.matchQuery : Self.matchInDocumentsQuery
        let scope = String(
            decoding: try JSONEncoder().encode(scope.documents?.numbers ?? scope.collections),
            as: UTF8.self)
        return try await pool.read { database in
            try Row.fetchAll(
                database, sql: query,
                arguments: ["expression": expression, "scope": scope, "limit": limit]
            ).map { Match(passage: $0["number"], score: -($0["distance"] as Double)) }
        }
    }

    static let matchQuery = matchQuery(within: "collection")
    static let matchInDocumentsQuery = matchQuery(within: "document")

    private static func matchQuery(within column: String) -> String {
        """
        SELECT passage.number, row_bm25(passage_terms, \(weights)) AS distance
        FROM passage_terms
        CROSS JOIN passage ON passage.number = passage_terms.rowid
        WHERE passage_terms MATCH :expression
            AND passage.\(column) IN (SELECT value FROM json_each(:scope))
        ORDER BY distance, passage.number LIMIT :limit
        """
    }

    /// Of context, body and hints. Headings count for more than text: they say what all of the passage
    /// is about.
    private static let weights = "2.0, 1.0, 0.5"

    /// The passages of these numbers that the principal may read now; the others are left out.
    func passages(_ numbers: [Int64], for principal: Principal) async throws -> [Int64: Passage] {
        let access = Access(principal)
        let list = String(decoding: try JSONEncoder().encode(numbers), as: UTF8.self)
        return try await pool.read { database in
            var passages: [Int64: Passage] = [:]
            let rows = try Row.fetchCursor(
                database, sql: Self.passagesQuery, arguments: access.arguments(["list": list]))
            while let row = try rows.next() { passages[row["number"]] = Self.passage(row) }
            return passages
        }
    }

    private static func passage(_ row: Row) -> Passage {
        let headings = Data((row["headings"] as String).utf8)
        return Passage(
            id: row["id"], documentID: row["document_id"], documentName: row["name"],
            headings: (try? JSONDecoder().decode([String].self, from: headings)) ?? [],
            text: row["body"], start: row["start_at"], end: row["end_at"])
    }

    static let passagesQuery = """
        SELECT passage.number, passage.id, headings, body, start_at, end_at,
            document.id AS document_id, document.name
        FROM json_each(:list) AS wanted
        CROSS JOIN passage ON passage.number = wanted.value
        CROSS JOIN wording ON wording.passage = passage.number
        CROSS JOIN document ON document.number = passage.document
        WHERE document.collection IN (\(Access.readable)) OR EXISTS (
            SELECT 1 FROM attachment WHERE attachment.document = document.number
                AND attachment.collection IN (\(Access.readable)))
        """
}
