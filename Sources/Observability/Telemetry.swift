package import Core
import Logging
package import ServiceLifecycle

/// Layer 6: where the logs, metrics and traces of all layers go.
package struct Telemetry: Sendable {
    /// Traces and metrics, for the gateway.
    package let reader: any TraceReader
    /// Writes spans to `telemetry.db` and prunes it. Start it first, so that it stops last and the
    /// spans of the other services' ends are kept.
    package let service: any Service
    private let apply: @Sendable (ObservabilityConfiguration) -> Void

    /// Opens `telemetry.db` in `folder` and sends there what swift-log, swift-metrics and
    /// swift-distributed-tracing are told in this process. The facades take one backend for the life
    /// of a process; installing again points it at the newest folder and configuration, so that a
    /// test may start one server after another. Throws `invalid` for a configuration that cannot be
    /// used, and like `Store`.
    package static func install(
        _ configuration: ObservabilityConfiguration, folder: String, environment: Environment
    ) throws -> Telemetry {
        try Telemetry(
            configuration, folder: folder, environment: environment, backends: .process)
    }

    /// With backends of its own, which nobody knows: `withTracer` and `withMetricsFactory` hand them
    /// to the code that a test runs.
    init(
        _ configuration: ObservabilityConfiguration, folder: String, environment: Environment,
        backends: Backends, sink: any LogSink = StandardError()
    ) throws {
        try configuration.validate()
        let buffer = SpanBuffer(spansMax: configuration.spansWaitingMax)
        let store = try TraceStore(
            folder: folder, buffer: buffer, now: environment.now,
            retention: Retention(
                age: .seconds(configuration.traceDaysMax * 86_400),
                bytes: Int64(configuration.traceMegabytesMax) * 1_000_000))
        apply = { configuration in
            backends.tracer.configure(
                buffer: buffer, samplePercent: configuration.traceSamplePercent,
                random: environment.random)
            backends.registry.configure(seriesMax: configuration.metricSeriesMax)
            backends.log.configure(
                sink: sink, level: Logger.Level(rawValue: configuration.logLevel) ?? .info,
                isText: configuration.logFormat == .text
                    || configuration.logFormat == .auto && sink.isTerminal,
                now: environment.now)
        }
        reader = TelemetryReader(
            store: store, backends: backends, buffer: buffer, startedAt: environment.now())
        service = TelemetryService(
            store: store, flushInterval: .milliseconds(configuration.flushMilliseconds))
        apply(configuration)
    }

    /// The settings that `reload` takes over while the process runs, by their keys.
    package static let reloadable: Set<String> = [
        "log_level", "log_format", "trace_sample_percent", "metric_series_max",
    ]

    /// Takes over the `reloadable` settings of a configuration. Throws `invalid` for one that cannot
    /// be used, and then nothing has changed.
    package func reload(_ configuration: ObservabilityConfiguration) throws {
        try configuration.validate()
        apply(configuration)
    }
}
