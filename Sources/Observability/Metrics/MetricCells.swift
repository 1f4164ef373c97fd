import Metrics
import Synchronization

/// A sum that only grows. Whole numbers are exact up to 2^53.
final class CounterCell: CounterHandler, FloatingPointCounterHandler {
    private let sum = Mutex(0.0)

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        sum.withLock { $0 += amount }
    }

    func reset() { sum.withLock { $0 = 0 } }

    var value: Double { sum.withLock { $0 } }
}

/// A value that comes and goes.
final class GaugeCell: MeterHandler, RecorderHandler {
    private let current = Mutex(0.0)

    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { current.withLock { $0 = value } }
    func increment(by amount: Double) { current.withLock { $0 += amount } }
    func decrement(by amount: Double) { current.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }

    var value: Double { current.withLock { $0 } }
}

/// How many values fell under each bound.
final class HistogramCell: RecorderHandler, TimerHandler {
    struct Snapshot {
        /// One for each bound, and one for what is past the last.
        var counts: [Int]
        var sum = 0.0
    }

    let bounds: [Double]
    private let state: Mutex<Snapshot>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard value.isFinite else { return }
        let place = bounds.firstIndex { value <= $0 } ?? bounds.count
        state.withLock { state in
            state.counts[place] += 1
            state.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1_000_000_000) }

    var snapshot: Snapshot { state.withLock { $0 } }
}

/// The bounds of a histogram, which its name decides: a facade has no place to say them.
enum Buckets {
    /// Seconds, from a cache hit to a long answer.
    static let seconds: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
    ]
    /// Counts and sizes, as OpenTelemetry's conventions for generative AI have them for tokens.
    static let counts: [Double] = [
        1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262_144, 1_048_576, 4_194_304, 16_777_216,
        67_108_864,
    ]

    static func bounds(of label: String) -> [Double] {
        let isTime = ["second", "duration", "time", "latency"].contains { label.contains($0) }
        return isTime ? seconds : counts
    }
}
