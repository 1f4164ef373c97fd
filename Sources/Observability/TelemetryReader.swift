import Core

/// Layer 6 as the gateway sees it.
struct TelemetryReader: TraceReader {
    let store: TraceStore
    let backends: Backends
    let buffer: SpanBuffer
    let startedAt: Timestamp

    func traces(for principal: Principal, before: Timestamp?, limit: Int) async throws
        -> [TraceSummary]
    {
        try await store.traces(for: principal, before: before, limit: limit)
    }

    func trace(_ traceID: String, for principal: Principal) async throws -> [TraceSpan] {
        try await store.trace(traceID, for: principal)
    }

    func metricsText() async -> String {
        var text = PrometheusText()
        backends.registry.write(to: &text)
        ProcessMetrics(startedAt: startedAt).write(to: &text)
        let counts = buffer.counts
        text.family("heptad_spans_recorded_total", .counter, help: "Spans that ended.")
        text.sample(Double(counts.recorded))
        text.family(
            "heptad_spans_dropped_total", .counter,
            help: "Spans that were not kept: no room to wait, a full trace, or a full disk.")
        text.sample(Double(counts.dropped))
        text.family(
            "heptad_log_lines_dropped_total", .counter,
            help: "Log lines that nobody was ready to take.")
        text.sample(Double(backends.log.droppedCount))
        return text.text
    }
}
