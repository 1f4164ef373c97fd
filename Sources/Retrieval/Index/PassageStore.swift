import Core
import Foundation
import GRDB
import Storage

/// The passages of `knowledge.db` and the keyword index over them.
struct PassageStore: Sendable {
    let pool: DatabasePool
    let environment: Environment

    /// A passage on its way into the index.
    struct Draft: Sendable {
        let headings: [String]
        /// What the passage stands under: `title > heading > heading`.
        let context: String
        let text: String
        /// In Unicode scalars of the extracted text.
        let range: Range<Int>
        /// Nil where it could not be embedded; it is then made later.
        var vector: Vector?

        /// What the embedder reads.
        var embedded: String { context.isEmpty ? text : context + "\n" + text }
    }

    /// Makes a document searchable, all of it or nothing: passages, keywords, vectors and text, in
    /// one transaction, with what it was before and older documents of the same name taken away in it.
    ///
    /// Throws `notFound` where the document is gone. Does nothing where it is ready already, unless it
    /// is to be read again.
    func publish(
        _ drafts: [Draft], text: String, likeness: Likeness? = nil, as id: Identifier,
        for principal: Principal
    ) async throws {
        try await pool.write { database in
            let document = try Access(principal).document(id, atLeast: .write, database)
            guard document.summary.state != .ready || document.isStale else { return }
            try Self.forgetWords(of: document.number, database)
            try database.execute(
                sql: "DELETE FROM passage WHERE document = ?", arguments: [document.number])
            try insert(drafts, document, database)
            try database.execute(
                sql: "INSERT OR REPLACE INTO extraction (document, text) VALUES (?, ?)",
                arguments: [document.number, text])
            try database.execute(
                sql: """
                    UPDATE document
                    SET state = 'ready', failure = NULL, is_stale = 0, passage_count = ?,
                        lacks_vectors = ?
                    WHERE number = ?
                    """,
                arguments: [
                    drafts.count, drafts.contains { $0.vector == nil }, document.number,
                ])
            try removeOlderVersions(of: document, database)
            try likeness?.keep(for: document, database)
            try VectorStore.changed(database)
        }
    }

    private func insert(
        _ drafts: [Draft], _ document: StoredDocument, _ database: Database
    ) throws {
        let passage = try database.makeStatement(
            sql: """
                INSERT INTO passage (collection, document, id, start_at, end_at)
                VALUES (?, ?, ?, ?, ?)
                """)
        let wording = try database.makeStatement(
            sql: """
                INSERT INTO wording (passage, headings, context, body, hints)
                VALUES (?, ?, ?, ?, ?)
                """)
        let terms = try database.makeStatement(
            sql: "INSERT INTO passage_terms (rowid, context, body, hints) VALUES (?, ?, ?, ?)")
        var models = VectorStore.Models()
        for draft in drafts {
            try passage.execute(arguments: [
                document.collection, document.number, environment.identifier(),
                draft.range.lowerBound, draft.range.upperBound,
            ])
            let number = database.lastInsertedRowID
            let headings = String(decoding: try JSONEncoder().encode(draft.headings), as: UTF8.self)
            let hints = KeywordHints.hints(for: draft.embedded)
            try wording.execute(arguments: [number, headings, draft.context, draft.text, hints])
            try terms.execute(arguments: [number, draft.context, draft.text, hints])
            guard let vector = draft.vector else { continue }
            try VectorStore.insert(
                vector, passage: number, collection: document.collection,
                stamp: environment.random(), models: &models, database)
        }
    }

    /// What was uploaded under this name from this source before is replaced, also where it never
    /// became ready; what came from nowhere known, unless this came from the web, whose names are not
    /// the user's. What was said of it and where it is attached holds for the new one.
    private func removeOlderVersions(of document: StoredDocument, _ database: Database) throws {
        guard document.summary.purpose == nil else { return }
        let isOlder = """
            collection = :collection AND name = :name AND number < :number AND purpose IS NULL
                AND (source IS :source OR (source IS NULL AND :source NOT LIKE 'http%'))
            """
        let arguments: StatementArguments = [
            "collection": document.collection, "name": document.summary.name,
            "number": document.number, "source": document.summary.source,
        ]
        try database.execute(
            sql: """
                UPDATE document SET tags = older.tags, attributes = older.attributes
                FROM (SELECT tags, attributes FROM document WHERE \(isOlder)
                    ORDER BY number DESC LIMIT 1) AS older
                WHERE document.number = :number AND document.tags = '[]'
                    AND document.attributes = '{}'
                """, arguments: arguments)
        try database.execute(
            sql: """
                INSERT OR IGNORE INTO attachment (collection, document)
                SELECT attachment.collection, :number FROM attachment
                WHERE attachment.document IN (SELECT number FROM document WHERE \(isOlder))
                """, arguments: arguments)
        try DocumentStore.delete(isOlder, arguments, database)
    }

    /// Takes a document's words out of the keyword index, which has to be told them once more.
    static func forgetWords(of document: Int64, _ database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO passage_terms (passage_terms, rowid, context, body, hints)
                SELECT 'delete', wording.passage, context, body, hints
                FROM passage CROSS JOIN wording ON wording.passage = passage.number
                WHERE passage.document = ?
                """, arguments: [document])
    }
}
