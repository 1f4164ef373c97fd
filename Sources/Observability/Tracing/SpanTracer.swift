import Synchronization
import Tracing

/// The span that code runs in, carried by the task's context.
enum CurrentSpan: ServiceContextKey {
    enum Value: Sendable {
        case ours(RecordedSpan)
        /// Another server's, from the headers of a request.
        case remote(Remote)
    }

    /// A reference, so that a context holds either case without an allocation.
    final class Remote: Sendable {
        let parent: TraceParent

        init(_ parent: TraceParent) { self.parent = parent }
    }
}

/// Makes spans, and carries their place in a trace from server to server by W3C Trace Context.
final class SpanTracer: Tracer {
    private let settings = Mutex(Settings())

    fileprivate struct Settings {
        var buffer = SpanBuffer(spansMax: 0)
        var samplePercent: UInt64 = 0
        var generator = Xoshiro(seed: { 0 })
    }

    /// Where spans go from now on. A tracer that was never told traces nothing.
    func configure(buffer: SpanBuffer, samplePercent: Int, random: () -> UInt64) {
        settings.withLock {
            $0 = Settings(
                buffer: buffer, samplePercent: UInt64(max(0, samplePercent)),
                generator: Xoshiro(seed: random))
        }
    }

    func startSpan<Instant: TracerInstant>(
        _ operationName: String, context: @autoclosure () -> ServiceContext,
        ofKind kind: SpanKind, at instant: @autoclosure () -> Instant, function: String,
        file fileID: String, line: UInt
    ) -> RecordedSpan {
        let context = context()
        let above = context[CurrentSpan.self]
        let (place, buffer) = settings.withLock { settings in
            (settings.place(below: above?.parent), settings.buffer)
        }
        let entry: TraceEntry
        if case .ours(let span) = above {
            entry = span.entry
        } else {
            entry = TraceEntry()
        }
        return RecordedSpan(
            name: operationName, parent: place, parentID: above?.parent.spanID, kind: kind,
            startedAt: instant().nanosecondsSinceEpoch, around: context, entry: entry,
            buffer: buffer)
    }

    func activeSpan(identifiedBy context: ServiceContext) -> RecordedSpan? {
        guard case .ours(let span) = context[CurrentSpan.self], span.isRecording else {
            return nil
        }
        return span
    }

    func extract<Carrier, Extract: Extractor>(
        _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
    ) where Extract.Carrier == Carrier {
        guard let header = extractor.extract(key: "traceparent", from: carrier),
            var parent = TraceParent(header)
        else { return }
        parent.state =
            extractor.extract(key: "tracestate", from: carrier).map(TraceParent.state) ?? ""
        context[CurrentSpan.self] = .remote(.init(parent))
    }

    func inject<Carrier, Inject: Injector>(
        _ context: ServiceContext, into carrier: inout Carrier, using injector: Inject
    ) where Inject.Carrier == Carrier {
        guard let parent = context[CurrentSpan.self]?.parent else { return }
        injector.inject(parent.header, forKey: "traceparent", into: &carrier)
        if !parent.state.isEmpty {
            injector.inject(parent.state, forKey: "tracestate", into: &carrier)
        }
    }

    /// The service flushes; a span never waits for it.
    func forceFlush() {}
}

extension CurrentSpan.Value {
    var parent: TraceParent {
        switch self {
        case .ours(let span): span.parent
        case .remote(let remote): remote.parent
        }
    }
}

extension SpanTracer.Settings {
    /// A new span's place: below `parent`, sampled as it is, or at the head of a new trace.
    fileprivate mutating func place(below parent: TraceParent?) -> TraceParent {
        if let parent {
            return TraceParent(
                traceID: parent.traceID, spanID: generator.nextNonzero(),
                isSampled: parent.isSampled, state: parent.state)
        }
        return TraceParent(
            traceID: TraceID(high: generator.nextNonzero(), low: generator.nextNonzero()),
            spanID: generator.nextNonzero(), isSampled: generator.next() % 100 < samplePercent)
    }
}

/// xoshiro256++. Identifiers need to be different, not secret, and the kernel's generator costs as
/// much as the rest of a span.
private struct Xoshiro {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    init(seed: () -> UInt64) { state = (seed(), seed(), seed(), seed() | 1) }

    mutating func next() -> UInt64 {
        let sum = state.0 &+ state.3
        let result = (sum << 23 | sum >> 41) &+ state.0
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 << 45 | state.3 >> 19
        return result
    }

    mutating func nextNonzero() -> UInt64 {
        while true {
            let value = next()
            if value != 0 { return value }
        }
    }
}
