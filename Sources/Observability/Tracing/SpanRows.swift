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
        let id = traceID.description
        let count = try Int.fetchOne(
            database.cachedStatement(sql: "SELECT span_count FROM traces WHERE trace_id = ?"),
            arguments: [id])
        let spans = spans.prefix(max(0, Self.spansMax - (count ?? 0)))
        // Of two that start together the one that ends later is the parent.
        guard var first = spans.first else { return 0 }
        for span in spans where span.startedAt <= first.startedAt { first = span }
        let rows = spans.map(SpanRow.init)
        let owners = Set(spans.compactMap { $0.entry.owner.flatMap { Identifier($0) } })
        let row = try Row.fetchOne(
            database.cachedStatement(sql: Self.traceSQL),
            arguments: [
                "trace_id": id, "owner": owners.count == 1 ? owners.first : nil,
                "is_shared": owners.count > 1, "name": SpanText.name(first.name),
                "started_at": first.startedAt.microseconds,
                "ended_at": spans.map { ($0.startedAt &+ $0.nanoseconds).microseconds }.max(),
                "span_count": spans.count, "has_error": spans.contains { $0.error != nil },
                "bytes": rows.reduce(0) { $0 + $1.bytes },
            ])
        guard let trace = row?["id"] as Int64? else { return 0 }
        let statement = try database.cachedStatement(sql: Self.spanSQL)
        for row in rows { try statement.execute(arguments: [trace] + row.arguments) }
        return spans.count
    }

    static let spansMax = 4000

    // Once two users had a part in a trace it is nobody's: a trace id is chosen by the client, so it
    // must not open another's spans.
    private static let traceSQL = """
        INSERT INTO traces (trace_id, owner, is_shared, name, started_at, ended_at, span_count,
            has_error, bytes)
        VALUES (:trace_id, :owner, :is_shared, :name, :started_at, :ended_at, :span_count,
            :has_error, :bytes)
        ON CONFLICT (trace_id) DO UPDATE SET
            is_shared = is_shared OR excluded.is_shared OR owner <> excluded.owner IS TRUE,
            owner = CASE WHEN is_shared OR excluded.is_shared OR owner <> excluded.owner IS TRUE
                THEN NULL ELSE coalesce(owner, excluded.owner) END,
            name = CASE WHEN excluded.started_at <= started_at THEN excluded.name ELSE name END,
            started_at = min(started_at, excluded.started_at),
            ended_at = max(ended_at, excluded.ended_at),
            span_count = span_count + excluded.span_count,
            has_error = has_error OR excluded.has_error,
            bytes = bytes + excluded.bytes
        RETURNING id
        """
    private static let spanSQL = """
        INSERT OR IGNORE INTO spans (trace, span_id, parent_id, name, kind, started_at, nanoseconds,
            attributes, events, error)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
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
            "\(span.kind)", span.startedAt.microseconds,
            Int64(clamping: span.nanoseconds), attributes, events, error,
        ]
        bytes =
            Self.overhead + name.utf8.count + attributes.utf8.count + events.utf8.count
            + (error?.utf8.count ?? 0)
    }

    // Identifiers, numbers, and a row's share of the trees.
    private static let overhead = 120
}

extension UInt64 {
    /// Nanoseconds as the microseconds that stores keep.
    fileprivate var microseconds: Int64 { Int64(self / 1000) }
}
