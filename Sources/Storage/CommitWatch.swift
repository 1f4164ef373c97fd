import Core
import GRDBSQLite
import Synchronization

/// Tells whether anybody, in whatever process, has committed to a SQLite file since it was last
/// asked: SQLite counts for a connection what others commit (`PRAGMA data_version`), and does so
/// before a commit returns to whoever made it. It reads nothing but that count, and never writes.
///
/// It is asked for every request, so it speaks to SQLite itself: GRDB's way to a connection takes ten
/// times as long as the answer.
package final class CommitWatch: Sendable {
    private struct State: ~Copyable {
        // Both are used under the lock only, and freed once.
        var connection: OpaquePointer?
        var statement: OpaquePointer?

        mutating func close() {
            sqlite3_finalize(statement)
            sqlite3_close_v2(connection)
            (connection, statement) = (nil, nil)
        }
    }

    private let state: Mutex<State>

    /// Throws `unavailable` when the file cannot be opened.
    package init(path: String) throws {
        var opened = State()
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX
        guard sqlite3_open_v2(path, &opened.connection, flags, nil) == SQLITE_OK,
            sqlite3_prepare_v3(
                opened.connection, "PRAGMA data_version", -1, UInt32(SQLITE_PREPARE_PERSISTENT),
                &opened.statement, nil) == SQLITE_OK
        else {
            let cause = opened.connection.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) }
            opened.close()
            throw Failure(
                .unavailable, "The database \(path) cannot be opened. Is the folder writable?",
                cause: cause)
        }
        state = Mutex(opened)
    }

    deinit { close() }

    /// Changes with every commit of others; nil where the file cannot be read.
    package var version: Int? {
        state.withLock { state in
            guard let statement = state.statement else { return nil }
            defer { sqlite3_reset(statement) }
            guard sqlite3_step(statement) == SQLITE_ROW else { return nil }
            return Int(sqlite3_column_int64(statement, 0))
        }
    }

    /// From then on there is no version any more.
    package func close() { state.withLock { $0.close() } }
}
