import Core
import Foundation
import GRDB
import Storage

extension DocumentStore {
    /// Moves a document and says what it can be filtered by.
    func change(
        _ id: Identifier, _ change: DocumentChange, for principal: Principal
    ) async throws -> DocumentSummary {
        let access = Access(principal)
        return try await pool.write { database in
            let document = try access.document(id, atLeast: .write, database)
            if let target = change.collectionID, target != document.summary.collectionID {
                try move(document, to: target, access, database)
            }
            if let tags = change.tags {
                try set("tags", try CollectionStore.text(of: tags), document, database)
            }
            if let attributes = change.attributes {
                try set("attributes", try CollectionStore.text(of: attributes), document, database)
            }
            return try access.document(id, atLeast: .read, database).summary
        }
    }

    private func set(
        _ column: String, _ text: String, _ document: StoredDocument, _ database: Database
    ) throws {
        try database.execute(
            sql: "UPDATE document SET \(column) = ? WHERE number = ?",
            arguments: [text, document.number])
    }

    /// Whoever may only write cannot carry documents off to another owner.
    private func move(
        _ document: StoredDocument, to target: Identifier, _ access: Access, _ database: Database
    ) throws {
        let place = try access.collection(target, atLeast: .write, database)
        guard document.level == 3 || place.owner == document.owner else {
            throw Failure(
                .forbidden, "Only its owner can move “\(document.summary.name)” to another owner.")
        }
        try quota.check(
            document.summary.byteCount, into: place, isNewToOwner: place.owner != document.owner,
            database)
        try Self.move(document.number, to: place.number, of: place.owner, database)
    }

    /// Vectors are numbered anew: that is how the index sees that they belong elsewhere now.
    static func move(
        _ document: Int64, to collection: Int64, of owner: Identifier, _ database: Database
    ) throws {
        let changesOwner = try Bool.fetchOne(
            database, sql: "SELECT owner_id <> ? FROM document WHERE number = ?",
            arguments: [owner, document])
        try database.execute(
            sql: "UPDATE document SET collection = ?, owner_id = ? WHERE number = ?",
            arguments: [collection, owner, document])
        // Attached are documents by their owner only; a new one has not said so.
        try database.execute(
            sql: "DELETE FROM attachment WHERE document = ? AND (collection = ? OR ?)",
            arguments: [document, collection, changesOwner ?? true])
        try database.execute(
            sql: "UPDATE passage SET collection = ? WHERE document = ?",
            arguments: [collection, document])
        try database.execute(
            sql: """
                INSERT OR REPLACE INTO vector (model, passage, collection, stamp, elements)
                SELECT model, passage, ?, random(), elements FROM vector
                WHERE passage IN (SELECT number FROM passage WHERE document = ?)
                """, arguments: [collection, document])
        try VectorStore.changed(database)
    }

    /// Puts one of the principal's documents into another collection as well, or takes it out.
    func attach(
        _ id: Identifier, to collection: Identifier, _ isAttached: Bool, for principal: Principal
    ) async throws -> DocumentSummary {
        let access = Access(principal)
        return try await pool.write { database in
            let place = try access.collection(collection, atLeast: .write, database)
            let document = try access.document(id, atLeast: .read, database)
            guard isAttached else {
                try detach(document, from: place, database)
                return document.summary
            }
            // Otherwise a share that ends would go on in a collection of one's own.
            guard document.owner == principal.userID else {
                throw Failure(
                    .forbidden, "Only its owner can attach “\(document.summary.name)” elsewhere.")
            }
            guard document.collection != place.number else { return document.summary }
            let count = try Int.fetchOne(
                database, sql: "SELECT COUNT(*) FROM attachment WHERE document = ?",
                arguments: [document.number])
            guard count ?? 0 < Self.attachmentsMax else {
                throw Failure(
                    .invalid, "A document is in at most \(Self.attachmentsMax) collections.")
            }
            try database.execute(
                sql: "INSERT OR IGNORE INTO attachment (collection, document) VALUES (?, ?)",
                arguments: [place.number, document.number])
            return document.summary
        }
    }

    static let attachmentsMax = 100

    /// A document that is at home there goes to its owner's default collection.
    private func detach(
        _ document: StoredDocument, from place: Access.Place, _ database: Database
    ) throws {
        try database.execute(
            sql: "DELETE FROM attachment WHERE collection = ? AND document = ?",
            arguments: [place.number, document.number])
        guard database.changesCount == 0 else { return }
        guard document.collection == place.number else { throw Self.noDocument }
        let target = try CollectionStore.defaultCollection(
            of: document.owner, environment, database)
        let number = try Int64.fetchOne(
            database, sql: "SELECT number FROM collection WHERE id = ?", arguments: [target])
        guard let number, number != place.number else {
            throw Failure(
                .conflict,
                "“\(document.summary.name)” is at home here; delete it, or move it elsewhere.")
        }
        try Self.move(document.number, to: number, of: document.owner, database)
    }
}
