import Core
import GRDB
import Synchronization
import TestSupport
import Testing

@testable import Orchestration

/// Does what a test tells it to, and counts.
private struct TestHandler: JobHandler {
    typealias Work =
        @Sendable (Job, Principal, (JobProgress) async throws -> Void) async throws -> Void

    let kind: String
    let work: Work

    init(_ kind: String = "test", _ work: @escaping Work = { _, _, _ in }) {
        self.kind = kind
        self.work = work
    }

    func run(
        _ job: Job, for principal: Principal, report: (JobProgress) async throws -> Void
    ) async throws {
        try await work(job, principal, report)
    }
}

/// Names in the order they were added.
private final class Journal: Sendable {
    private let names = Mutex<[String]>([])

    var entries: [String] { names.withLock { $0 } }

    func add(_ name: String) { names.withLock { $0.append(name) } }
}

private func withRunner<Value: Sendable>(
    _ handlers: [any JobHandler], folder: TemporaryFolder? = nil,
    clock: ManualClock = ManualClock(),
    configuration: OrchestrationConfiguration = OrchestrationConfiguration(),
    longKinds: Set<String> = [],
    _ body: @escaping @Sendable (JobStore) async throws -> Value
) async throws -> Value {
    let folder = try folder ?? TemporaryFolder()
    var configuration = configuration
    configuration.shutdownGraceSeconds = 1
    let store = try JobStore(
        store: OrchestrationStore(folder: folder.path),
        environment: .manual(clock, seed: UInt64.random(in: 1...(.max))),
        configuration: configuration)
    let runner = JobRunner(store: store, handlers: handlers, longKinds: longKinds)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await runner.run() }
        let value = try await body(store)
        group.cancelAll()
        return value
    }
}

extension JobStore {
    fileprivate func changes(of id: Identifier) async throws -> [Job] {
        var changes: [Job] = []
        try await follow(id, for: .alice) { changes.append($0) }
        return changes
    }

    fileprivate func end(of id: Identifier) async throws -> Job? {
        try await changes(of: id).last
    }
}

@Suite struct JobTests {
    @Test("A job is done, and its followers see every step to the end")
    func wholeJob() async throws {
        let gate = Gate()
        let handler = TestHandler { job, principal, report in
            try await gate.wait()
            #expect(job.payload == "{\"a\":1}" && principal == .alice)
            for step in 1...3 {
                try await report(JobProgress(done: step, total: 3, message: "Step \(step)"))
            }
        }
        let changes = try await withRunner([handler]) { store in
            let job = try await store.enqueue(kind: "test", payload: "{\"a\":1}", for: .alice)
            async let changes = store.changes(of: job.id)
            try await until { gate.waitingCount == 1 }
            gate.open()
            return try await changes
        }
        let last = try #require(changes.last)
        #expect(last.state == .completed)
        #expect((last.done, last.total, last.message) == (3, 3, "Step 3"))
        #expect(changes.map(\.done) == changes.map(\.done).sorted())
    }

    @Test("A job that fails says why, and only that")
    func failure() async throws {
        struct Secret: Error {}
        let handlers = [
            TestHandler("known") { _, _, _ in throw Failure(.tooLarge, "The disk is full.") },
            TestHandler("unknown") { _, _, _ in throw Secret() },
        ]
        let (known, unknown) = try await withRunner(handlers) { store in
            let known = try await store.enqueue(kind: "known", payload: "", for: .alice)
            let unknown = try await store.enqueue(kind: "unknown", payload: "", for: .alice)
            return (try await store.end(of: known.id), try await store.end(of: unknown.id))
        }
        #expect(known?.state == .failed && known?.message == "The disk is full.")
        #expect(unknown?.state == .failed && unknown?.message.contains("Secret") == false)
    }

    @Test("Progress is told at once and written down at most every 250 ms")
    func throttle() async throws {
        let clock = ManualClock()
        let folder = try TemporaryFolder()
        let gates = [Gate(), Gate()]
        let handler = TestHandler { _, _, report in
            try await report(JobProgress(done: 1, total: 9, message: ""))
            try await gates[0].wait()
            clock.advance(by: .milliseconds(250))
            try await report(JobProgress(done: 2, total: 9, message: ""))
            try await gates[1].wait()
        }
        try await withRunner([handler], folder: folder, clock: clock) { store in
            let id = try await store.enqueue(kind: "test", payload: "", for: .alice).id
            func saved() async throws -> Int { try await store.table.job(id, for: .alice).done }

            try await until { gates[0].waitingCount == 1 }
            #expect(try await store.job(id, for: .alice).done == 1)
            #expect(try await saved() == 0)
            gates[0].open()
            try await until { gates[1].waitingCount == 1 }
            #expect(try await saved() == 2)
            gates[1].open()
            #expect(try await store.end(of: id)?.state == .completed)
        }
    }

    @Test("A waiting job is cancelled at once, a running one at its next step")
    func cancellation() async throws {
        let gate = Gate()
        let journal = Journal()
        let handler = TestHandler { job, _, report in
            try await gate.wait()
            do {
                try await report(JobProgress(done: 1, total: 2, message: ""))
            } catch {
                journal.add("cleaned up")
                throw error
            }
        }
        try await withRunner([handler], configuration: .with { $0.jobsMax = 1 }) { store in
            let running = try await store.enqueue(kind: "test", payload: "", for: .alice).id
            try await until { gate.waitingCount == 1 }
            let waiting = try await store.enqueue(kind: "test", payload: "", for: .alice).id
            try await store.cancel(waiting, for: .alice)
            let first = try await store.job(waiting, for: .alice).state
            try await store.cancel(running, for: .alice)
            let second = try await store.job(running, for: .alice).state
            gate.open()
            let end = try await store.end(of: running)
            // Cancelling what has ended changes nothing.
            try await store.cancel(running, for: .alice)

            #expect(first == .cancelled && second == .running)
            #expect(end?.state == .cancelled && end?.done == 1)
            #expect(journal.entries == ["cleaned up"])
        }
    }

    @Test("Users take turns, and no more jobs run at once than are allowed")
    func fairness() async throws {
        let journal = Journal()
        let clock = ManualClock()
        let running = Mutex(0)
        let most = Mutex(0)
        let handler = TestHandler { job, principal, _ in
            let count = running.withLock { count in
                count += 1
                return count
            }
            most.withLock { $0 = max($0, count) }
            journal.add(principal.name)
            clock.advance(by: .milliseconds(1))
            try await Task.sleep(for: .milliseconds(5))
            running.withLock { $0 -= 1 }
        }
        let folder = try TemporaryFolder()
        let queue = try JobStore(folder: folder.path, environment: .manual(clock))
        for principal in [Principal.alice, .alice, .alice, .alice, .mallory, .mallory] {
            _ = try await queue.enqueue(kind: "test", payload: "", for: principal)
            clock.advance(by: .milliseconds(1))
        }
        let order = try await withRunner(
            [handler], folder: folder, clock: clock, configuration: .with { $0.jobsMax = 1 }
        ) { _ in
            try await until { journal.entries.count == 6 }
            return journal.entries
        }
        #expect(order == ["Alice", "Mallory", "Alice", "Mallory", "Alice", "Alice"])
        #expect(most.withLock { $0 } == 1)
    }

    @Test("Long jobs leave a place for brief ones, and have the only one where there is one")
    func longJobs() async throws {
        for places in [1, 2] {
            let gate = Gate()
            let journal = Journal()
            let handlers = ["site", "ingest"].map { kind in
                TestHandler(kind) { _, _, _ in
                    journal.add(kind)
                    if kind == "site" { try await gate.wait() }
                }
            }
            try await withRunner(
                handlers, configuration: .with { $0.jobsMax = places }, longKinds: ["site"]
            ) { store in
                for kind in ["site", "site", "ingest"] {
                    _ = try await store.enqueue(kind: kind, payload: "", for: .alice)
                }
                if places == 2 {
                    try await until { journal.entries.count == 2 }
                    #expect(Set(journal.entries) == ["site", "ingest"])
                }
                gate.open()
                try await until { journal.entries.count == 3 }
                #expect(journal.entries.first == "site")
            }
        }
    }

    @Test("A user may have only so many jobs waiting")
    func waitingLimit() async throws {
        let folder = try TemporaryFolder()
        var configuration = OrchestrationConfiguration()
        configuration.jobsWaitingPerUserMax = 2
        let store = try JobStore(
            store: OrchestrationStore(folder: folder.path), environment: .manual(),
            configuration: configuration)
        for _ in 0..<2 { _ = try await store.enqueue(kind: "test", payload: "", for: .alice) }
        let third = await refusal {
            _ = try await store.enqueue(kind: "test", payload: "", for: .alice)
        }
        _ = try await store.enqueue(kind: "test", payload: "", for: .mallory)
        #expect(third?.code == .rateLimited && third?.retryAfter != nil)
    }

    @Test(
        "What is to be done is bounded",
        arguments: [
            ("", "", Failure.Code.invalid), (String(repeating: "k", count: 65), "", .invalid),
            ("test", String(repeating: "p", count: 65_537), .tooLarge),
        ])
    func bounds(kind: String, payload: String, code: Failure.Code) async throws {
        let folder = try TemporaryFolder()
        let store = try JobStore(folder: folder.path, environment: .manual())
        let refused = await refusal {
            _ = try await store.enqueue(kind: kind, payload: payload, for: .alice)
        }
        #expect(refused?.code == code)
    }

    @Test("A job that a crash cut off is done again, but not for ever")
    func crashes() async throws {
        let folder = try TemporaryFolder()
        let clock = ManualClock()
        let first = try JobStore(folder: folder.path, environment: .manual(clock))
        let id = try await first.enqueue(kind: "test", payload: "", for: .alice).id
        // Claimed and never ended, three times over: what `kill -9` leaves.
        for crash in 1...3 {
            let store = try JobStore(folder: folder.path, environment: .manual(clock))
            try await store.recover(kinds: ["test"])
            let state = try await store.job(id, for: .alice).state
            #expect(state == .available, "before crash \(crash)")
            _ = try await store.claim(kinds: ["test"])
        }
        let journal = Journal()
        let end = try await withRunner(
            [TestHandler { _, _, _ in journal.add("ran") }], folder: folder, clock: clock
        ) { store in
            try await until { try await store.job(id, for: .alice).state.isFinal }
            return try await store.job(id, for: .alice)
        }
        #expect(end.state == .failed && end.message.contains("3 times"))
        #expect(journal.entries.isEmpty)
    }

    @Test("However often the server goes down, it is not for the same job each time")
    func crashesAreSpread() async throws {
        let folder = try TemporaryFolder()
        let clock = ManualClock()
        func restarted() async throws -> JobStore {
            clock.advance(by: .milliseconds(1))
            let store = try JobStore(folder: folder.path, environment: .manual(clock, seed: 7))
            try await store.recover(kinds: ["test"])
            return store
        }
        var store = try await restarted()
        var waiting: [Identifier] = []
        for _ in 0..<4 {
            waiting.append(try await store.enqueue(kind: "test", payload: "", for: .alice).id)
            clock.advance(by: .milliseconds(1))
        }
        var claimed: [Identifier] = []
        for _ in waiting {
            let row = try #require(try await store.claim(kinds: ["test"]))
            claimed.append(row.job.id)
            store = try await restarted()
        }
        #expect(claimed == waiting)
        #expect(try await store.claim(kinds: ["test"])?.job.id == waiting.first)
    }

    @Test("A stop in good order puts running jobs back, and that is not held against them")
    func release() async throws {
        let folder = try TemporaryFolder()
        let journal = Journal()
        let blocked = Gate()
        var id: Identifier?
        for _ in 0..<5 {
            // Before the runner starts, which is when a job that waits begins.
            let count = journal.entries.count
            id = try await withRunner(
                [
                    TestHandler { _, _, _ in
                        journal.add("begun")
                        try await blocked.wait()
                    }
                ], folder: folder
            ) { store in
                if count == 0 {
                    _ = try await store.enqueue(kind: "test", payload: "", for: .alice)
                }
                try await until { journal.entries.count == count + 1 }
                return try await store.table.pool.read {
                    try Identifier.fetchOne($0, sql: "SELECT id FROM jobs")
                }
            }
        }
        let store = try JobStore(folder: folder.path, environment: .manual())
        let job = try await store.job(try #require(id), for: .alice)
        #expect(journal.entries.count == 5)
        #expect(job.state == .available)
    }

    @Test("Jobs that nobody can do fail with a sentence; old ones go")
    func housekeeping() async throws {
        let folder = try TemporaryFolder()
        let clock = ManualClock()
        let old = try await withRunner([TestHandler()], folder: folder, clock: clock) { store in
            let id = try await store.enqueue(kind: "test", payload: "", for: .alice).id
            _ = try await store.end(of: id)
            return id
        }
        clock.advance(by: .seconds(31 * 86_400))
        let queue = try JobStore(folder: folder.path, environment: .manual(clock))
        _ = try await queue.enqueue(kind: "strange", payload: "", for: .alice)
        try await withRunner([TestHandler()], folder: folder, clock: clock) { store in
            let strange = try await store.table.pool.read {
                try Identifier.fetchOne($0, sql: "SELECT id FROM jobs WHERE kind = 'strange'")
            }
            let end = try await store.end(of: try #require(strange))
            #expect(end?.state == .failed && end?.message.contains("strange") == true)
            try await until { await refusal { _ = try await store.job(old, for: .alice) } != nil }
        }
    }

    @Test(
        "Who follows a job from before the start hears what the start made of it",
        .timeLimit(.minutes(1)))
    func followedBeforeRecovery() async throws {
        let folder = try TemporaryFolder()
        let store = try JobStore(folder: folder.path, environment: .manual())
        let id = try await store.enqueue(kind: "strange", payload: "", for: .alice).id
        let seen = Gate()
        let state = try await withThrowingTaskGroup(of: Job.State?.self) { group in
            group.addTask {
                var last: Job.State?
                try await store.follow(id, for: .alice) { job in
                    last = job.state
                    seen.open()
                }
                return last
            }
            try await seen.wait()
            try await store.recover(kinds: ["test"])
            return try await group.next() ?? nil
        }
        #expect(state == .failed)
    }

    @Test("Nobody else's job can be seen, followed or cancelled")
    func scoping() async throws {
        let gate = Gate()
        let handler = TestHandler { _, _, _ in try await gate.wait() }
        try await withRunner([handler]) { store in
            let id = try await store.enqueue(kind: "test", payload: "", for: .alice).id
            for _ in 0..<2 {
                let codes = [
                    await refusal { _ = try await store.job(id, for: .mallory) },
                    await refusal { try await store.follow(id, for: .mallory) { _ in } },
                    await refusal { try await store.cancel(id, for: .mallory) },
                ].map { $0?.code }
                #expect(codes == [.notFound, .notFound, .notFound])
                gate.open()
                #expect(try await store.end(of: id)?.state == .completed)
            }
        }
    }

    @Test(
        "What can happen to a job, and what cannot",
        arguments: [
            (.available, .claimed, .running),
            (.available, .cancelled, .cancelled), (.available, .succeeded, nil),
            (.available, .released, nil), (.running, .claimed, nil),
            (.running, .succeeded, .completed), (.running, .failed(message: "x"), .failed),
            (.running, .cancelled, .cancelled), (.running, .released, .available),
            (.running, .crashed(crashes: 1, max: 3, isCancelled: false), .available),
            (.running, .crashed(crashes: 3, max: 3, isCancelled: false), .failed),
            (.running, .crashed(crashes: 1, max: 3, isCancelled: true), .cancelled),
            (.completed, .cancelled, nil), (.failed, .claimed, nil), (.cancelled, .succeeded, nil),
        ] as [(Job.State, JobEvent, Job.State?)])
    func transitions(state: Job.State, event: JobEvent, expected: Job.State?) {
        #expect(state.after(event)?.state == expected)
    }
}
