import Core
import Logging

/// What layer 6 can be told.
package struct ObservabilityConfiguration: Codable, Sendable, Equatable {
    /// The least that is logged: `trace`, `debug`, `info`, `notice`, `warning`, `error`, `critical`.
    package var logLevel = "info"
    /// `json` for one object a line, `text` for people, `auto` for text on a terminal and JSON
    /// elsewhere.
    package var logFormat = LogFormat.auto
    /// How many of a hundred requests are traced. A request that comes with a `traceparent` follows
    /// its sampled flag instead.
    package var traceSamplePercent = 100
    /// How long a trace is kept.
    package var traceDaysMax = 14
    /// How much room traces may take, by their rows; the oldest go first.
    package var traceMegabytesMax = 200
    /// How long a span may wait in memory before it is written.
    package var flushMilliseconds = 500
    /// How many spans may wait; those past it are dropped and counted.
    package var spansWaitingMax = 16_384
    /// How many series `/metrics` may have; those past it are counted together.
    package var metricSeriesMax = 5000

    package enum LogFormat: String, Codable, Sendable { case auto, json, text }

    package init() {}

    package func validate() throws {
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw Failure(
                .invalid,
                "observability.log_level: \"\(logLevel)\" is none of trace, debug, info, notice,"
                    + " warning, error and critical.")
        }
        try check("trace_sample_percent", traceSamplePercent, 0...100)
        try check("trace_days_max", traceDaysMax, 1...3650)
        try check("trace_megabytes_max", traceMegabytesMax, 1...1_000_000)
        try check("flush_milliseconds", flushMilliseconds, 10...60_000)
        try check("spans_waiting_max", spansWaitingMax, 64...1_000_000)
        try check("metric_series_max", metricSeriesMax, 100...1_000_000)
    }

    private func check(_ key: String, _ value: Int, _ range: ClosedRange<Int>) throws {
        guard range.contains(value) else {
            throw Failure(
                .invalid,
                "observability.\(key) must be from \(range.lowerBound) to \(range.upperBound).")
        }
    }
}
