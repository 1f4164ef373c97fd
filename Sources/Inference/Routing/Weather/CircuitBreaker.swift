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
    private let rules: Rules
    private var ends: [(at: Timestamp, hasFailed: Bool)] = []
    private var openFor: Duration

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
        state = .halfOpen(until: now + Self.probeMax)
    }

    mutating func succeeded(at now: Timestamp) {
        if state != .closed {
            state = .closed
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
            state = .open(until: now + openFor)
        case .closed:
            note(true, at: now)
            let failures = ends.count { $0.hasFailed }
            guard failures >= rules.failuresMin,
                Double(failures) >= rules.failureRatio * Double(ends.count)
            else { return }
            ends = []
            state = .open(until: now + openFor)
        }
    }

    /// A call ended without a word about the candidate's health, such as by its caller. A probe's
    /// place is free again.
    mutating func learnedNothing(at now: Timestamp) {
        if case .halfOpen = state { state = .open(until: now) }
    }

    private mutating func note(_ hasFailed: Bool, at now: Timestamp) {
        ends.removeAll { now - $0.at > rules.window }
        if ends.count >= Self.endsMax { ends.removeFirst() }
        ends.append((now, hasFailed))
    }
}
