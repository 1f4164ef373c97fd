import Core
import Egress
import TestSupport
import Testing

@testable import Inference

/// The rules that keep calls away from what is ill or full, each on its own and without a network.
struct WeatherTests {
    private static let start = Timestamp(microseconds: 1_790_000_000_000_000)

    private func at(_ seconds: Double) -> Timestamp { Self.start + .seconds(seconds) }

    // MARK: Breaker

    private let rules = CircuitBreaker.Rules(
        failuresMin: 3, failureRatio: 0.5, window: .seconds(60), open: .seconds(15),
        openMax: .seconds(60))

    @Test("A breaker opens with enough failures that are enough of all, and not before")
    func opens() {
        var breaker = CircuitBreaker(rules)
        for second in 0..<2 { breaker.failed(at: at(Double(second))) }
        #expect(breaker.state == .closed)
        breaker.failed(at: at(2))
        #expect(breaker.state == .open(until: at(17)))
        #expect(breaker.admission(at: at(16)) == .refused(until: at(17)))

        var mixed = CircuitBreaker(rules)
        for second in 0..<4 { mixed.succeeded(at: at(Double(second))) }
        for second in 4..<7 { mixed.failed(at: at(Double(second))) }
        #expect(mixed.state == .closed, "3 of 7 is less than half")
        mixed.failed(at: at(7))
        #expect(mixed.state != .closed)
    }

    @Test("Failures that are older than the window do not count")
    func window() {
        var breaker = CircuitBreaker(rules)
        breaker.failed(at: at(0))
        breaker.failed(at: at(1))
        breaker.failed(at: at(90))
        #expect(breaker.state == .closed)
    }

    @Test("After a while one call finds out, and the others still wait")
    func probe() {
        var breaker = CircuitBreaker(rules)
        for _ in 0..<3 { breaker.failed(at: at(0)) }
        #expect(breaker.admission(at: at(15)) == .probe)
        breaker.begin(at: at(15))
        guard case .refused = breaker.admission(at: at(16)) else {
            Issue.record("A second call was let through beside the probe.")
            return
        }
        breaker.succeeded(at: at(17))
        #expect(breaker.state == .closed)
        breaker.failed(at: at(18))
        #expect(breaker.state == .closed, "what was before the probe is forgotten")
    }

    @Test(
        "Each probe that fails doubles the time, up to a limit; one that says nothing frees its place"
    )
    func failedProbe() {
        var breaker = CircuitBreaker(rules)
        for _ in 0..<3 { breaker.failed(at: at(0)) }
        var now = 15.0
        for open in [30.0, 60, 60] {
            breaker.begin(at: at(now))
            breaker.failed(at: at(now))
            #expect(breaker.state == .open(until: at(now + open)))
            now += open
        }
        breaker.begin(at: at(now))
        breaker.learnedNothing(at: at(now))
        #expect(breaker.admission(at: at(now)) == .probe)
    }

    @Test("A probe that is never heard of again does not keep the breaker open for ever")
    func lostProbe() {
        var breaker = CircuitBreaker(rules)
        for _ in 0..<3 { breaker.failed(at: at(0)) }
        breaker.begin(at: at(15))
        #expect(breaker.admission(at: at(15 + 121)) == .probe)
    }

    // MARK: Backoff and budget

    @Test(
        "Waits are drawn between nothing and a limit that doubles up to the cap",
        arguments: [
            (0, UInt64.max, 249_999), (1, .max, 499_999), (4, .max, 3_999_999),
            (5, .max, 7_999_999), (6, .max, 7_999_999), (1000, .max, 7_999_999),
            (-1, .max, 249_999), (3, 0, 0), (3, UInt64(1) << 63, 1_000_000),
        ] as [(Int, UInt64, Int64)])
    func backoff(round: Int, random: UInt64, microseconds: Int64) {
        #expect(Backoff().delay(round: round, random: random).microseconds == microseconds)
    }

    @Test("A budget ends with its attempts, with those that may be charged, and with its time")
    func budget() {
        var limits = AttemptBudget.Limits()
        (limits.attemptsMax, limits.chargedMax, limits.waitingMax) = (4, 2, .seconds(10))
        var attempts = AttemptBudget(limits)
        let begun = (0..<6).map { _ in attempts.begin() }
        #expect(begun == [true, true, true, true, false, false])

        var charged = AttemptBudget(limits)
        for _ in 0..<2 {
            let isBegun = charged.begin()
            #expect(isBegun)
            charged.failed(mayBeCharged: true)
        }
        let isThird = charged.begin()
        #expect(!isThird)
        #expect(charged.nextRound(least: nil, random: 0) == nil)

        var waiting = AttemptBudget(limits)
        #expect(waiting.nextRound(least: .seconds(6), random: 0) == .seconds(6))
        #expect(waiting.nextRound(least: .seconds(6), random: 0) == nil, "12 seconds are too many")
        #expect(waiting.nextRound(least: .seconds(4), random: 0) == .seconds(4))
    }

    @Test("Rounds end though nobody is ever asked in them")
    func rounds() {
        var budget = AttemptBudget(AttemptBudget.Limits())
        let rounds = (0..<1000).count { _ in
            budget.nextRound(least: .microseconds(1), random: 0) != nil
        }
        #expect(rounds == AttemptBudget.Limits().attemptsMax)
    }

    // MARK: Lines

    @Test("So many run, so many wait in their order, and the next is refused")
    func line() {
        var line = CallLine(runningMax: 1, waitingMax: 2)
        let entries = (0..<4).map { _ in line.enter() }
        #expect(entries == [.runs, .waits(ticket: 1), .waits(ticket: 2), .full])
        let hasLeft = line.giveUp(1)
        #expect(hasLeft)
        #expect(line.leave() == 2)
        let runsAlready = !line.giveUp(2)
        #expect(runsAlready)
        #expect(line.leave() == nil)
        #expect(line.running == 0)
        #expect(line.enter() == .runs)
    }

    @Test("A place is taken in turn, and given back when it is let go of")
    func gate() async throws {
        let gate = ProviderGate("p", runningMax: 1, waitingMax: 1, waitMax: .seconds(30))
        var place: ProviderGate.Place? = try await gate.enter()
        let next = Task { _ = try await gate.enter() }
        #expect(await eventually { gate.load.waiting == 1 })
        let failure = await #expect(throws: Failure.self) { _ = try await gate.enter() }
        #expect(failure?.code == .unavailable && failure?.retryAfter != nil)
        #expect(place != nil)
        place = nil
        try await next.value
        #expect(await eventually { gate.load == (0, 0) })
    }

    @Test("Who waits too long, or is cancelled, leaves the line")
    func impatient() async throws {
        let gate = ProviderGate("p", runningMax: 1, waitingMax: 9, waitMax: .milliseconds(50))
        let place = try await gate.enter()
        let failure = await #expect(throws: Failure.self) { _ = try await gate.enter() }
        #expect(failure?.code == .unavailable)
        let patient = ProviderGate("q", runningMax: 1, waitingMax: 9, waitMax: .seconds(60))
        let held = try await patient.enter()
        let waiting = Task { _ = try await patient.enter() }
        #expect(await eventually { patient.load.waiting == 1 })
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(gate.load == (1, 0) && patient.load == (1, 0))
        withExtendedLifetime((place, held)) {}
    }

    // MARK: Limits that providers tell

    struct Told: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let headers: [String: String]
        var tokens = 10
        /// Seconds; nil for no wait.
        let wait: Double?
    }

    @Test(
        "What is left of a provider's limits is read from its headers",
        arguments: [
            Told(
                testDescription: "no request left, seconds",
                headers: [
                    "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s",
                ], wait: 1),
            Told(
                testDescription: "milliseconds",
                headers: [
                    "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms",
                ], wait: 0.02),
            Told(
                testDescription: "minutes and seconds",
                headers: [
                    "X-RateLimit-Remaining-Requests": "0", "X-RateLimit-Reset-Requests": "6m0.5s",
                ], wait: 360.5),
            Told(
                testDescription: "a bare number",
                headers: [
                    "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2",
                ], wait: 2),
            Told(
                testDescription: "too few tokens for this call",
                headers: ["x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "3s"],
                wait: 3),
            Told(
                testDescription: "enough tokens",
                headers: ["x-ratelimit-remaining-tokens": "10", "x-ratelimit-reset-tokens": "3s"],
                wait: nil),
            Told(
                testDescription: "Anthropic",
                headers: [
                    "anthropic-ratelimit-input-tokens-remaining": "0",
                    "anthropic-ratelimit-input-tokens-reset": "2026-09-21T14:13:25Z",
                ], wait: 5),
            Told(
                testDescription: "-1 is unknown",
                headers: [
                    "x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "9s",
                ], wait: nil),
            Told(
                testDescription: "0 without a time is unknown",
                headers: ["x-ratelimit-remaining-requests": "0"], wait: nil),
            Told(
                testDescription: "a reset after days is not believed",
                headers: [
                    "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9d",
                ], wait: nil),
            Told(
                testDescription: "nonsense",
                headers: [
                    "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1e999s",
                    "x-ratelimit-remaining-tokens": "99999999999999999999",
                    "x-ratelimit-reset-tokens": "soon",
                ], wait: nil),
        ])
    func room(row: Told) {
        // 2026-09-21T14:13:20Z
        var room = RateRoom()
        room.read(row.headers.map { HTTPHeader($0.key, $0.value) }, at: Self.start)
        let wait = room.wait(tokens: row.tokens, at: Self.start)
        #expect(wait == row.wait.map { .microseconds(Int64($0 * 1_000_000)) })
    }

    @Test("Our own calls are taken off what is left, until the reset")
    func take() {
        var room = RateRoom()
        room.read(
            [
                HTTPHeader("x-ratelimit-remaining-requests", "2"),
                HTTPHeader("x-ratelimit-reset-requests", "10s"),
            ], at: Self.start)
        room.take(tokens: 5)
        #expect(room.wait(tokens: 5, at: Self.start) == nil)
        room.take(tokens: .max)
        room.take(tokens: .max)
        #expect(room.wait(tokens: 5, at: at(1)) == .seconds(9))
        #expect(room.wait(tokens: 5, at: at(10)) == nil)
    }

    // MARK: Keys

    private func failure(_ kind: FailureClass, retryAfter: Duration? = nil) -> CandidateFailure {
        CandidateFailure(kind, Failure(.unavailable, "\(kind)", retryAfter: retryAfter))
    }

    @Test(
        "A key that is refused or throttled rests, and the next is used",
        arguments: [
            (.credential, nil, 60), (.throttled, 7, 7), (.throttled, nil, 10),
            (.exhausted, nil, 300), (.throttled, 99_999, 3600),
        ] as [(FailureClass, Double?, Double)])
    func rest(kind: FailureClass, retryAfter: Double?, seconds: Double) {
        var ring = KeyRing(["a", "b"])
        #expect(ring.next(model: "m", tokens: 1, tried: [], at: at(0)) == 0)
        let mayGoOn = ring.failed(
            key: 0, model: "m", failure(kind, retryAfter: retryAfter.map { .seconds($0) }),
            at: at(0))
        #expect(mayGoOn)
        #expect(ring.next(model: "m", tokens: 1, tried: [0], at: at(0)) == 1)
        _ = ring.failed(key: 1, model: "m", failure(kind, retryAfter: .seconds(9999)), at: at(0))
        #expect(ring.next(model: "m", tokens: 1, tried: [], at: at(seconds - 1)) == nil)
        #expect(ring.wait(model: "m", tokens: 1, at: at(0)) == .seconds(seconds))
        #expect(ring.failure(model: "m", tokens: 1, at: at(1))?.kind == kind)
        #expect(ring.next(model: "other", tokens: 1, tried: [], at: at(0)) != nil)
        #expect(ring.next(model: "m", tokens: 1, tried: [], at: at(seconds)) != nil)
    }

    @Test("Other failures are not the key's, and a key that works stays in use")
    func keyStays() {
        var ring = KeyRing(["a", "b"])
        for kind in [FailureClass.transient, .caller, .context] {
            let mayGoOn = ring.failed(key: 0, model: "m", failure(kind), at: at(0))
            #expect(!mayGoOn)
        }
        for _ in 0..<3 { #expect(ring.next(model: "m", tokens: 1, tried: [], at: at(0)) == 0) }
        _ = ring.failed(key: 0, model: "m", failure(.throttled), at: at(0))
        for second in [1.0, 99] {
            #expect(ring.next(model: "m", tokens: 1, tried: [], at: at(second)) == 1)
        }
    }
}
