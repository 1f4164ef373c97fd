import ServiceContextModule
import Synchronization
import Tracing

/// Keeps the spans that ended. Handed to the router, so that no test changes the process's tracer.
final class RecordingTracer: Tracer {
    struct Record: Sendable {
        let name: String
        let kind: SpanKind
        let attributes: [String: String]
        let error: String?
    }

    typealias Span = RecordedSpan

    private let ended = Mutex<[Record]>([])

    var records: [Record] { ended.withLock { $0 } }

    func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext, ofKind kind: SpanKind,
        at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
    ) -> RecordedSpan {
        RecordedSpan(operationName, kind, context: context()) { record in
            self.ended.withLock { $0.append(record) }
        }
    }

    func forceFlush() {}

    func activeSpan(identifiedBy context: ServiceContext) -> RecordedSpan? { nil }

    func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {}

    func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {}

    final class RecordedSpan: Tracing.Span {
        private struct State {
            var name: String
            var attributes: SpanAttributes = [:]
            var status: SpanStatus?
        }

        let context: ServiceContext
        private let kind: SpanKind
        private let state: Mutex<State>
        private let onEnd: @Sendable (Record) -> Void

        init(
            _ name: String, _ kind: SpanKind, context: ServiceContext,
            onEnd: @escaping @Sendable (Record) -> Void
        ) {
            self.context = context
            self.kind = kind
            self.onEnd = onEnd
            state = Mutex(State(name: name))
        }

        var operationName: String {
            get { state.withLock { $0.name } }
            set { state.withLock { $0.name = newValue } }
        }

        var attributes: SpanAttributes {
            get { state.withLock { $0.attributes } }
            set { state.withLock { $0.attributes = newValue } }
        }

        var isRecording: Bool { true }

        func setStatus(_ status: SpanStatus) { state.withLock { $0.status = status } }

        func addEvent(_ event: SpanEvent) {}

        func recordError<Instant: TracerInstant>(
            _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
        ) {}

        func addLink(_ link: SpanLink) {}

        func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
            let state = state.withLock { $0 }
            var texts: [String: String] = [:]
            func keep(_ key: String, _ value: SpanAttribute) {
                if case .string(let text) = value {
                    texts[key] = text
                } else {
                    texts[key] = "\(value)"
                }
            }
            state.attributes.forEach(keep)
            onEnd(
                Record(
                    name: state.name, kind: kind, attributes: texts, error: state.status?.message))
        }
    }
}
