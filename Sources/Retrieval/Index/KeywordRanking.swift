import CKeyword
import Core
import GRDB

/// `row_bm25` and `best_bm25`, the rank of passages in the keyword index, for the connections of one
/// database.
///
/// How long a passage is never changes, and its number is never given twice: what was looked up once
/// is kept, two bytes each.
final class KeywordRanking: Sendable {
    // SAFETY: its memory is written to by atomic operations alone.
    private nonisolated(unsafe) let lengths = keyword_lengths_new()

    deinit { keyword_lengths_free(lengths) }

    /// For each connection that is opened. It keeps this object until it is closed.
    func teach(_ database: Database) throws {
        guard let lengths, keyword_register(database.sqliteConnection, lengths) == 0 else {
            throw Failure(.unavailable, "This system's SQLite has no keyword index (FTS5).")
        }
    }
}
