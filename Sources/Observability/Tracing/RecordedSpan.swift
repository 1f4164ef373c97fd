import Core
import Synchronization
import Tracing

/// A span of ours while it is open. Ending it hands it to the buffer; what comes after is ignored.
final class RecordedSpan: Tracing.Span {
    let parent: TraceParent
    let parentID: UInt64?
    let kind: SpanKind
    let isRecording: Bool
    private let around: ServiceContext
    let entry: TraceEntry
    private let buffer: SpanBuffer
    private let startedAt: UInt64
    private let state: Mutex<State>

    private struct State {
        var name: String
        // As many as most spans have, so that it does not grow step by step.
        var attributes = SpanAttributes(Dictionary(minimumCapacity: 16))
        var events: [SpanEvent] = []
        var droppedEvents = 0
        var error: String?
        var endedAt: UInt64?
    }

    init(
        name: String, parent: TraceParent, parentID: UInt64?, kind: SpanKind, startedAt: UInt64,
        around: ServiceContext, entry: TraceEntry, buffer: SpanBuffer
    ) {
        self.parent = parent
        self.parentID = parentID
        self.kind = kind
        self.around = around
        self.entry = entry
        self.buffer = buffer
        self.startedAt = startedAt
        isRecording = parent.isSampled
        state = Mutex(State(name: name))
    }

    var context: ServiceContext {
        var context = around
        context[CurrentSpan.self] = .ours(self)
        return context
    }

    var operationName: String {
        get { state.withLock(\.name) }
        set { state.withLock { $0.name = newValue } }
    }

    var attributes: SpanAttributes {
        get { state.withLock(\.attributes) }
        set {
            guard isRecording else { return }
            claim(newValue)
            state.withLock { state in
                if state.endedAt == nil { state.attributes = newValue }
            }
        }
        // Changes them in place: a copy of all of them for each change costs more than the rest of a
        // span.
        _modify {
            var (changed, counts) = take()
            defer { if counts { put(back: changed) } }
            yield &changed
        }
    }

    /// The attributes for whoever changes them, and whether the change counts.
    private func take() -> (SpanAttributes, Bool) {
        state.withLock { state in
            guard isRecording, state.endedAt == nil else { return (state.attributes, false) }
            var taken = SpanAttributes([:])
            swap(&taken, &state.attributes)
            return (taken, true)
        }
    }

    private func put(back changed: consuming SpanAttributes) {
        claim(changed)
        var changed = changed
        state.withLock { state in
            // Somebody else has changed them meanwhile: both count.
            if state.attributes.count > 0 { changed.merge(state.attributes) }
            swap(&changed, &state.attributes)
        }
    }

    private func claim(_ attributes: SpanAttributes) {
        guard entry.owner == nil,
            case .string(let user)? = attributes.get(TraceEntry.ownerAttribute)
        else { return }
        entry.claim(for: user)
    }

    func setStatus(_ status: SpanStatus) {
        guard status.code == .error else { return }
        state.withLock { state in
            if state.endedAt != nil { return }
            state.error = status.message ?? state.error ?? "The operation failed."
        }
    }

    func addEvent(_ event: SpanEvent) {
        guard isRecording else { return }
        state.withLock { state in
            if state.endedAt != nil { return }
            if state.events.count < Self.eventsMax {
                state.events.append(event)
            } else {
                state.droppedEvents += 1
            }
        }
    }

    /// Keeps the failure's code and sentence, which are for users. Its cause is for the log, and may
    /// hold what a trace must not show.
    func recordError<Instant: TracerInstant>(
        _ error: any Error, attributes: SpanAttributes, at instant: @autoclosure () -> Instant
    ) {
        guard isRecording else { return }
        let failure = Failure(error)
        var attributes = attributes
        attributes["exception.type"] =
            error is Failure ? failure.code.rawValue : String(describing: type(of: error))
        attributes["exception.message"] = failure.message
        addEvent(SpanEvent(name: "exception", at: instant(), attributes: attributes))
        state.withLock { state in
            if state.endedAt != nil { return }
            state.attributes["error.type"] = failure.code.rawValue
            state.error = failure.message
        }
    }

    /// Links are not kept: nothing in Heptad reads them yet.
    func addLink(_ link: SpanLink) {}

    func end<Instant: TracerInstant>(at instant: @autoclosure () -> Instant) {
        guard isRecording else { return }
        let endedAt = instant().nanosecondsSinceEpoch
        let isFirst = state.withLock { state in
            guard state.endedAt == nil else { return false }
            state.endedAt = endedAt
            return true
        }
        if isFirst { buffer.append(self) }
    }

    /// What is to be written of it; made where it is written, so that ending a span costs little.
    var ended: EndedSpan {
        let state = state.withLock { $0 }
        let endedAt = state.endedAt ?? startedAt
        return EndedSpan(
            parent: parent, parentID: parentID, name: state.name, kind: kind, startedAt: startedAt,
            nanoseconds: endedAt > startedAt ? endedAt - startedAt : 0,
            attributes: state.attributes, events: state.events,
            droppedEvents: state.droppedEvents, error: state.error, entry: entry)
    }

    private static let eventsMax = 64
}

/// One way into a trace: the span that began here, and those below it. Whoever is found on one of
/// them owns them all, from that moment on.
final class TraceEntry: Sendable {
    static let ownerAttribute = "user.id"
    private let user = Mutex<String?>(nil)

    /// The first claim holds.
    func claim(for user: String) { self.user.withLock { $0 = $0 ?? user } }

    var owner: String? { user.withLock { $0 } }
}

/// A span that waits to be written.
struct EndedSpan: Sendable {
    let parent: TraceParent
    let parentID: UInt64?
    let name: String
    let kind: SpanKind
    /// Nanoseconds since 1970.
    let startedAt: UInt64
    let nanoseconds: UInt64
    let attributes: SpanAttributes
    let events: [SpanEvent]
    let droppedEvents: Int
    let error: String?
    let entry: TraceEntry
}
