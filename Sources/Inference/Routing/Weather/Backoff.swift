import Core

/// How long to wait before everyone is asked again: exponential, with full jitter, so that callers
/// who failed together do not come back together.
struct Backoff: Hashable, Sendable {
    var base = Duration.milliseconds(250)
    var cap = Duration.seconds(8)

    // 2^40 times the base is past any cap.
    private static let doublingsMax = 40

    /// Between nothing and the base doubled `round` times, at most the cap. Round 0 is the first.
    func delay(round: Int, random: UInt64) -> Duration {
        let doublings = min(max(0, round), Self.doublingsMax)
        let ceiling = min(cap, base * (1 << doublings))
        let share = Double(random >> 11) / Double(UInt64(1) << 53)
        return .microseconds(Int64(Double(ceiling.microseconds) * share))
    }
}
