import Core
import TestSupport
import Testing

@testable import Inference

struct SemanticCacheTests {
    private let clock = ManualClock()
    private let embedder = ScriptedEmbedder()
    private static let france = "What is the capital of France?"

    private func cached(
        _ model: any ChatModel, tracer: RecordingTracer = RecordingTracer(),
        _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) -> CachedModel {
        var configuration = InferenceConfiguration()
        configuration.cache.semantic = .always
        // Vectors of these tests are of words alone.
        configuration.cache.similarityMin = 0.6
        change(&configuration)
        return CachedModel(
            model, configuration, embedder: embedder, audit: nil, environment: .manual(clock),
            tracer: tracer)
    }

    private func asking(
        _ text: String = france, after earlier: [ChatMessage] = [],
        of principal: Principal = .alice, purpose: String = "api"
    ) -> ChatRequest {
        ChatRequest(
            principal: principal, model: "scripted",
            messages: earlier + [ChatMessage(.user, text)], purpose: purpose)
    }

    @discardableResult
    private func use(_ model: CachedModel, _ request: ChatRequest) async throws -> CacheUse? {
        let call = try await model.open(request)
        _ = try await call.run { _ in }
        return call.cache
    }

    // MARK: What is found

    @Test("A question in other words has the answer, which names the question it was given to")
    func similar() async throws {
        let tracer = RecordingTracer()
        let model = ScriptedModel(.says("It is Paris."), .says("something else"))
        let cached = cached(model, tracer: tracer)
        try await use(cached, asking())
        let call = try await cached.open(asking("Tell me the capital of France"))
        #expect(call.cache == .similar && !call.isCharged)
        #expect(call.cached?.question == Self.france)
        #expect(call.cached?.usage == TokenUsage(freshInput: 10, output: 3))
        let similarity = try #require(call.cached?.similarity)
        #expect(similarity > 0.6 && similarity < 1)
        #expect(call.notice?.contains(Self.france) == true)
        var pieces: [String] = []
        let completion = try await call.run { event in
            if case .text(let piece) = event { pieces.append(piece) }
        }
        #expect(pieces == ["It", " is", " Paris."] && completion.cache == .similar)
        #expect(model.requests.count == 1)
        let span = try #require(tracer.records.first)
        #expect(span.attributes["heptad.cache"] == "similar")
        #expect(span.attributes["heptad.cache.similarity"] != nil)
        #expect(!span.attributes.values.contains { $0.contains("France") })

        // What was given so is not kept as an answer to this question, which would drift.
        let third = try await cached.open(asking("Which city is the capital of France?"))
        #expect(third.cached?.question == Self.france)
        #expect(try await use(cached, asking()) == .hit)
    }

    @Test(
        "A question that differs in what its answer hangs on is asked",
        arguments: [
            ("Name 3 rivers of Europe", "Name 4 rivers of Europe"),
            ("Is it safe for cats to eat?", "Is it not safe for cats to eat?"),
            (france, "What is the capital of Spain?"),
            ("Who sang on Monday at home?", "Who sang on Friday at home?"),
            ("What does `a.b` do here?", "What does `a.c` do here?"),
            ("convert miles to km", "convert km to miles"),
        ])
    func guarded(first: String, second: String) async throws {
        let model = ScriptedModel(.says("one"), .says("two"))
        let cached = cached(model)
        #expect(try await use(cached, asking(first)) == .miss)
        #expect(try await use(cached, asking(second)) == .miss)
        #expect(model.requests.count == 2)
    }

    @Test("The nearest of several is taken, and none that is not near enough")
    func nearest() async throws {
        let model = ScriptedModel(.says("yes"))
        let cached = cached(model)
        try await use(cached, asking("the capital city of France over many centuries of history"))
        try await use(cached, asking())
        let call = try await cached.open(asking("Tell me the capital of France"))
        #expect(call.cached?.question == Self.france)
        await call.abandon()

        let strict = self.cached(model) { $0.cache.similarityMin = 0.999 }
        try await use(strict, asking())
        #expect(try await use(strict, asking("Tell me the capital of France")) == .miss)
    }

    // MARK: Where it is safe

    private static let settings: [(String, @Sendable (inout ChatRequest) -> Void)] = [
        ("model", { $0.model = "other" }), ("temperature", { $0.sampling.temperature = 0.3 }),
        ("length", { $0.sampling.outputTokensMax = 5 }), ("cut", { $0.truncates = true }),
        ("instructions", { $0.messages.insert(ChatMessage(.system, "In Dutch."), at: 0) }),
        (
            "conversation",
            {
                $0.messages.insert(
                    contentsOf: [ChatMessage(.user, "Hi"), ChatMessage(.assistant, "Hello")], at: 0)
            }
        ),
    ]

    @Test("Only the question may differ, not whose it is or where it is asked")
    func surroundings() async throws {
        let model = ScriptedModel(.says("yes"))
        let cached = cached(model)
        try await use(cached, asking())
        let paraphrase = "Tell me the capital of France"
        for (name, change) in Self.settings {
            var request = asking(paraphrase)
            change(&request)
            let use = try await use(cached, request)
            #expect(use == .miss, "\(name)")
        }
        let mallorys = try await use(cached, asking(paraphrase, of: .mallory))
        #expect(mallorys == .miss)
        #expect(try await use(cached, asking(paraphrase)) == .similar)
    }

    @Test("Passages that changed are another question, wherever in the prompt they stand")
    func knowledge() async throws {
        let model = ScriptedModel(.says("yes"))
        let cached = cached(model)
        let paraphrase = "Tell me the capital of France"
        func told(_ passage: String, _ question: String) -> ChatRequest {
            asking(question, after: [ChatMessage(.system, "Passages:\n[1] \(passage)")])
        }
        #expect(try await use(cached, told("Paris, since 987.", Self.france)) == .miss)
        #expect(try await use(cached, told("Paris, since 987.", paraphrase)) == .similar)
        #expect(try await use(cached, told("Vichy, since 1940.", paraphrase)) == .miss)

        // In a turn they stand before the question, in the same message.
        func turn(_ passage: String, _ question: String) -> ChatRequest {
            asking("===\n[1] \(passage)\n===\n\nQuestion: \(question)", purpose: "turn")
        }
        for passage in ["Paris, since 987.", "Vichy, since 1940."] {
            for question in [Self.france, paraphrase] {
                #expect(try await use(cached, turn(passage, question)) == nil)
            }
        }
    }

    private static let unsafe: [(String, @Sendable (inout ChatRequest) -> Void)] = [
        ("tools", { $0.tools = [ToolDefinition(name: "f")] }),
        ("form", { $0.responseFormat = .jsonObject }), ("choice", { $0.choice = 1 }),
        ("probabilities", { $0.sampling.topLogprobs = 2 }),
        (
            "image",
            {
                $0.messages[0] = ChatMessage(
                    .user, [.text(france), .image(ChatImage(.address("https://a.b/c.png")))])
            }
        ),
        ("lines", { $0.messages[0] = ChatMessage(.user, "Translate:\n" + france) }),
        (
            "length",
            { $0.messages[0] = ChatMessage(.user, String(repeating: "long ", count: 101)) }
        ), ("moment", { $0.messages[0] = ChatMessage(.user, "What is the latest of France?") }),
        ("signs", { $0.messages[0] = ChatMessage(.user, "1 + 1 = ?") }),
        ("no question", { $0.messages.append(ChatMessage(.assistant, "It is")) }),
        ("name", { $0.messages[0].name = "Bob" }),
        (
            "tool's result",
            {
                var result = ChatMessage(.tool, "x")
                result.toolCallID = "c"
                $0.messages.insert(result, at: 0)
            }
        ),
    ]

    @Test("What has more to it than words is not compared, and not kept")
    func unsafe() async throws {
        for (name, change) in Self.unsafe {
            let model = ScriptedModel(.says("yes"))
            let cached = cached(model)
            var request = asking()
            change(&request)
            for _ in 0..<2 {
                let use = try await use(cached, request)
                #expect(use == nil, "\(name)")
            }
            #expect(model.requests.count == 2)
        }
        #expect(try await use(cached(ScriptedModel()), asking(purpose: "title")) == nil)
        #expect(embedder.batches.isEmpty)
    }

    // MARK: Where it is on

    @Test(
        "It is on where the configuration says so, for all models or one",
        arguments: [
            (CacheScope.off, ModelCacheScope.inherit, nil, false), (.off, .always, nil, true),
            (.always, .off, nil, false), (.always, .inherit, nil, true),
            (.deterministic, .inherit, nil, false), (.deterministic, .inherit, 0, true),
            (.off, .deterministic, 0, true), (.off, .deterministic, 1, false),
        ] as [(CacheScope, ModelCacheScope, Double?, Bool)])
    func scopes(
        general: CacheScope, own: ModelCacheScope, temperature: Double?, isOn: Bool
    ) async throws {
        let cached = cached(ScriptedModel()) {
            $0.cache.semantic = general
            $0.models["scripted"] = ModelConfiguration()
            $0.models["scripted"]?.semanticCache = own
        }
        for (question, expected) in [
            (Self.france, CacheUse.miss), ("Tell me the capital of France", .similar),
        ] {
            var request = asking(question)
            request.sampling.temperature = temperature
            let use = try await use(cached, request)
            #expect(use == (isOn ? expected : nil))
        }
    }

    @Test("A model may have a threshold of its own")
    func ownThreshold() async throws {
        let cached = cached(ScriptedModel()) {
            $0.models["scripted"] = ModelConfiguration()
            $0.models["scripted"]?.similarityMin = 0.999
        }
        try await use(cached, asking())
        #expect(try await use(cached, asking("Tell me the capital of France")) == .miss)
    }

    @Test("Without a vector the model is asked, and vectors of two models are not compared")
    func vectors() async throws {
        let cached = cached(ScriptedModel())
        embedder.fail(with: Failure(.unavailable, "There is none."))
        #expect(try await use(cached, asking()) == .miss)
        embedder.fail(with: nil)
        // Whoever asks next does not wait for it again.
        #expect(try await use(cached, asking("Who sings?")) == .miss)
        #expect(embedder.batches.isEmpty)
        clock.advance(by: QuestionReader.rest)
        #expect(try await use(cached, asking("What is the capital city of France?")) == .miss)
        embedder.become("scripted/other")
        #expect(try await use(cached, asking("Tell me the capital of France")) == .miss)
        let similar = try await use(cached, asking("Which city is the capital of France?"))
        #expect(similar == .similar)
        // Looked up and kept with one vector.
        #expect(embedder.batches == [1, 1, 1])
    }

    // MARK: Bounds

    @Test("A question is compared to as long as its answer is kept")
    func expiry() async throws {
        let cached = cached(ScriptedModel())
        try await use(cached, asking())
        clock.advance(by: .seconds(3599))
        #expect(try await use(cached, asking("Tell me the capital of France")) == .similar)
        clock.advance(by: .seconds(1))
        #expect(try await use(cached, asking("Tell me the capital of France")) == .miss)
    }

    private func question(_ text: String) throws -> SimilarQuestion {
        SimilarQuestion(
            around: try #require(CacheKey(around: asking())), text: text,
            traits: QuestionTraits(text),
            vector: QuestionVector(candidate: "a", values: embedder.vector(of: text)))
    }

    @Test("Each user has so many questions at most, and vectors count as memory")
    func bounds() throws {
        var kept = KeptAnswers()
        let completion = Completion(
            candidate: "", finishReason: .stop, usage: TokenUsage(), firstTokenMilliseconds: nil,
            totalMilliseconds: 0)
        let answer = try #require(
            KeptAnswer([.text("yes")], completion, at: clock.now, traceID: nil))
        var questionBytes = 0
        func place(_ text: String, _ user: Principal = .alice) throws -> AnswerShelf.Place {
            let question = try question(text)
            #expect(question.bytes > 96 * 4)
            questionBytes = question.bytes
            return AnswerShelf.Place(
                user: user.userID, key: try #require(CacheKey(asking(text, of: user))),
                question: question)
        }
        for text in ["a", "b", "c"] { kept.keep(answer, try place(text), questionsMax: 2) }
        kept.keep(answer, try place("a", .mallory), questionsMax: 2)
        #expect(kept.count == 4)
        #expect(kept.questions[Principal.alice.userID]?.count == 2)
        #expect(kept.questions[Principal.mallory.userID]?.count == 1)
        #expect(kept.bytes == 4 * answer.bytes + 3 * questionBytes)
        // The same question again takes its own place.
        kept.keep(answer, try place("c"), questionsMax: 2)
        #expect(kept.bytes == 4 * answer.bytes + 3 * questionBytes)
        while kept.removeOldest() {}
        #expect(kept.count == 0 && kept.bytes == 0 && kept.questions.isEmpty)
    }

    @Test("The cosine of vectors of any length is the sum of products")
    func cosine() throws {
        for count in [1, 7, 8, 9, 24, 385] {
            let left = (0..<count).map { Float($0 % 5) - 2 }
            let right = (0..<count).map { Float($0 % 3) }
            let expected = zip(left, right).reduce(0) { $0 + Double($1.0 * $1.1) }
            let vector = QuestionVector(candidate: "a", values: left)
            #expect(
                vector.similarity(to: QuestionVector(candidate: "a", values: right)) == expected)
            #expect(vector.similarity(to: QuestionVector(candidate: "b", values: right)) == nil)
            #expect(vector.similarity(to: QuestionVector(candidate: "a", values: [])) == nil)
        }
    }

    // MARK: When nobody can answer

    private func outage(_ isAllowed: Bool) -> (InferenceConfiguration) -> InferenceConfiguration {
        { configuration in
            var configuration = configuration
            configuration.cache.semantic = .off
            configuration.cache.exact = .always
            configuration.models["scripted"] = ModelConfiguration()
            configuration.models["scripted"]?.degradeToCache = isAllowed
            return configuration
        }
    }

    @Test(
        "A kept answer whose time is over is given when nobody can answer, and says so",
        arguments: [
            (true, Failure.Code.unavailable, 3600, true), (true, .upstream, 3600 + 86_399, true),
            (true, .timeout, 3600 + 86_400, false), (true, .invalid, 3600, false),
            (true, .budgetExceeded, 3600, false), (false, .unavailable, 3600, false),
        ])
    func stale(
        isAllowed: Bool, code: Failure.Code, seconds: Int, isGiven: Bool
    ) async throws {
        let model = ScriptedModel(.says("old"), .refuses(Failure(code, "No.")))
        let cached = cached(model) { $0 = outage(isAllowed)($0) }
        try await use(cached, asking())
        clock.advance(by: .seconds(seconds))
        guard isGiven else {
            await #expect(throws: Failure.self) { try await cached.open(asking()) }
            return
        }
        let call = try await cached.open(asking())
        #expect(call.cache == .stale && !call.isCharged && call.decision.contains("stale"))
        #expect(call.notice?.contains("may be out of date") == true)
        var text = ""
        let completion = try await call.run { if case .text(let piece) = $0 { text += piece } }
        #expect(text == "old" && completion.cache == .stale)
        // The next is asked again, and another question has nothing to fall back on.
        await #expect(throws: Failure.self) { try await cached.open(asking("Something else?")) }
        #expect(model.requests.count == 3)
    }
}
