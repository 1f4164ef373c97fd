/// One trace in a list.
package struct TraceSummary: Hashable, Codable, Sendable {
    package let traceID: String
    /// The name of its first span.
    package let name: String
    package let startedAt: Timestamp
    package let durationMilliseconds: Double
    package let spanCount: Int
    package let hasError: Bool

    package init(
        traceID: String, name: String, startedAt: Timestamp, durationMilliseconds: Double,
        spanCount: Int, hasError: Bool
    ) {
        (self.traceID, self.name, self.startedAt) = (traceID, name, startedAt)
        (self.durationMilliseconds, self.spanCount) = (durationMilliseconds, spanCount)
        self.hasError = hasError
    }
}

/// One piece of work inside a trace.
package struct TraceSpan: Hashable, Codable, Sendable {
    package let spanID: String
    package let parentID: String?
    package let name: String
    package let kind: String
    package let startedAt: Timestamp
    package let durationMilliseconds: Double
    package let attributes: [String: String]
    package let events: [Event]
    /// The error's sentence; nil when the span went well.
    package let error: String?

    package struct Event: Hashable, Codable, Sendable {
        package let name: String
        package let at: Timestamp
        package let attributes: [String: String]

        package init(name: String, at: Timestamp, attributes: [String: String]) {
            (self.name, self.at, self.attributes) = (name, at, attributes)
        }
    }

    package init(
        spanID: String, parentID: String?, name: String, kind: String, startedAt: Timestamp,
        durationMilliseconds: Double, attributes: [String: String], events: [Event], error: String?
    ) {
        (self.spanID, self.parentID, self.name, self.kind) = (spanID, parentID, name, kind)
        (self.startedAt, self.durationMilliseconds) = (startedAt, durationMilliseconds)
        (self.attributes, self.events, self.error) = (attributes, events, error)
    }
}
