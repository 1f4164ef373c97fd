package import Core
import Foundation
import GRDB

extension Library {
    package func searched(
        by request: SearchRequest, max: Int
    ) async throws -> [DocumentSummary]? {
        let scope = try await documents.scope(of: request)
        return try await documents.ready(in: scope, max: max, for: request.principal)
    }
}

extension DocumentStore {
    /// Those of a scope that are ready, newest first; nil where they are more than `max`.
    fileprivate func ready(
        in scope: SearchScope, max: Int, for principal: Principal
    ) async throws -> [DocumentSummary]? {
        let column = scope.documents == nil ? "collection" : "number"
        let list = String(
            decoding: try JSONEncoder().encode(scope.documents?.numbers ?? scope.collections),
            as: UTF8.self)
        return try await pool.read { database in
            let rows = try Row.fetchAll(
                database,
                sql: Self.documentQuery + """
                    WHERE document.\(column) IN (SELECT value FROM json_each(:wanted))
                        AND document.state = 'ready'
                    ORDER BY document.number DESC LIMIT :limit
                    """,
                arguments: Access(principal).arguments(["wanted": list, "limit": max + 1]))
            guard rows.count <= max else { return nil }
            return rows.map { StoredDocument($0, for: principal).summary }
        }
    }
}
