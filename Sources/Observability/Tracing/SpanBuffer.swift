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
    }

    init(spansMax: Int) { self.spansMax = spansMax }

    func append(_ span: RecordedSpan) {
        state.withLock { state in
            state.counts.recorded += 1
            guard state.spans.count < spansMax else {
                state.counts.dropped += 1
                return
            }
            state.spans.append(span)
        }
    }

    /// All that wait, in the order they ended.
    func drain() -> [EndedSpan] {
        let spans = state.withLock { state in
            let spans = state.spans
            state.spans = []
            state.spans.reserveCapacity(min(spans.count, spansMax))
            return spans
        }
        return spans.map(\.ended)
    }

    /// Counts spans that were drained and could not be kept.
    func drop(_ count: Int) { state.withLock { $0.counts.dropped += count } }

    var counts: Counts { state.withLock(\.counts) }
}
