import Core
import GRDB

/// How much a collection and its owner may hold. Held where a document comes in or moves, in the
/// transaction that does it; attached documents count where they are at home.
struct Quota: Sendable {
    let collection: (documents: Int, bytes: Int)
    let user: (documents: Int, bytes: Int)

    init(_ configuration: RetrievalConfiguration) {
        collection = (configuration.collectionDocumentsMax, configuration.collectionBytesMax)
        user = (configuration.userDocumentsMax, configuration.userBytesMax)
    }

    /// What holds for a collection: its own limits where they are lower.
    func limits(of settings: CollectionSettings) -> (documents: Int, bytes: Int) {
        (
            min(collection.documents, settings.documentsMax ?? .max),
            min(collection.bytes, settings.bytesMax ?? .max)
        )
    }

    /// Throws `tooLarge` with what is used and what is allowed where so many bytes more are too many.
    func check(_ bytes: Int, into place: Access.Place, isNewToOwner: Bool, _ database: Database)
        throws
    {
        try check(
            bytes, "This collection", limits(of: place.settings),
            used: "collection = ?", [place.number], database)
        guard isNewToOwner else { return }
        try check(
            bytes, "The owner of this collection", user, used: "owner_id = ?", [place.owner],
            database)
    }

    private func check(
        _ bytes: Int, _ holder: String, _ limits: (documents: Int, bytes: Int),
        used condition: String, _ arguments: StatementArguments, _ database: Database
    ) throws {
        let row = try Row.fetchOne(
            database,
            sql: "SELECT COUNT(*), TOTAL(byte_count) FROM document WHERE " + condition,
            arguments: arguments)
        let documents: Int = row?[0] ?? 0
        let used = Int((row?[1] as Double?) ?? 0)
        guard documents < limits.documents else {
            throw Failure(
                .tooLarge,
                "\(holder) has \(documents) documents, and \(limits.documents) are allowed. Remove"
                    + " some first.")
        }
        guard used + bytes <= limits.bytes else {
            throw Failure(
                .tooLarge,
                "\(holder) has \(used) of \(limits.bytes) bytes in use, and \(bytes) more do not"
                    + " fit. Remove some documents first.")
        }
    }
}
