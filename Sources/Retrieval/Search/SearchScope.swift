import Core
import Foundation
import GRDB

/// What a search may look at, settled before any lane does: whole collections, or documents one by
/// one where they are filtered or attached.
struct SearchScope: Hashable, Sendable {
    let collections: [Int64]
    /// Nil where all documents at home in the collections count, and no others.
    let documents: Documents?
    /// What the collection has of its own, where it is a single one.
    let settings: CollectionSettings?
    /// Whether a collection among them expires some time after it was used last.
    let canExpire: Bool

    /// Some documents. The passages of each have numbers in a row: they are inserted together.
    struct Documents: Hashable, Sendable {
        let numbers: [Int64]
        /// Ascending and apart.
        let passages: [ClosedRange<Int64>]

        func holds(_ passage: Int64) -> Bool {
            var (low, high) = (0, passages.count)
            while low < high {
                let middle = (low + high) / 2
                if passages[middle].upperBound < passage { low = middle + 1 } else { high = middle }
            }
            return low < passages.count && passages[low].contains(passage)
        }
    }

    func holds(_ document: StoredDocument) -> Bool {
        documents?.numbers.contains(document.number) ?? collections.contains(document.collection)
    }

    var isEmpty: Bool { collections.isEmpty || documents?.passages.isEmpty == true }
}

extension DocumentStore {
    /// The scope of a search. Throws `notFound` for a collection that may not be read, `invalid` for
    /// one that has expired or a filter that says nothing.
    func scope(of request: SearchRequest) async throws -> SearchScope {
        let access = Access(request.principal)
        let filter = try request.filter.map { try DocumentFilter($0) }
        let now = environment.now()
        return try await pool.read { database in
            let rows =
                try request.collectionIDs.isEmpty
                ? Row.fetchAll(
                    database,
                    sql: Self.collectionScope + "number IN (\(Access.readable))",
                    arguments: access.arguments())
                : Set(request.collectionIDs).sorted().compactMap { id in
                    let place = try access.collection(id, atLeast: .read, database)
                    return try Row.fetchOne(
                        database, sql: Self.collectionScope + "number = ?",
                        arguments: [place.number])
                }
            let open = try rows.filter { row in
                guard Self.isExpired(row, at: now) else { return true }
                guard request.collectionIDs.isEmpty else {
                    throw Failure(
                        .invalid,
                        "The collection “\(row["name"] as String)” has expired; give it a"
                            + " new time to go on with it.")
                }
                return false
            }
            let numbers: [Int64] = open.map { $0["number"] }
            let documents = try Self.documents(in: numbers, filter, database)
            let single = open.count == 1 ? open.first : nil
            return SearchScope(
                collections: numbers, documents: documents,
                settings: single.map { CollectionSettings(stored: $0["settings"]) },
                canExpire: open.contains { ($0["expires_days"] as Int?) != nil })
        }
    }

    private static let collectionScope = """
        SELECT number, name, settings, expires_days, active_at, created_at FROM collection WHERE

        """

    private static func isExpired(_ row: Row, at now: Timestamp) -> Bool {
        guard let days: Int = row["expires_days"] else { return false }
        let since: Timestamp = row["active_at"] ?? row["created_at"]
        return since + .seconds(days * 86_400) < now
    }

    private static func documents(
        in collections: [Int64], _ filter: DocumentFilter?, _ database: Database
    ) throws -> SearchScope.Documents? {
        let list = String(decoding: try JSONEncoder().encode(collections), as: UTF8.self)
        if filter == nil {
            let hasGuests = try Bool.fetchOne(
                database, sql: guestQuery, arguments: ["collections": list])
            guard hasGuests == true else { return nil }
        }
        let rows = try Row.fetchAll(
            database,
            sql: documentScope + (filter.map { " AND (\($0.sql))" } ?? "")
                + " GROUP BY document.number ORDER BY first",
            arguments: ["collections": list] &+ (filter?.arguments ?? [:]))
        return SearchScope.Documents(
            numbers: rows.map { $0["number"] },
            passages: rows.map { ($0["first"] as Int64)...($0["last"] as Int64) })
    }

    /// Whether documents are attached whose own collection is not among these.
    static let guestQuery = """
        SELECT EXISTS (
            SELECT 1 FROM json_each(:collections) AS wanted
            CROSS JOIN attachment ON attachment.collection = wanted.value
            CROSS JOIN document ON document.number = attachment.document
            WHERE document.collection NOT IN (SELECT value FROM json_each(:collections)))
        """

    static let documentScope = """
        SELECT document.number, MIN(passage.number) AS first, MAX(passage.number) AS last
        FROM (
            SELECT document.number FROM json_each(:collections) AS wanted
            CROSS JOIN document ON document.collection = wanted.value
            UNION
            SELECT attachment.document FROM json_each(:collections) AS wanted
            CROSS JOIN attachment ON attachment.collection = wanted.value
        ) AS member
        CROSS JOIN document ON document.number = member.number
        CROSS JOIN passage ON passage.document = document.number
        WHERE true
        """

    /// A collection that expires some days after it was used last has been used now.
    func noteUse(of scope: SearchScope) async {
        guard scope.canExpire else { return }
        let list = scope.collections.map { "\($0)" }.joined(separator: ",")
        let now = environment.now()
        let isDue = try? await pool.read { database in
            try Bool.fetchOne(
                database,
                sql: """
                    SELECT EXISTS (SELECT 1 FROM collection WHERE number IN (\(list))
                        AND expires_days IS NOT NULL AND active_at < ?)
                    """, arguments: [now + .seconds(-Self.useInterval)])
        }
        guard isDue == true else { return }
        // On a full disk it can be searched all the same.
        try? await pool.write { database in
            try database.execute(
                sql: """
                    UPDATE collection SET active_at = ?
                    WHERE number IN (\(list)) AND expires_days IS NOT NULL
                    """, arguments: [now])
        }
    }

    private static let useInterval = 3600
}
