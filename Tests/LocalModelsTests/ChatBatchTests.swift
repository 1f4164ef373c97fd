import Core
import Dispatch
import Synchronization
import TestSupport
import Testing

@testable import LocalModels

@Suite("Many calls of one model")
struct ChatBatchTests {
    private static let contextTokens = 600

    private func model(_ change: (inout LocalModelOptions) -> Void = { _ in }) throws
        -> LocalChatModel
    {
        var options = LocalModelOptions(threads: 2, memory: MemoryBudget(bytes: 64 << 20))
        change(&options)
        let bytes = TinyModel.writer(contextTokens: Self.contextTokens).bytes()
        return try LocalChatModel(
            MappedModel(name: "tiny.gguf", copying: bytes), options: options)
    }

    private static func prompt(_ seed: Int, count: Int) -> [Int32] {
        var random = Random(state: UInt64(seed))
        return (0..<count).map { _ in Int32(random.below(250)) }
    }

    @Test("Answers given together are those given alone", arguments: [1, 2, 4])
    func together(threads: Int) async throws {
        let model = try model { $0.threads = threads }
        let prompts = [1, 2, 31, 32, 33, 100, 257, 400].map { Self.prompt($0, count: $0) }
        var expected: [[Int32]] = []
        for prompt in prompts {
            expected.append(try await model.clearTokens(after: prompt, count: 20))
        }
        let answers = try await withThrowingTaskGroup(of: (Int, [Int32]).self) { group in
            for (number, prompt) in prompts.enumerated() {
                group.addTask { (number, try await model.greedy(prompt, count: 20).tokens) }
            }
            return try await group.reduce(into: [Int: [Int32]]()) { $0[$1.0] = $1.1 }
        }
        for (number, tokens) in expected.enumerated() {
            let answer = answers[number] ?? []
            // An answer may end, which those alone did not look at.
            #expect(answer.starts(with: tokens.prefix(answer.count)), "\(prompts[number].count)")
        }
        #expect(expected.map(\.count).reduce(0, +) > 60)
        #expect(model.load.running == 0 && model.load.pagesOwned == 0)
    }

    @Test("Calls that run together are counted in each other's batch")
    func batch() async throws {
        let model = try model()
        let released = try await model.hold()
        let calls = try (0..<4).map { number in
            try model.open(.greedy(Self.prompt(number, count: 5), output: 3))
        }
        released.signal()
        for call in calls { #expect(try await call.run { _ in }.batchMean > 1) }
    }

    @Test("The turn before is not read again, and the answer is that of one who never saw it")
    func turns() async throws {
        let model = try model()
        let first = Self.prompt(1, count: 50)
        let answer = try await model.greedy(first, count: 30)
        let next = first + answer.tokens + Self.prompt(2, count: 20)
        let expected = try await self.model().clearTokens(after: next, count: 10)
        let second = try await model.greedy(next, count: 10)
        // The last token of the answer was never read.
        #expect(second.generation.promptTokensReused >= 50 + answer.tokens.count - 1)
        #expect(second.tokens.starts(with: expected.prefix(second.tokens.count)))
    }

    @Test("A beginning that different chats share is read once, also while one of them runs")
    func sharedBeginning() async throws {
        let model = try model()
        let system = Self.prompt(1, count: 100)
        _ = try await model.greedy(system + [7], count: 1)
        let left = try model.open(.greedy(system + Self.prompt(2, count: 9), output: 30))
        let right = try model.open(.greedy(system + Self.prompt(3, count: 9), output: 30))
        #expect(try await left.run { _ in }.promptTokensReused == 100)
        #expect(try await right.run { _ in }.promptTokensReused == 100)
    }

    @Test("A call that is let go of gives its place back, waiting or running")
    func lettingGo() async throws {
        let model = try model { $0.limits = EngineLimits(sequencesMax: 1, waitingMax: 2) }
        let released = try await model.hold()
        var calls: [LocalCall] = []
        for principal in ["a", "b", "c"] {
            var request = GenerationRequest.greedy([1], output: 500)
            request.principal = principal
            calls.append(try model.open(request))
        }
        let failure = #expect(throws: Failure.self) {
            _ = try model.open(.greedy([1], output: 1))
        }
        #expect(failure?.code == .unavailable)
        #expect(failure?.retryAfter ?? .zero >= .seconds(1))
        #expect(model.load.waiting == 3)
        calls.removeLast()
        #expect(model.load.waiting == 2)
        calls = [try model.open(.greedy([1], output: 2))]
        #expect(model.load.waiting == 1)
        released.signal()
        _ = try await calls[0].run { _ in }
        #expect(model.load.waiting == 0 && model.load.running == 0)
    }

    @Test("A call that is cancelled while it waits is out of the line at once")
    func cancelledWaiting() async throws {
        let model = try model { $0.limits = EngineLimits(sequencesMax: 1, waitingMax: 2) }
        let released = try await model.hold()
        let first = try model.open(.greedy([1], output: 2))
        let second = try model.open(.greedy([2], output: 2))
        let task = Task { try await second.run { _ in } }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(model.load.waiting == 1)
        released.signal()
        _ = try await first.run { _ in }
    }

    @Test("One principal cannot take the whole line")
    func share() async throws {
        let model = try model { $0.limits = EngineLimits(sequencesMax: 1, waitingMax: 4) }
        let released = try await model.hold()
        var calls: [LocalCall] = []
        func open(_ principal: String) throws {
            var request = GenerationRequest.greedy([1], output: 2)
            request.principal = principal
            calls.append(try model.open(request))
        }
        for _ in 0..<3 { try open("greedy") }
        let failure = #expect(throws: Failure.self) { try open("greedy") }
        #expect(failure?.message.contains("your calls") == true)
        try open("modest")
        released.signal()
        for call in calls { _ = try await call.run { _ in } }
    }

    @Test("Cancelling frees the place, while a prompt is read as while an answer is given")
    func cancelling() async throws {
        let model = try model { $0.limits = EngineLimits(sequencesMax: 1, waitingMax: 8) }
        for length in [2, 500] {
            let call = try model.open(.greedy(Self.prompt(length, count: length), output: 90))
            let task = Task { try await call.run { _ in } }
            if length == 2 { _ = await eventually { model.load.running == 1 } }
            task.cancel()
            _ = await task.result
            #expect(model.load.running == 0 && model.load.pagesOwned == 0)
            #expect(try await model.greedy([3], count: 2).tokens.count <= 2)
        }
    }

    @Test("Readers who come and go at random leave nothing behind", arguments: [1, 3])
    func soak(threads: Int) async throws {
        let memory = MemoryBudget(bytes: 8 << 20)
        let model = try model { options in
            options.threads = threads
            options.memory = memory
            options.limits = EngineLimits(sequencesMax: 4, waitingMax: 64)
        }
        let before = memory.leftBytes
        try await withThrowingTaskGroup(of: Void.self) { group in
            for reader in 0..<8 {
                group.addTask {
                    struct Enough: Error {}
                    var random = Random(state: UInt64(reader))
                    for round in 0..<12 {
                        let prompt = Self.prompt(random.below(3), count: 1 + random.below(300))
                        var request = GenerationRequest.greedy(
                            prompt, output: 1 + random.below(40))
                        request.principal = "\(reader % 3)"
                        request.sampling.temperature = 2
                        request.sampling.seed = UInt64(round)
                        let call = try model.open(request)
                        let patience = random.below(8)
                        switch random.below(4) {
                        case 0: continue
                        case 1:
                            let task = Task { try await call.run { _ in } }
                            for _ in 0..<patience { await Task.yield() }
                            task.cancel()
                            _ = await task.result
                        case 2:
                            let taken = Mutex(0)
                            do {
                                _ = try await call.run { _ in
                                    let count = taken.withLock {
                                        $0 += 1
                                        return $0
                                    }
                                    if count > patience { throw Enough() }
                                }
                            } catch is Enough {}
                        default: _ = try await call.run { _ in }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        // Calls that were let go of end with the step that runs.
        #expect(await eventually(within: .seconds(60)) { model.load.running == 0 })
        #expect(model.load.waiting == 0 && model.load.pagesOwned == 0)
        #expect(model.load.pagesCached > 0)
        try model.clearCache()
        #expect(await eventually(within: .seconds(60)) { model.load.pagesCached == 0 })
        #expect(memory.leftBytes == before)
    }

    @Test("What is kept for others goes when nobody has come for a while")
    func cacheTimer() async throws {
        let model = try model { $0.cacheKept = .milliseconds(10) }
        for _ in 0..<2 {
            #expect(
                try await model.greedy(Self.prompt(1, count: 90), count: 3)
                    .generation.promptTokensReused == 0)
            #expect(await eventually(within: .seconds(60)) { model.load.pagesCached == 0 })
        }
    }

    @Test("A model that comes to no number ends its answers, and keeps nothing of them")
    func notANumber() async throws {
        var writer = TinyModel.writer()
        let place = try #require(writer.tensors.firstIndex { $0.name == "token_embd.weight" })
        // Every block of Q8_0 begins with its scale, in half precision.
        for start in stride(from: 0, to: writer.tensors[place].bytes.count, by: 34) {
            writer.tensors[place].bytes.replaceSubrange(start..<start + 2, with: [0x00, 0x7E])
        }
        let model = try LocalChatModel(
            MappedModel(name: "tiny.gguf", copying: writer.bytes()), threads: 1)
        for _ in 0..<2 {
            let failure = await #expect(throws: Failure.self) {
                try await model.greedy([1, 2, 3], count: 5)
            }
            #expect(failure?.message.contains("damaged") == true)
        }
        #expect(model.load.running == 0 && model.load.pagesCached == 0)
    }

    @Test("A prompt past the context loses its oldest tokens where the caller allows it")
    func truncation() async throws {
        let model = try model()
        var request = GenerationRequest.greedy(Self.prompt(1, count: 2000), output: 50)
        let failure = #expect(throws: Failure.self) { _ = try model.open(request) }
        #expect(failure?.code == .tooLarge)
        #expect(failure?.message.contains("2000") == true)
        #expect(failure?.message.contains("\(Self.contextTokens)") == true)
        request.truncation = .oldestDropped(keepingFirst: 32)
        let generation = try await model.generate(request) { _ in }
        #expect(generation.promptTokens == Self.contextTokens - 50)
        #expect(generation.promptTokensDropped == 2000 - generation.promptTokens)
        let kept = Array(request.prompt.prefix(32) + request.prompt.suffix(518))
        #expect(try await model.greedy(kept, count: 1).generation.promptTokensReused == 549)
        request.prompt = Self.prompt(2, count: 10)
        #expect(try await model.generate(request) { _ in }.promptTokensDropped == 0)
    }
}

extension GenerationRequest {
    fileprivate static func greedy(_ prompt: [Int32], output: Int) -> GenerationRequest {
        GenerationRequest(
            prompt: prompt,
            sampling: SamplingOptions(temperature: 0, outputTokensMax: output))
    }
}

extension LocalChatModel {
    fileprivate func greedy(_ prompt: [Int32], count: Int) async throws
        -> (generation: Generation, tokens: [Int32])
    {
        let tokens = Mutex<[Int32]>([])
        let generation = try await generate(.greedy(prompt, output: count)) { piece in
            tokens.withLock { $0 += piece.tokens.map(\.id) }
        }
        return (generation, tokens.withLock { $0 })
    }

    /// The most likely tokens, up to where the choice is so close that rounding decides.
    fileprivate func clearTokens(after prompt: [Int32], count: Int) async throws -> [Int32] {
        try await inspect { reader in
            reader.begin(prompt)
            var tokens: [Int32] = []
            while tokens.count < count {
                let best = reader.logits().enumerated().sorted { $0.element > $1.element }
                guard best[0].element - best[1].element > 0.05 else { break }
                tokens.append(Int32(best[0].offset))
                reader.add(Int32(best[0].offset))
            }
            return tokens
        }
    }

    /// Keeps the engine's thread busy until it is signalled.
    fileprivate func hold() async throws -> DispatchSemaphore {
        let (began, signal) = AsyncStream.makeStream(of: Void.self)
        let released = DispatchSemaphore(value: 0)
        Task {
            try await inspect { _ in
                signal.yield()
                released.wait()
            }
        }
        for await _ in began { break }
        return released
    }
}
