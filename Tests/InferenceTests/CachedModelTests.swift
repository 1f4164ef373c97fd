import Core
import Foundation
import OrderedJSON
import Synchronization
import TestSupport
import Testing

@testable import Inference

struct CachedModelTests {
    private let clock = ManualClock()

    private func cached(
        _ model: any ChatModel, _ exact: CacheScope = .deterministic, bytesMax: Int = 1 << 20,
        tracer: RecordingTracer = RecordingTracer()
    ) -> CachedModel {
        var configuration = InferenceConfiguration()
        configuration.cache.exact = exact
        configuration.cache.bytesMax = bytesMax
        return CachedModel(
            model, configuration, embedder: ScriptedEmbedder(), audit: nil,
            environment: .manual(clock), tracer: tracer)
    }

    private func asking(_ text: String = "Hello?", temperature: Double? = 0) -> ChatRequest {
        var request = ChatRequest.hello("scripted")
        request.messages = [ChatMessage(.user, text)]
        request.sampling.temperature = temperature
        return request
    }

    /// The pieces, the completion, and whether the call has to be paid.
    private func run(_ call: ChatCall) async throws -> ([String], Completion, Bool) {
        var pieces: [String] = []
        let completion = try await call.run { event in
            if case .text(let text) = event { pieces.append(text) }
        }
        return (pieces, completion, call.isCharged)
    }

    // MARK: What is kept

    @Test("What is asked again is answered as it was, and costs nothing")
    func hit() async throws {
        let tracer = RecordingTracer()
        let model = ScriptedModel(.says("one two three"), .says("something else"))
        let cached = cached(model, tracer: tracer)
        let first = try await cached.open(asking())
        #expect(first.cache == .miss)
        let (pieces, made, isCharged) = try await run(first)
        #expect(isCharged && made.cache == .miss && tracer.records.isEmpty)

        clock.advance(by: .seconds(60))
        let second = try await cached.open(asking())
        #expect(second.cache == .hit && second.candidate == first.candidate)
        let (again, given, isChargedAgain) = try await run(second)
        #expect(again == pieces && pieces == ["one", " two", " three"])
        #expect(!isChargedAgain && given.cache == .hit)
        #expect(given.usage == made.usage && given.finishReason == made.finishReason)
        #expect(given.totalMilliseconds == 0)
        #expect(model.requests.count == 1)
        let span = try #require(tracer.records.first)
        #expect(span.name == "cached scripted" && span.attributes["heptad.cache"] == "hit")
        #expect(span.attributes["heptad.candidate"] == made.candidate)
        await #expect(throws: Failure.self) { try await second.run { _ in } }
    }

    @Test(
        "Only what would be said again is kept, unless the configuration says otherwise",
        arguments: [
            (CacheScope.off, 0.0, nil, false), (.deterministic, 0, nil, true),
            (.deterministic, 1, nil, false), (.deterministic, nil, nil, false),
            (.deterministic, 1, 7, true), (.always, 1, nil, true), (.always, nil, nil, true),
        ] as [(CacheScope, Double?, UInt64?, Bool)])
    func covered(
        exact: CacheScope, temperature: Double?, seed: UInt64?, isKept: Bool
    ) async throws {
        let model = ScriptedModel()
        let cached = cached(model, exact)
        var request = asking(temperature: temperature)
        request.sampling.seed = seed
        var uses: [CacheUse?] = []
        for _ in 0..<2 {
            let call = try await cached.open(request)
            uses.append(call.cache)
            _ = try await run(call)
        }
        #expect(uses == (isKept ? [.miss, .hit] : [nil, nil]))
        #expect(model.requests.count == (isKept ? 1 : 2))
    }

    @Test("An answer is kept for its time and no longer")
    func expiry() async throws {
        let model = ScriptedModel(.says("old"), .says("new"))
        let cached = cached(model)
        _ = try await run(try await cached.open(asking()))
        clock.advance(by: .seconds(3599))
        #expect(try await run(try await cached.open(asking())).0 == ["old"])
        clock.advance(by: .seconds(1))
        #expect(try await run(try await cached.open(asking())).0 == ["new"])
        #expect(try await cached.open(asking()).cache == .hit)
    }

    @Test("The memory holds, and what was not asked for longest goes first")
    func size() async throws {
        let model = ScriptedModel(.says("yes"))
        // Room for eight answers of the smallest kind, and for none that is much larger.
        let one = try #require(
            KeptAnswer(
                [.text("yes")],
                Completion(
                    candidate: "", finishReason: .stop, usage: TokenUsage(),
                    firstTokenMilliseconds: nil, totalMilliseconds: 0), at: clock.now,
                traceID: nil))
        let cached = cached(model, bytesMax: one.bytes * AnswerShelf.answerShare)
        func use(_ text: String) async throws -> CacheUse? {
            let call = try await cached.open(asking(text))
            _ = try await run(call)
            return call.cache
        }
        for number in 0..<8 { #expect(try await use("\(number)") == .miss) }
        #expect(try await use("0") == .hit)
        #expect(try await use("8") == .miss)
        #expect(try await use("0") == .hit)
        #expect(try await use("1") == .miss)
        #expect(try await use("8") == .hit)

        let long = ScriptedModel(.says(String(repeating: "long ", count: 100)))
        let small = self.cached(long, bytesMax: one.bytes * AnswerShelf.answerShare)
        for _ in 0..<2 {
            let call = try await small.open(asking())
            #expect(call.cache == .miss)
            _ = try await run(call)
        }
    }

    @Test("Calls of tools and answers that a filter cut are not given again")
    func notKept() {
        func kept(
            _ reason: Completion.FinishReason, _ events: [ChatEvent] = [.text("a")]
        ) -> Bool {
            KeptAnswer(
                events,
                Completion(
                    candidate: "", finishReason: reason, usage: TokenUsage(),
                    firstTokenMilliseconds: nil, totalMilliseconds: 0), at: clock.now,
                traceID: nil) != nil
        }
        #expect(kept(.stop) && kept(.length))
        #expect(!kept(.toolCalls) && !kept(.contentFilter))
        #expect(!kept(.stop, [.toolCall(ToolCallPiece(index: 0, id: "c", name: "f"))]))
    }

    @Test("What failed is not kept")
    func failure() async throws {
        let model = ScriptedModel(
            .steps([.text("a"), .fail(Failure(.upstream, "It broke."))]),
            .refuses(Failure(.rateLimited, "Later.")), .says("fine"))
        let cached = cached(model)
        let first = try await cached.open(asking())
        await #expect(throws: Failure.self) { try await run(first) }
        #expect(first.isCharged)
        await #expect(throws: Failure.self) { try await cached.open(asking()) }
        #expect(try await run(try await cached.open(asking())).0 == ["fine"])
    }

    // MARK: Whose it is

    private static let changes: [(String, @Sendable (inout ChatRequest) -> Void)] = [
        ("model", { $0.model = "other" }),
        ("text", { $0.messages[0] = ChatMessage(.user, "Hello!") }),
        ("role", { $0.messages[0] = ChatMessage(.system, "Hello?") }),
        ("order", { $0.messages = [ChatMessage(.user, "Hel"), ChatMessage(.user, "lo?")] }),
        (
            "image",
            {
                $0.messages[0] = ChatMessage(
                    .user, [.text("Hello?"), .image(ChatImage(.address("https://a.b/c.png")))])
            }
        ),
        (
            "other image",
            {
                $0.messages[0] = ChatMessage(
                    .user, [.text("Hello?"), .image(ChatImage(.address("https://a.b/d.png")))])
            }
        ),
        ("temperature", { $0.sampling.temperature = 0.1 }), ("seed", { $0.sampling.seed = 1 }),
        ("top_p", { $0.sampling.topP = 0.5 }), ("stop", { $0.sampling.stop = ["a"] }),
        ("length", { $0.sampling.outputTokensMax = 5 }),
        ("bias", { $0.sampling.logitBias = [5: 1] }),
        ("tool", { $0.tools = [ToolDefinition(name: "f")] }),
        ("tool's words", { $0.tools = [ToolDefinition(name: "f", description: "d")] }),
        ("choice of tools", { $0.toolChoice = .required }),
        ("format", { $0.responseFormat = .jsonObject }),
        ("parallel", { $0.allowsParallelToolCalls = false }), ("cut", { $0.truncates = true }),
        ("choice", { $0.choice = 1 }),
    ]

    private func key(_ request: ChatRequest) throws -> CacheKey { try #require(CacheKey(request)) }

    @Test("Only the same user who asks the same has the same answer")
    func keys() throws {
        let base = asking()
        var keys: [String: CacheKey] = ["": try key(base)]
        for (name, change) in Self.changes {
            var request = base
            change(&request)
            keys[name] = try key(request)
        }
        // An answer follows the order of the schema's keys.
        for text in [#"{"a":{},"b":{}}"#, #"{"b":{},"a":{}}"#] {
            var request = base
            request.responseFormat = .jsonSchema(
                name: "n", schema: try JSONValue(parsing: text.utf8), isStrict: false)
            keys[text] = try key(request)
        }
        let mallory = ChatRequest(
            principal: .mallory, model: base.model, messages: base.messages,
            sampling: base.sampling,
            purpose: base.purpose)
        keys["user"] = try key(mallory)
        #expect(Set(keys.values).count == keys.count)

        let same = ChatRequest(
            principal: Principal(
                userID: base.principal.userID, role: .admin, name: "renamed", keyID: nil),
            model: base.model, messages: base.messages, sampling: base.sampling, purpose: "title",
            conversationID: base.principal.userID)
        #expect(CacheKey(same) == keys[""])
    }

    @Test("A request that cannot be written down is not cached")
    func unwritable() {
        var request = asking()
        request.sampling.topP = .nan
        #expect(CacheKey(request) == nil)
    }

    @Test("Everything that a request has is either in the key or known not to matter")
    func complete() {
        let known: Set<String> = [
            "principal", "model", "messages", "sampling", "tools", "toolChoice",
            "allowsParallelToolCalls", "responseFormat", "reasoning", "truncates", "choice",
            // No model sees these.
            "purpose", "conversationID", "streams",
        ]
        let labels = Mirror(reflecting: asking()).children.compactMap(\.label)
        #expect(Set(labels) == known)
    }
}
