package import Core
import Synchronization

/// A clock that moves when told to.
package final class ManualClock: Sendable {
    private let microseconds: Mutex<Int64>

    package init(at time: Timestamp = Timestamp(microseconds: 1_790_000_000_000_000)) {
        microseconds = Mutex(time.microseconds)
    }

    package var now: Timestamp { microseconds.withLock { Timestamp(microseconds: $0) } }

    package func advance(by duration: Duration) {
        microseconds.withLock { $0 += duration.microseconds }
    }
}

extension Environment {
    /// Time from `clock`, and a generator that gives the same numbers in every run (SplitMix64).
    package static func manual(_ clock: ManualClock = ManualClock(), seed: UInt64 = 1)
        -> Environment
    {
        let generator = SplitMix(seed: seed)
        return Environment(now: { clock.now }, random: { generator.next() })
    }
}

private final class SplitMix: Sendable {
    private let state: Mutex<UInt64>

    init(seed: UInt64) { state = Mutex(seed) }

    func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
    }
}
