import Core
import GRDB
import Storage
import Tracing

/// Writes the spans of one trace that ended together, and brings its row up to date: spans of a
/// trace come over time, children before parents.
struct SpanRows {
    private let database: Database
    // One after the other uses the memory of the one before.
    private var trace = RowWriter()
    private var rows: [RowWriter] = []

    init(_ database: Database) { self.database = database }

    /// Returns how many there was room for: a client may send its `traceparent` for ever, and a
    /// trace ends at `spansMax`.
    mutating func write(_ recorded: [RecordedSpan], of traceID: TraceID) throws -> Int {
        let spans = recorded.prefix(Self.spansMax).map(\.ended)
        while rows.count < spans.count { rows.append(RowWriter()) }
        defer { rows.removeLast(max(0, rows.count - Self.rowsKept)) }
        for (place, span) in spans.enumerated() { span.add(to: &rows[place]) }
        guard let part = TracePart(spans[...]) else { return 0 }
        let id = traceID.description
        // Nearly every trace is new, so it is not looked up before.
        part.add(to: &trace, bytes: bytes(of: spans.count))
        trace.add(id)
        try trace.run(database.cachedStatement(sql: Self.insertSQL))
        guard database.changesCount == 0 else {
            return try write(spans.count, to: database.lastInsertedRowID)
        }
        let known = try find(id) ?? (id: 0, spans: Self.spansMax)
        let kept = spans.prefix(max(0, Self.spansMax - known.spans))
        for place in kept.endIndex..<spans.endIndex { rows[place].clear() }
        guard let part = TracePart(kept) else { return 0 }
        part.add(to: &trace, bytes: bytes(of: kept.count))
        trace.add(known.id)
        try trace.run(database.cachedStatement(sql: Self.updateSQL))
        return try write(kept.count, to: known.id)
    }

    private func bytes(of count: Int) -> Int {
        rows[..<count].reduce(0) { $0 + Self.overhead + $1.textBytes }
    }

    private mutating func write(_ count: Int, to trace: Int64) throws -> Int {
        let statement = try database.cachedStatement(sql: Self.spanSQL)
        for place in 0..<count {
            rows[place].add(trace)
            try rows[place].run(statement)
        }
        return count
    }

    private func find(_ id: String) throws -> (id: Int64, spans: Int)? {
        let statement = try database.cachedStatement(sql: Self.traceSQL)
        return try Row.fetchOne(statement, arguments: [id]).map { ($0[0], $0[1]) }
    }

    static let spansMax = 4000
    private static let rowsKept = 16
    // Identifiers, numbers, and a row's share of the trees.
    private static let overhead = 80

    private static let traceSQL = "SELECT id, span_count FROM traces WHERE trace_id = ?"
    private static let insertSQL = """
        INSERT INTO traces (owner, is_shared, name, started_at, ended_at, span_count, has_error,
            bytes, trace_id)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trace_id) DO NOTHING
        """
    // Once two users had a part in a trace it is nobody's: a trace id is chosen by the client, so it
    // must not open another's spans.
    private static let updateSQL = """
        UPDATE traces SET
            is_shared = is_shared OR ?2 OR owner <> ?1 IS TRUE,
            owner = CASE WHEN is_shared OR ?2 OR owner <> ?1 IS TRUE THEN NULL
                ELSE coalesce(owner, ?1) END,
            name = CASE WHEN ?4 <= started_at THEN ?3 ELSE name END,
            started_at = min(started_at, ?4),
            ended_at = max(ended_at, ?5),
            span_count = span_count + ?6,
            has_error = has_error OR ?7,
            bytes = bytes + ?8
        WHERE id = ?9
        """
    private static let spanSQL = """
        INSERT OR IGNORE INTO spans (span_id, parent_id, name, kind, started_at, nanoseconds,
            attributes, events, error, trace)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
}

/// What spans that ended together say of their trace.
private struct TracePart {
    private let owner: Identifier?
    private let isShared: Bool
    private let name: String
    private let startedAt: UInt64
    private let endedAt: UInt64
    private let count: Int
    private let hasError: Bool

    /// Nil for none.
    init?(_ spans: ArraySlice<EndedSpan>) {
        guard var first = spans.first else { return nil }
        var owners: [String] = []
        var (endedAt, hasError) = (UInt64(0), false)
        for span in spans {
            // Of two that start together the one that ends later is the parent.
            if span.startedAt <= first.startedAt { first = span }
            endedAt = max(endedAt, span.startedAt &+ span.nanoseconds)
            hasError = hasError || span.error != nil
            if let owner = span.entry.owner, !owners.contains(owner) { owners.append(owner) }
        }
        let known = owners.compactMap { Identifier($0) }
        owner = known.count == 1 ? known.first : nil
        isShared = known.count > 1
        name = SpanText.name(first.name)
        startedAt = first.startedAt
        (self.endedAt, self.hasError, count) = (endedAt, hasError, spans.count)
    }

    func add(to row: inout RowWriter, bytes: Int) {
        row.add(owner?.description)
        row.add(isShared)
        row.add(name)
        row.add(startedAt.microseconds)
        row.add(endedAt.microseconds)
        row.add(count)
        row.add(hasError)
        row.add(bytes)
    }
}

extension EndedSpan {
    /// As it is stored, but for its trace.
    fileprivate func add(to row: inout RowWriter) {
        row.add { TraceParent.write(parent.spanID, to: &$0) }
        if let parentID { row.add { TraceParent.write(parentID, to: &$0) } } else { row.add(nil) }
        row.add(SpanText.name(name))
        row.add(kindName)
        row.add(startedAt.microseconds)
        row.add(Int64(clamping: nanoseconds))
        row.add { SpanText.json(attributes, to: &$0) }
        row.add(SpanText.json(events, dropped: droppedEvents))
        row.add(error.map(SpanText.value))
    }

    private var kindName: String {
        switch kind {
        case .server: "server"
        case .client: "client"
        case .producer: "producer"
        case .consumer: "consumer"
        case .internal: "internal"
        }
    }
}

extension UInt64 {
    /// Nanoseconds as the microseconds that stores keep.
    fileprivate var microseconds: Int64 { Int64(self / 1000) }
}
