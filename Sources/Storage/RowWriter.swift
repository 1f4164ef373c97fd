package import GRDB
import GRDBSQLite

/// The values of one row on their way into a prepared statement, for tables that are written thousands
/// of times a second: texts lie one behind the other in one piece of memory, which the next row uses
/// again, and SQLite reads them there. GRDB's arguments box every value by itself, which costs more
/// than SQLite's own work.
///
/// ```
/// var row = RowWriter()
/// row.add(span.name)
/// row.add(span.startedAt)
/// try row.run(database.cachedStatement(sql: insertSQL))
/// ```
package struct RowWriter {
    private enum Value {
        case null
        case integer(Int64)
        case text(Range<Int>)
    }

    private var values: [Value] = []
    // The first byte is nobody's, so that an empty text has an address too: without one it is null.
    private var bytes: [UInt8] = [0]

    package init() {
        values.reserveCapacity(24)
        bytes.reserveCapacity(1024)
    }

    package mutating func add(_ value: Int64) { values.append(.integer(value)) }
    package mutating func add(_ value: Int) { values.append(.integer(Int64(value))) }
    package mutating func add(_ value: Bool) { values.append(.integer(value ? 1 : 0)) }

    /// Nil is null.
    package mutating func add(_ text: String?) {
        guard let text else { return values.append(.null) }
        add { $0.append(contentsOf: text.utf8) }
    }

    /// A text that `write` appends, in UTF-8.
    package mutating func add(_ write: (inout [UInt8]) -> Void) {
        let start = bytes.count
        write(&bytes)
        values.append(.text(min(start, bytes.count)..<bytes.count))
    }

    /// How many bytes of text there are.
    package var textBytes: Int { bytes.count - 1 }

    /// Forgets the values.
    package mutating func clear() {
        values.removeAll(keepingCapacity: true)
        // A row that was very long does not stay.
        if bytes.capacity > Self.bytesKept { bytes = [0] } else { bytes.removeSubrange(1...) }
    }

    /// Runs a statement that returns no rows once, its parameters in the order in which the values
    /// were added, and begins the next row. Throws `DatabaseError` like `Statement.execute`.
    package mutating func run(_ statement: Statement) throws {
        defer { clear() }
        let handle = statement.sqliteStatement
        let code = bytes.withUnsafeBufferPointer { bytes -> CInt in
            // The texts are SQLite's to read until it is done with the row, and no longer.
            defer {
                sqlite3_reset(handle)
                sqlite3_clear_bindings(handle)
            }
            for (place, value) in values.enumerated() {
                let code = Self.bind(value, of: bytes, to: handle, at: CInt(place + 1))
                guard code == SQLITE_OK else { return code }
            }
            return sqlite3_step(handle)
        }
        guard code == SQLITE_DONE else {
            throw DatabaseError(
                resultCode: ResultCode(rawValue: code),
                message: sqlite3_db_handle(handle).flatMap { sqlite3_errmsg($0) }.map {
                    String(cString: $0)
                }, sql: statement.sql)
        }
    }

    private static func bind(
        _ value: Value, of bytes: UnsafeBufferPointer<UInt8>, to handle: SQLiteStatement,
        at place: CInt
    ) -> CInt {
        switch value {
        case .null: return sqlite3_bind_null(handle, place)
        case .integer(let number): return sqlite3_bind_int64(handle, place, number)
        case .text(let range):
            guard let count = CInt(exactly: range.count) else { return SQLITE_TOOBIG }
            let start = UnsafeRawPointer(bytes.baseAddress).map { $0 + range.lowerBound }
            // No destructor: SQLite does not copy.
            return sqlite3_bind_text(
                handle, place, start?.assumingMemoryBound(to: CChar.self), count, nil)
        }
    }

    private static let bytesKept = 64 * 1024
}
