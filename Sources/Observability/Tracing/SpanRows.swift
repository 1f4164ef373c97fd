import Core
import Foundation
import GRDB
import Tracing

/// Writes the spans of one trace that ended together, and brings its row up to date: spans of a
/// trace come over time, children before parents.
struct SpanRows {
    private let database: Database

    init(_ database: Database) { self.database = database }

    /// Returns how many there was room for: a client may send its `traceparent` for ever, and a
    /// trace ends at `spansMax`.
    func write(_ spans: [EndedSpan], of traceID: TraceID) throws -> Int {
        let known = try trace(traceID.description)
        let spans = spans.prefix(max(0, Self.spansMax - (known?.spans ?? 0)))
        guard !spans.isEmpty else { return 0 }
        let rows = spans.map(SpanRow.init)
        let part = TracePart(spans, bytes: rows.reduce(0) { $0 + $1.bytes })
        let trace: Int64
        if let known {
            trace = known.id
            try database.cachedStatement(sql: Self.updateSQL).execute(
                arguments: part.arguments + [trace])
        } else {
            try database.cachedStatement(sql: Self.insertSQL).execute(
                arguments: part.arguments + [traceID.description])
            trace = database.lastInsertedRowID
        }
        let statement = try database.cachedStatement(sql: Self.spanSQL)
        for row in rows { try statement.execute(arguments: row.arguments + [trace]) }
        return spans.count
    }

    private func trace(_ id: String) throws -> (id: Int64, spans: Int)? {
        let statement = try database.cachedStatement(sql: Self.traceSQL)
        return try Row.fetchOne(statement, arguments: [id]).map { ($0[0], $0[1]) }
    }

    static let spansMax = 4000

    private static let traceSQL = "SELECT id, span_count FROM traces WHERE trace_id = ?"
    private static let insertSQL = """
        INSERT INTO traces (owner, is_shared, name, started_at, ended_at, span_count, has_error,
            bytes, trace_id)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
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
    let arguments: StatementArguments

    init(_ spans: ArraySlice<EndedSpan>, bytes: Int) {
        // Of two that start together the one that ends later is the parent.
        let first = spans.reduce(spans[spans.startIndex]) { $1.startedAt <= $0.startedAt ? $1 : $0 }
        let owners = Set(spans.compactMap { $0.entry.owner }).compactMap { Identifier($0) }
        arguments = [
            owners.count == 1 ? owners.first : nil, owners.count > 1, SpanText.name(first.name),
            first.startedAt.microseconds,
            spans.map { ($0.startedAt &+ $0.nanoseconds).microseconds }.max(),
            spans.count, spans.contains { $0.error != nil }, bytes,
        ]
    }
}

/// A span as it is stored.
private struct SpanRow {
    let arguments: StatementArguments
    let bytes: Int

    init(_ span: EndedSpan) {
        let name = SpanText.name(span.name)
        let attributes = SpanText.json(span.attributes)
        let events = SpanText.json(span.events, dropped: span.droppedEvents)
        let error = span.error.map(SpanText.value)
        arguments = [
            TraceParent.text(span.parent.spanID), span.parentID.map(TraceParent.text), name,
            Self.name(of: span.kind), span.startedAt.microseconds,
            Int64(clamping: span.nanoseconds), attributes, events, error,
        ]
        bytes =
            Self.overhead + name.utf8.count + attributes.utf8.count + events.utf8.count
            + (error?.utf8.count ?? 0)
    }

    private static func name(of kind: SpanKind) -> String {
        switch kind {
        case .server: "server"
        case .client: "client"
        case .producer: "producer"
        case .consumer: "consumer"
        case .internal: "internal"
        }
    }

    // Identifiers, numbers, and a row's share of the trees.
    private static let overhead = 120
}

extension UInt64 {
    /// Nanoseconds as the microseconds that stores keep.
    fileprivate var microseconds: Int64 { Int64(self / 1000) }
}
