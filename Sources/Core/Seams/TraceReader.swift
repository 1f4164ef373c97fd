/// What happened inside requests. Made by Observability. A principal sees the traces of its own
/// requests; administrators see all of them.
package protocol TraceReader: Sendable {
    /// Newest first.
    func traces(for principal: Principal, before: Timestamp?, limit: Int) async throws
        -> [TraceSummary]

    /// The spans of one trace, by start time. Throws `notFound` for another's.
    func trace(_ traceID: String, for principal: Principal) async throws -> [TraceSpan]

    /// All metrics in the Prometheus text format, version 0.0.4.
    func metricsText() async -> String
}
