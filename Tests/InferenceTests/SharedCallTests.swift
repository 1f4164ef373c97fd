import Core
import Synchronization
import TestSupport
import Testing

@testable import Inference

/// The same, asked several times at once.
struct SharedCallTests {
    /// A reader in a task of its own, and what it has been given so far.
    private struct Reader {
        let call: ChatCall
        let pieces = Box<[String]>([])
        let task: Task<Completion, any Error>

        init(_ call: ChatCall) {
            self.call = call
            let pieces = pieces
            task = Task {
                try await call.run { event in
                    if case .text(let text) = event { pieces.withLock { $0.append(text) } }
                }
            }
        }

        func has(_ expected: [String]) async -> Bool {
            await eventually { [pieces] in pieces.current == expected }
        }
    }

    /// Opens when it is let.
    private struct SlowModel: ChatModel {
        let model: ScriptedModel
        let gate: TestSupport.Gate

        func open(_ request: ChatRequest) async throws -> ChatCall {
            try await gate.wait()
            return try await model.open(request)
        }

        func models() async -> [ModelCard] { await model.models() }

        func countTokens(_ texts: [String], model name: String) async throws -> [Int] {
            try await model.countTokens(texts, model: name)
        }
    }

    private func cached(_ model: any ChatModel) -> CachedModel {
        var configuration = InferenceConfiguration()
        configuration.cache.exact = .deterministic
        return CachedModel(
            model, configuration, embedder: ScriptedEmbedder(), audit: nil,
            environment: .manual(), tracer: RecordingTracer())
    }

    private var asking: ChatRequest {
        var request = ChatRequest.hello("scripted")
        request.sampling.temperature = 0
        return request
    }

    /// Two readers of one call that has said "a" and waits at the gate.
    private func two(
        _ model: ScriptedModel, _ cached: CachedModel
    ) async throws -> (leader: Reader, follower: Reader) {
        let leader = Reader(try await cached.open(asking))
        let follower = Reader(try await cached.open(asking))
        #expect(leader.call.cache == .miss && follower.call.cache == .joined)
        #expect(await leader.has(["a"]))
        #expect(await follower.has(["a"]))
        #expect(model.requests.count == 1)
        return (leader, follower)
    }

    @Test("All get every event as it comes, and the first pays")
    func joined() async throws {
        let gate = TestSupport.Gate()
        let model = ScriptedModel(.steps([.text("a"), .gate(gate), .text("b")]))
        let cached = cached(model)
        let (leader, follower) = try await two(model, cached)
        // Who comes late gets what was said before, too.
        let late = Reader(try await cached.open(asking))
        #expect(await late.has(["a"]))
        gate.open()
        let completions = try await [leader.task.value, follower.task.value, late.task.value]
        #expect(completions.map(\.cache) == [.miss, .joined, .joined])
        #expect(Set(completions.map(\.usage)).count == 1)
        #expect([leader, follower, late].map(\.call.isCharged) == [true, false, false])
        #expect(follower.pieces.current == ["a", "b"] && late.pieces.current == ["a", "b"])
        #expect(model.requests.count == 1)
        #expect(try await cached.open(asking).cache == .hit)
    }

    @Test("Where the first goes away the others go on, and the next pays")
    func leaderLeaves() async throws {
        let gate = TestSupport.Gate()
        let model = ScriptedModel(.steps([.text("a"), .gate(gate), .text("b")]))
        let cached = cached(model)
        let (leader, follower) = try await two(model, cached)
        leader.task.cancel()
        await #expect(throws: CancellationError.self) { try await leader.task.value }
        #expect(!leader.call.isCharged)
        gate.open()
        _ = try await follower.task.value
        #expect(follower.call.isCharged && follower.pieces.current == ["a", "b"])
        #expect(model.endedEarlyCount == 0 && model.requests.count == 1)
        #expect(try await cached.open(asking).cache == .hit)
    }

    @Test("When the last is gone the call ends, and the last pays")
    func allLeave() async throws {
        let model = ScriptedModel(
            .steps([.text("a"), .gate(TestSupport.Gate()), .text("b")]), .says("again"))
        let cached = cached(model)
        let (leader, follower) = try await two(model, cached)
        follower.task.cancel()
        await #expect(throws: CancellationError.self) { try await follower.task.value }
        #expect(model.endedEarlyCount == 0)
        leader.task.cancel()
        await #expect(throws: CancellationError.self) { try await leader.task.value }
        // It has ended when the reader's run has.
        #expect(model.endedEarlyCount == 1)
        #expect(leader.call.isCharged && !follower.call.isCharged)
        let next = Reader(try await cached.open(asking))
        #expect(next.call.cache == .miss)
        _ = try await next.task.value
        #expect(next.pieces.current == ["again"])
    }

    @Test("What breaks breaks for all, is paid once, and is not kept")
    func breaks() async throws {
        let gate = TestSupport.Gate()
        let model = ScriptedModel(
            .steps([.text("a"), .gate(gate), .fail(Failure(.upstream, "It broke."))]), .says("b"))
        let cached = cached(model)
        let (leader, follower) = try await two(model, cached)
        gate.open()
        for reader in [leader, follower] {
            let failure = await #expect(throws: Failure.self) { try await reader.task.value }
            #expect(failure?.message == "It broke.")
        }
        #expect(leader.call.isCharged && !follower.call.isCharged)
        #expect(try await cached.open(asking).cache == .miss)
    }

    @Test("A call that is given up by its opener is run by who waits; given up by all, it ends")
    func abandoned() async throws {
        let model = ScriptedModel(.says("a"))
        let cached = cached(model)
        let leader = try await cached.open(asking)
        let follower = try await cached.open(asking)
        await leader.abandon()
        #expect(model.abandonedCount == 0)
        let reader = Reader(follower)
        _ = try await reader.task.value
        #expect(reader.pieces.current == ["a"] && follower.isCharged && !leader.isCharged)
        await #expect(throws: Failure.self) { try await leader.run { _ in } }

        var other = asking
        other.messages = [ChatMessage(.user, "Other?")]
        let calls = try await [cached.open(other), cached.open(other)]
        for call in calls { await call.abandon() }
        #expect(model.abandonedCount == 1)
    }

    @Test("A refusal to open is everyone's; an opener that goes away is replaced")
    func opening() async throws {
        let gate = TestSupport.Gate()
        let model = ScriptedModel(.refuses(Failure(.rateLimited, "Later.")), .says("a"))
        let cached = cached(SlowModel(model: model, gate: gate))
        let request = asking
        let openings = (0..<3).map { _ in Task { try await cached.open(request) } }
        #expect(await eventually { gate.waitingCount == 1 })
        // The others have to have come before the refusal.
        try await Task.sleep(for: .milliseconds(50))
        gate.open()
        for opening in openings {
            let failure = await #expect(throws: Failure.self) { try await opening.value }
            #expect(failure?.code == .rateLimited)
        }
        #expect(model.requests.count == 1)

        let second = TestSupport.Gate()
        let slow = self.cached(SlowModel(model: model, gate: second))
        let leader = Task { try await slow.open(request) }
        #expect(await eventually { second.waitingCount == 1 })
        let follower = Task { try await slow.open(request) }
        try await Task.sleep(for: .milliseconds(50))
        leader.cancel()
        await #expect(throws: CancellationError.self) { try await leader.value }
        #expect(await eventually { second.waitingCount == 1 })
        second.open()
        let reader = Reader(try await follower.value)
        #expect(reader.call.cache == .miss)
        _ = try await reader.task.value
        #expect(reader.pieces.current == ["a"] && reader.call.isCharged)
    }

    @Test("The model is never far ahead of the fastest reader")
    func backPressure() async throws {
        let (said, gate) = (Box(0), TestSupport.Gate())
        let call = SharedCall(traceID: nil) { _, _, _ in }
        let seat = try #require(call.join())
        call.opened(
            ChatCall(
                candidate: "a/b",
                run: { emit in
                    for _ in 0..<2000 {
                        try await emit(.text("a"))
                        said.withLock { $0 += 1 }
                    }
                    return Completion(
                        candidate: "a/b", finishReason: .stop, usage: TokenUsage(),
                        firstTokenMilliseconds: nil, totalMilliseconds: 0)
                }))
        let heard = Box(0)
        let reading = Task {
            try await call.read(seat) { _ in
                heard.withLock { $0 += 1 }
                try await gate.wait()
            }
        }
        #expect(await eventually { said.current == SharedCall.eventsAheadMax })
        try await Task.sleep(for: .milliseconds(50))
        #expect(said.current == SharedCall.eventsAheadMax && heard.current == 1)
        gate.open()
        _ = try await reading.value
        #expect(said.current == 2000 && heard.current == 2000)
    }

    @Test("Many readers that come and go at any time each get the whole answer or their own end")
    func crowd() async throws {
        let pieces = (0..<200).map { "\($0)" }
        let model = ScriptedModel(
            .steps(pieces.flatMap { [.text($0), .wait(.microseconds(50))] }))
        let cached = cached(model)
        let request = asking
        let charged = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<40 {
                group.addTask {
                    try await Task.sleep(for: .microseconds(number * 100))
                    let reader = Reader(try await cached.open(request))
                    if number.isMultiple(of: 3) {
                        try await Task.sleep(for: .microseconds(number * 60))
                        reader.task.cancel()
                    }
                    do {
                        _ = try await reader.task.value
                        #expect(reader.pieces.current == pieces)
                    } catch is CancellationError {
                        #expect(pieces.starts(with: reader.pieces.current))
                    }
                    return reader.call.isCharged
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        // Each call of the model is paid once.
        #expect(charged == model.requests.count)
    }
}
