import Core
import Egress
import LocalModels
import Synchronization
import TestSupport
import Testing
import Tracing

@testable import Inference

extension ModelConfiguration {
    fileprivate static func weighted(_ weights: [String]) -> ModelConfiguration {
        var model = ModelConfiguration()
        model.candidates = ["local/x", "local/y"]
        model.policy = .weighted
        model.weights = weights
        return model
    }
}

struct ModelRouterTests {
    private func router(
        _ shelf: ModelShelf, tracer: RecordingTracer = RecordingTracer(),
        _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        var configuration = InferenceConfiguration()
        change(&configuration)
        return try ModelRouter(
            configuration, shelf: shelf, client: HTTPClient(EgressConfiguration()),
            environment: .system, tracer: tracer)
    }

    @Test("Without configuration every file is a model, the first by alphabet the default")
    func noConfiguration() async throws {
        let router = try router(.scripted(["b", "a"], embedder: "mini"))
        let cards = await router.models()
        #expect(
            cards
                == ["a", "b"].map { name in
                    ModelCard(
                        name: name, candidates: ["local/\(name)"], contextTokens: 100,
                        outputTokensMax: 100, isLocal: true)
                })
        #expect(router.inventory.embedder == "local/mini")
        #expect(router.inventory.problems == [])
        #expect(
            router.inventory.lines == [
                "a (default): local/a, 100 tokens of context", "b: local/b, 100 tokens of context",
                "embeddings: local/mini",
            ])
        #expect(try await router.answer(.hello("")).1.candidate == "local/a")
    }

    @Test("A local model that is shown an image says that it reads text, and counts as well")
    func localImage() async throws {
        let router = try router(.scripted(["a"]))
        var request = ChatRequest.hello("a")
        request.messages = [
            ChatMessage(.user, [.image(ChatImage(.inline(mediaType: "image/png", base64: "AAAA")))])
        ]
        // More often than it takes for a candidate to be left alone.
        for _ in 0..<10 {
            let failure = await #expect(throws: Failure.self) { try await router.answer(request) }
            #expect(failure?.code == .invalid)
            #expect(failure?.message.contains("reads text only") == true)
        }
        #expect(try await router.answer(.hello("a")).0 == ["Hel", "lo"])
    }

    @Test("A local answer is streamed and counted")
    func local() async throws {
        let tracer = RecordingTracer()
        let (pieces, completion) = try await router(.scripted(["a"]), tracer: tracer)
            .answer(.hello("a"))
        #expect(pieces == ["Hel", "lo"])
        #expect(completion.finishReason == .length)
        // The prompt has 6 tokens, and 94 are left for the answer.
        #expect(completion.usage == TokenUsage(freshInput: 6, output: 94))
        let span = try #require(tracer.records.first)
        #expect(span.name == "chat a")
        #expect(span.kind == .internal)
        #expect(span.attributes["gen_ai.provider.name"]?.contains("heptad.local") == true)
        #expect(span.attributes["gen_ai.usage.input_tokens"]?.contains("6") == true)
        #expect(span.attributes["gen_ai.usage.output_tokens"]?.contains("94") == true)
        #expect(span.attributes["gen_ai.response.finish_reasons"]?.contains("length") == true)
        #expect(span.attributes["gen_ai.response.time_to_first_chunk"] != nil)
        #expect(span.attributes.values.allSatisfy { !$0.contains("Hello?") })
    }

    @Test("A hosted call is a client span with the model that really answered")
    func hostedSpan() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let tracer = RecordingTracer()
        _ = try await ModelRouter.hosted([server], tracer: tracer).answer()
        let span = try #require(tracer.records.first)
        #expect(span.name == "chat model")
        #expect(span.kind == .client)
        #expect(span.attributes["gen_ai.response.model"]?.contains("served") == true)
        #expect(span.error == nil)
    }

    @Test("A prompt that does not fit is refused with both numbers", arguments: [100, 5_000_000])
    func tooLarge(count: Int) async throws {
        var request = ChatRequest.hello("a")
        request.messages = [ChatMessage(.user, String(repeating: "x", count: count))]
        let router = try router(.scripted(["a"]))
        let failure = await #expect(throws: Failure.self) { try await router.open(request) }
        #expect(failure?.code == .tooLarge)
        #expect(failure?.message.contains("100") == true)
        #expect(failure?.message.contains(count == 100 ? "100 tokens" : "39062 tokens") == true)
    }

    @Test("The configured context and answer length hold, and the smallest candidate's is shown")
    func limits() async throws {
        let router = try router(.scripted(["a"])) { configuration in
            var model = ModelConfiguration()
            model.candidates = ["local/a", "far/b"]
            model.contextTokens = 50
            model.outputTokensMax = 5
            configuration.models["m"] = model
            configuration.providers["far"] = ProviderConfiguration()
        }
        let card = try #require(await router.models().first)
        #expect(card.contextTokens == 50)
        #expect(card.outputTokensMax == 5)
        #expect(!card.isLocal)
        var request = ChatRequest.hello()
        request.sampling.outputTokensMax = 1000
        #expect(try await router.answer(request).1.usage.output == 5)
    }

    @Test("A prompt too long for the local model goes to the next candidate")
    func tooLargeFallsThrough() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try router(.scripted(["a"], contextTokens: 3)) { configuration in
            var provider = ProviderConfiguration()
            provider.baseUrl = server.url
            configuration.providers["far"] = provider
            var model = ModelConfiguration()
            model.candidates = ["local/a", "far/b"]
            configuration.models["m"] = model
        }
        #expect(try await router.answer().1.candidate == "far/b")
    }

    @Test("A missing file leaves its model out, and calls say which command fetches it")
    func missing() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try router(ModelShelf(folder: "/models")) { configuration in
            var provider = ProviderConfiguration()
            provider.baseUrl = server.url
            configuration.providers["far"] = provider
            for (name, candidates) in [
                "gone": ["local/gone"], "here": ["local/gone", "far/b"],
            ] {
                var model = ModelConfiguration()
                model.candidates = candidates
                configuration.models[name] = model
            }
            configuration.defaultModel = "gone"
        }
        #expect(await router.models().map(\.name) == ["here"])
        #expect(await router.models().first?.candidates == ["far/b"])
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello("gone")) }
        #expect(failure?.code == .unavailable)
        #expect(failure?.message.contains("make models") == true)
        #expect(failure?.message.contains("/models/gone.gguf") == true)
        // Hosted models still work, also as the default.
        #expect(try await router.answer(.hello("here")).0 == ["Hel", "lo"])
        #expect(try await router.answer(.hello("")).1.candidate == "far/b")
        #expect(router.inventory.problems.contains { $0.contains("gone.gguf") })
    }

    @Test("With no model at all, everything says what to do")
    func nothing() async throws {
        let folder = try TemporaryFolder()
        let router = try ModelRouter(
            InferenceConfiguration(), modelsFolder: folder.path,
            client: HTTPClient(EgressConfiguration()), environment: .system)
        #expect(await router.models().isEmpty)
        for model in ["", "x"] {
            let failure = await #expect(throws: Failure.self) {
                try await router.open(.hello(model))
            }
            #expect(failure?.code == .unavailable)
            #expect(failure?.message.contains("make models") == true)
        }
        let failure = await #expect(throws: Failure.self) {
            try await router.embed(
                EmbeddingRequest(principal: .alice, texts: ["a"], purpose: "test"))
        }
        #expect(failure?.code == .unavailable)
        #expect(failure?.message.contains("make models") == true)
        #expect(router.inventory.problems.count == 2)
    }

    @Test("An unknown model is not found, and the message names those there are")
    func unknown() async throws {
        let router = try router(.scripted(["a", "b"], embedder: "mini"))
        for call in [
            { _ = try await router.open(.hello("c")) },
            { _ = try await router.countTokens(["x"], model: "c") },
        ] as [@Sendable () async throws -> Void] {
            let failure = await #expect(throws: Failure.self) { try await call() }
            #expect(failure?.code == .notFound)
            #expect(failure?.message.contains("a, b") == true)
        }
        let failure = await #expect(throws: Failure.self) {
            try await router.embed(
                EmbeddingRequest(principal: .alice, model: "c", texts: ["a"], purpose: "test"))
        }
        #expect(failure?.code == .notFound)
    }

    @Test("Tokens are exact for local models, and from above where a hosted one may answer")
    func countTokens() async throws {
        let router = try router(.scripted(["a"])) { configuration in
            configuration.providers["far"] = ProviderConfiguration()
            for (name, candidates) in [
                "near": ["local/a"], "far": ["far/b"], "both": ["local/a", "far/b"],
            ] {
                var model = ModelConfiguration()
                model.candidates = candidates
                configuration.models[name] = model
            }
        }
        let texts = ["", "1234567"]
        #expect(try await router.countTokens(texts, model: "near") == [0, 7])
        #expect(try await router.countTokens(texts, model: "far") == [4, 14])
        #expect(
            try await router.countTokens(texts + ["123456789012"], model: "both") == [4, 14, 19])
        #expect(try await router.countTokens([], model: "far") == [])
    }

    @Test("A local model that is busy refuses when the call is opened, and says when to come again")
    func busy() async throws {
        let refusal = Failure(.unavailable, "Busy.", retryAfter: .seconds(7))
        let router = try router(.scripted(["a"], refusal: refusal))
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello("a")) }
        #expect(failure?.code == .unavailable)
        #expect(failure?.retryAfter == .seconds(7))
    }

    @Test("A local model knows whose call it is, and hears when it is given up")
    func principal() async throws {
        let (requests, cancelled) = (Requests([]), Box(0))
        let router = try router(
            .scripted(
                ["a"], requests: requests, cancelled: { cancelled.withLock { $0 += 1 } }))
        let call = try await router.open(.hello("a"))
        #expect(requests.current.map(\.principal) == [Principal.alice.userID.description])
        #expect(cancelled.current == 0)
        await call.abandon()
        #expect(cancelled.current == 1)
    }

    @Test("Tokens that were not read again count as cached; the trace shows wait, batch and drafts")
    func localFigures() async throws {
        let tracer = RecordingTracer()
        let (_, completion) = try await router(.scripted(["a"], reused: 4), tracer: tracer)
            .answer(.hello("a"))
        #expect(completion.usage == TokenUsage(freshInput: 2, cacheRead: 4, output: 94))
        let span = try #require(tracer.records.first)
        for (key, value) in [
            ("gen_ai.usage.cache_read.input_tokens", "4"), ("heptad.local.wait_seconds", "0.25"),
            ("heptad.local.batch_mean", "3.5"), ("heptad.local.drafted_tokens", "8"),
            ("heptad.local.accepted_tokens", "5"),
        ] { #expect(span.attributes[key]?.contains(value) == true, "\(key)") }
    }

    @Test("A reader who throws ends the local generation with that error")
    func localReaderThrows() async throws {
        let call = try await router(.scripted(["a"])).open(.hello("a"))
        let failure = await #expect(throws: Failure.self) {
            try await call.run { _ in throw Failure(.conflict, "Enough.") }
        }
        #expect(failure?.code == .conflict)
    }

    @Test("Local embeddings carry their model's name and cost tokens")
    func localEmbeddings() async throws {
        let tracer = RecordingTracer()
        let router = try router(.scripted([], embedder: "mini"), tracer: tracer)
        for model in [nil, "mini", "local/mini"] {
            let made = try await router.embed(
                EmbeddingRequest(
                    principal: .alice, model: model, texts: ["a", "b"], purpose: "test"))
            #expect(made.candidate == "local/mini")
            #expect(made.count == 2)
            #expect(made.usage == TokenUsage(freshInput: 6))
        }
        #expect(tracer.records.map(\.name) == Array(repeating: "embeddings mini", count: 3))
        let failure = await #expect(throws: Failure.self) {
            try await router.embed(
                EmbeddingRequest(
                    principal: .alice,
                    texts: Array(repeating: "a", count: ModelRouter.textsMax + 1), purpose: "test"))
        }
        #expect(failure?.code == .tooLarge)
    }

    @Test("A request that no model could answer is refused before any is asked", arguments: 0..<6)
    func invalid(number: Int) async throws {
        var request = ChatRequest.hello("a")
        switch number {
        case 0: request.messages = []
        case 1: request.sampling.temperature = .nan
        case 2: request.sampling.topP = 1.5
        case 3: request.sampling.stop = Array(repeating: "x", count: 17)
        case 4: request.sampling.outputTokensMax = 0
        default: request.sampling.topK = -1
        }
        let router = try router(.scripted(["a"]))
        let failure = await #expect(throws: Failure.self) { try await router.open(request) }
        #expect(failure?.code == .invalid)
    }

    struct Mistake: Sendable {
        let key: String
        let change: @Sendable (inout InferenceConfiguration) -> Void
    }

    static let mistakes: [Mistake] = [
        Mistake(key: "providers.x.kind") { $0.providers["x", default: .init()].kind = "magic" },
        Mistake(key: "providers.x.kind") { $0.providers["x", default: .init()].kind = "local" },
        Mistake(key: "providers.local.kind") { $0.providers["local"] = .init() },
        Mistake(key: "providers.x.base_url") { $0.providers["x", default: .init()].baseUrl = "x" },
        Mistake(key: "providers.x.base_url") {
            $0.providers["x", default: .init()].baseUrl = "https://user:hush@host/v1"
        },
        Mistake(key: "providers.x.api_key") {
            $0.providers["x", default: .init()].apiKey = "hush\nhush"
        },
        Mistake(key: "providers.a/b") { $0.providers["a/b"] = .init() },
        Mistake(key: "first_token_timeout_seconds") {
            $0.providers["x", default: .init()].firstTokenTimeoutSeconds = .nan
        },
        Mistake(key: "models.m.candidates") { $0.models["m"] = .init() },
        Mistake(key: "models.m.candidates") {
            $0.models["m", default: .init()].candidates = ["nobody/x"]
        },
        Mistake(key: "models.m.candidates") {
            $0.models["m", default: .init()].candidates = ["justaname"]
        },
        Mistake(key: "models.m") {
            $0.models["m", default: .init()].candidates = ["local/x"]
            $0.models["m", default: .init()].contextTokens = -1
        },
        Mistake(key: "default_model") {
            $0.models["m", default: .init()].candidates = ["local/x"]
            $0.defaultModel = "n"
        },
        Mistake(key: "embedding_model") { $0.embeddingModel = "mini" },
        Mistake(key: "local") { $0.local.waitingMax = 0 },
        Mistake(key: "local.waiting_max") { $0.local.waitingMax = 1025 },
        Mistake(key: "local.threads") { $0.local.threads = -1 },
        Mistake(key: "local.sequences_max") { $0.local.sequencesMax = 33 },
        Mistake(key: "local.cache_seconds") { $0.local.cacheSeconds = .nan },
        Mistake(key: "local") { $0.local.contextTokensMax = 0 },
        Mistake(key: "local.memory") { $0.local.memory = "plenty" },
        Mistake(key: "providers.x.api_key") {
            $0.providers["x", default: .init()].apiKeys = ["fine", "hush hush"]
        },
        Mistake(key: "providers.x.concurrency_max") {
            $0.providers["x", default: .init()].concurrencyMax = 0
        },
        Mistake(key: "providers.x.waiting_seconds_max") {
            $0.providers["x", default: .init()].waitingSecondsMax = .infinity
        },
        Mistake(key: "models.m.weights") { $0.models["m"] = .weighted(["1"]) },
        Mistake(key: "models.m.weights") { $0.models["m"] = .weighted(["1", "many"]) },
        Mistake(key: "models.m.weights") { $0.models["m"] = .weighted(["0", "0"]) },
        Mistake(key: "models.m.weights") {
            $0.models["m"] = .weighted(["1", "2"])
            $0.models["m"]?.policy = .fallback
        },
        Mistake(key: "difficulty_threshold") {
            $0.models["m"] = .weighted([])
            $0.models["m"]?.difficultyThreshold = 1.5
        },
        Mistake(key: "models.m.degrade_to") {
            $0.models["m"] = .weighted([])
            $0.models["m"]?.degradeTo = "local/x"
        },
        Mistake(key: "models.m.degrade_to_cache") {
            $0.models["m"] = .weighted([])
            $0.models["m"]?.degradeToCache = true
        },
        Mistake(key: "models.m.similarity_min") {
            $0.models["m"] = .weighted([])
            $0.models["m"]?.similarityMin = 0.2
        },
        Mistake(key: "cache.similarity_min") { $0.cache.similarityMin = .nan },
        Mistake(key: "cache.questions_max") { $0.cache.questionsMax = 0 },
        Mistake(key: "cache.ttl_seconds") { $0.cache.outageSeconds = -1 },
        Mistake(key: "cache.audit") { $0.cache.audit.share = 2 },
        Mistake(key: "cache.audit.calls_per_hour_max") { $0.cache.audit.callsPerHourMax = 0 },
        Mistake(key: "retries") { $0.retries.attemptsMax = 0 },
        Mistake(key: "retries") { $0.retries.waitingSecondsMax = .nan },
        Mistake(key: "breaker") { $0.breaker.failureRatio = 2 },
    ]

    @Test(
        "A mistake in the configuration is refused with its key, and without its secrets",
        arguments: mistakes)
    func configuration(row: Mistake) throws {
        let failure = #expect(throws: Failure.self) { try router(.scripted(["a"]), row.change) }
        #expect(failure?.code == .invalid)
        #expect(
            failure?.message.contains("inference.\(row.key)") == true
                || failure?.message.contains(row.key) == true)
        #expect(failure?.description.contains("hush") == false)
    }
}
