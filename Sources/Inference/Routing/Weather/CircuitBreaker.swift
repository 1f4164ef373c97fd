import Core

/// Keeps calls away from a candidate that is ill. Closed, it counts how calls end within a window
/// that moves with time; with too many failures it opens; after a while it lets a single call
/// through, and that call's end closes it, or opens it for twice as long.
struct CircuitBreaker: Sendable {
    /// What it takes to open, and for how long.
    struct Rules: Hashable, Sendable {
        var failuresMin = 5
        var failureRatio = 0.5
        var window = Duration.seconds(60)
        var open = Duration.seconds(15)
        var openMax = Duration.seconds(240)
    }

    enum State: Hashable, Sendable {
        case closed
        case open(until: Timestamp)
        /// A probe is under way; one that is never heard of again counts as lost after `until`.
        case halfOpen(until: Timestamp)
    }

    enum Admission: Hashable, Sendable {
        case allowed
        /// The one call that finds out.
        case probe
        case refused(until: Timestamp)
    }

    private(set) var state = State.closed
    /// Nil for one that has been closed from the start.
    private(set) var changedAt: Timestamp?
    private let rules: Rules
    private var ends: [(at: Timestamp, hasFailed: Bool)] = []
    private var openFor: Duration
    private var openedAfter = (calls: 0, failures: 0)

    // The window's memory, whatever the traffic.
    private static let endsMax = 256
    // No first token takes longer to come or to fail; then the next call is the probe.
    private static let probeMax = Duration.seconds(120)

    init(_ rules: Rules = Rules()) {
        self.rules = rules
        openFor = rules.open
    }

    /// Whether a call may go out now. Asking changes nothing; `begin` does.
    func admission(at now: Timestamp) -> Admission {
        switch state {
        case .closed: .allowed
        case .open(let until), .halfOpen(let until): now < until ? .refused(until: until) : .probe
        }
    }

    /// A call that was admitted goes out.
    mutating func begin(at now: Timestamp) {
        guard admission(at: now) == .probe else { return }
        turn(.halfOpen(until: now + Self.probeMax), at: now)
    }

    mutating func succeeded(at now: Timestamp) {
        if state != .closed {
            turn(.closed, at: now)
            ends = []
            openFor = rules.open
        }
        note(false, at: now)
    }

    mutating func failed(at now: Timestamp) {
        switch state {
        // Calls that began before it opened say nothing new.
        case .open: return
        case .halfOpen:
            openFor = min(openFor + openFor, rules.openMax)
            turn(.open(until: now + openFor), at: now)
        case .closed:
            note(true, at: now)
            let failures = ends.count { $0.hasFailed }
            guard failures >= rules.failuresMin,
                Double(failures) >= rules.failureRatio * Double(ends.count)
            else { return }
            turn(.open(until: now + openFor), at: now)
            openedAfter = (ends.count, failures)
            ends = []
        }
    }

    /// A call ended without a word about the candidate's health, such as by its caller. A probe's
    /// place is free again.
    mutating func learnedNothing(at now: Timestamp) {
        if case .halfOpen = state { turn(.open(until: now), at: now) }
    }

    /// How many calls ended within the window, and how many of them failed; of an open one, those
    /// that opened it.
    func window(at now: Timestamp) -> (calls: Int, failures: Int) {
        guard state == .closed else { return openedAfter }
        let ends = ends.filter { now - $0.at <= rules.window }
        return (ends.count, ends.count { $0.hasFailed })
    }

    private mutating func turn(_ next: State, at now: Timestamp) {
        state = next
        changedAt = now
    }

    private mutating func note(_ hasFailed: Bool, at now: Timestamp) {
        // In the order in which they ended, so that the old ones are at the front.
        let start = now.microseconds &- rules.window.microseconds
        let old = ends.prefix { $0.at.microseconds < start }.count
        if old > 0 { ends.removeFirst(old) }
        if ends.count >= Self.endsMax { ends.removeFirst() }
        ends.append((now, hasFailed))
    }
}
