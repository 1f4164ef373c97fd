import Synchronization

/// Ended spans until somebody writes them. Full, it drops the newest and counts them: a flood costs
/// spans, never memory or an answer.
final class SpanBuffer: Sendable {
    struct Counts: Hashable, Sendable {
        var recorded = 0
        var dropped = 0
    }

    private let spansMax: Int
    private let state = Mutex(State())

    private struct State {
        var spans: [RecordedSpan] = []
        var counts = Counts()
        var writeSoon: (@Sendable () -> Void)?
        /// Somebody was told that many wait, and has not drained them yet.
        var isAsked = false
    }

    // A few milliseconds of writing. More that wait cost memory: a span in memory is several times
    // as large as its row.
    private static let manyMin = 512

    init(spansMax: Int) { self.spansMax = spansMax }

    /// Has `write` called once many wait, until they are drained; it may not wait itself.
    func whenMany(_ write: @escaping @Sendable () -> Void) {
        state.withLock { $0.writeSoon = write }
    }

    func append(_ span: RecordedSpan) {
        let write = state.withLock { state -> (@Sendable () -> Void)? in
            state.counts.recorded += 1
            guard state.spans.count < spansMax else {
                state.counts.dropped += 1
                return nil
            }
            state.spans.append(span)
            guard state.spans.count >= Self.manyMin, !state.isAsked else { return nil }
            state.isAsked = true
            return state.writeSoon
        }
        write?()
    }

    /// All that wait, in the order they ended.
    func drain() -> [RecordedSpan] {
        state.withLock { state in
            state.isAsked = false
            defer {
                state.spans = []
                state.spans.reserveCapacity(min(state.spans.count, Self.manyMin))
            }
            return state.spans
        }
    }

    /// Counts spans that were drained and could not be kept.
    func drop(_ count: Int) { state.withLock { $0.counts.dropped += count } }

    var counts: Counts { state.withLock(\.counts) }
}
