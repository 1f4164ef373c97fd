import Core
import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Tracing

@testable import Observability

/// Layer 6 in a folder of its own, known to nobody but the test.
struct Observatory {
    let folder: TemporaryFolder
    let clock: ManualClock
    let backends = Backends()
    let sink = ListSink()
    let reader: any TraceReader
    let service: any Service

    init(
        _ configuration: ObservabilityConfiguration = ObservabilityConfiguration(),
        folder: TemporaryFolder? = nil, clock: ManualClock = ManualClock(at: .systemNow)
    ) throws {
        let folder = try folder ?? TemporaryFolder()
        let telemetry = try Telemetry(
            configuration, folder: folder.path, environment: .manual(clock), backends: backends,
            sink: sink)
        self.folder = folder
        self.clock = clock
        reader = telemetry.reader
        service = telemetry.service
    }

    var tracer: SpanTracer { backends.tracer }

    var store: TraceStore {
        get throws {
            guard let reader = reader as? TelemetryReader else {
                throw Failure(.internalError, "The reader is another.")
            }
            return reader.store
        }
    }

    func logger(_ label: String = "heptad.test") -> Logger {
        Logger(label: label) { LineLogHandler(label: $0, output: backends.log) }
    }

    /// A trace of a request and a call in it. Returns its id.
    @discardableResult
    func request(
        _ name: String = "GET /", user: Principal?, header: String? = nil
    ) -> String {
        var context = ServiceContext.topLevel
        if let header {
            tracer.extract(["traceparent": header], into: &context, using: Headers())
        }
        return tracer.withSpan(name, context: context, ofKind: .server) { span in
            if let user { span.attributes["user.id"] = user.userID.description }
            tracer.withSpan("retrieval") { $0.attributes["gen_ai.request.top_k"] = 5 }
            return span.parent.traceID.description
        }
    }
}

/// Keeps the lines it is given, until it is told to take no more.
final class ListSink: LogSink {
    private let state = Mutex((lines: [String](), isBlocked: false))
    let isTerminal = false

    func write(_ line: String) -> Bool {
        state.withLock { state in
            guard !state.isBlocked else { return false }
            state.lines.append(line)
            return true
        }
    }

    var lines: [String] { state.withLock(\.lines) }
    func block() { state.withLock { $0.isBlocked = true } }
}

struct Headers: Extractor, Injector {
    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
        carrier[key] = value
    }
}

extension Timestamp {
    /// Spans take their times from the facade's clock, so a test's clock starts there.
    static var systemNow: Timestamp { Core.Environment.system.now() }
}
