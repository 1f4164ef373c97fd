import Logging
import Metrics
import Tracing

/// What stands behind the three facades.
struct Backends: Sendable {
    let tracer = SpanTracer()
    let registry = MetricRegistry()
    let log = LogOutput()

    /// The process's own, known to the facades from the first use on.
    static let process: Backends = {
        let backends = Backends()
        InstrumentationSystem.bootstrap(backends.tracer)
        MetricsSystem.bootstrap(backends.registry)
        LoggingSystem.bootstrap { LineLogHandler(label: $0, output: backends.log) }
        return backends
    }()
}
