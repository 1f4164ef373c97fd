import Core

/// What one request may take of candidates: attempts, attempts that may have been charged for, and
/// time spent waiting between them.
struct AttemptBudget: Sendable {
    struct Limits: Hashable, Sendable {
        var attemptsMax = 6
        /// Attempts that read the prompt and gave nothing, which a provider may charge for all the
        /// same. With as many the search ends: it bounds what a request can cost.
        var chargedMax = 3
        var waitingMax = Duration.seconds(20)
        var backoff = Backoff()
    }

    private let limits: Limits
    private(set) var attempts = 0
    private(set) var charged = 0
    private(set) var waited = Duration.zero
    private var rounds = 0

    init(_ limits: Limits) { self.limits = limits }

    var isSpent: Bool { attempts >= limits.attemptsMax || charged >= limits.chargedMax }

    /// Counts an attempt; false when there is none left.
    mutating func begin() -> Bool {
        guard !isSpent else { return false }
        attempts += 1
        return true
    }

    mutating func failed(mayBeCharged: Bool) { if mayBeCharged { charged += 1 } }

    /// The wait before the next round, never shorter than `least`, which candidates asked for. Nil
    /// when nothing is left to ask with, or the wait is longer than may be waited.
    mutating func nextRound(least: Duration?, random: UInt64) -> Duration? {
        guard !isSpent, rounds < limits.attemptsMax else { return nil }
        let wait = max(limits.backoff.delay(round: rounds, random: random), least ?? .zero)
        guard waited + wait <= limits.waitingMax else { return nil }
        rounds += 1
        waited += wait
        return wait
    }
}
