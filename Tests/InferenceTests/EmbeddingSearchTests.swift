import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// Embeddings are searched for as answers are: with retries, breakers, keys and failover.
@Suite struct EmbeddingSearchTests {
    /// As many rows as there are inputs, each `[3, 4]`.
    private static func rows(
        _ request: ScriptedServer.Request, row: String = "[3,4]", tokens: Int? = nil
    ) -> [ScriptedServer.Step] {
        let value = try? JSONValue(parsing: request.body)
        let count = value?["input"]?.array?.count ?? 0
        let data = (0..<count).map { #"{"index":\#($0),"embedding":\#(row)}"# }
        return ScriptedServer.answer(
            #"{"data":[\#(data.joined(separator: ","))],"usage":{"prompt_tokens":\#(tokens ?? count)}}"#
        )
    }

    private static func request(_ count: Int = 1) -> EmbeddingRequest {
        EmbeddingRequest(
            principal: .alice, texts: Array(repeating: "text", count: count), purpose: "test")
    }

    private func router(
        _ servers: [ScriptedServer], environment: Environment = .system, waits: Waits = Waits(),
        _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try .hosted(servers, environment: environment, waits: waits) { configuration in
            configuration.embeddingModel = "p0/embedder"
            configuration.embeddingFallbacks = servers.indices.dropFirst().map { "p\($0)/same" }
            configuration.retries.attemptsMax = 4
            change(&configuration)
        }
    }

    @Test("A failure that may pass is asked again, as long as it wants to be left alone")
    func retries() async throws {
        let fails = Counts(2)
        let server = try ScriptedServer { request in
            fails.take()
                ? Wire.failure(503, headers: ["Retry-After: 3"]) : Self.rows(request)
        }
        let clock = ManualClock()
        let waits = Waits(clock)
        let made = try await router([server], environment: .manual(clock), waits: waits)
            .embed(Self.request())
        #expect(made.count == 1 && waits.all.count == 2)
        #expect(waits.all.allSatisfy { $0 >= .seconds(3) })
        #expect(made.parts == [])
    }

    @Test("Who serves the same model goes on, and the vectors stay those of the first")
    func failover() async throws {
        let first = try ScriptedServer(Wire.failure(500))
        let second = try ScriptedServer { Self.rows($0) }
        let made = try await router([first, second]).embed(Self.request(3))
        #expect(made.candidate == "p0/embedder" && made.count == 3)
        #expect(made.parts == [CandidateUsage("p1/same", TokenUsage(freshInput: 3))])
    }

    @Test("What is wrong with the request itself goes to nobody else")
    func caller() async throws {
        let first = try ScriptedServer(Wire.failure(400))
        let second = try ScriptedServer { Self.rows($0) }
        let failure = await #expect(throws: Failure.self) {
            try await router([first, second]).embed(Self.request())
        }
        #expect(failure?.code == .invalid && second.requests.isEmpty)
    }

    @Test("A candidate that keeps failing is left alone, and asked again after a while")
    func breaker() async throws {
        let clock = ManualClock()
        let server = try ScriptedServer(Wire.failure(500))
        let router = try router([server], environment: .manual(clock)) {
            $0.retries.attemptsMax = 1
            $0.breaker.failuresMin = 1
        }
        for _ in 0..<2 {
            await #expect(throws: Failure.self) { try await router.embed(Self.request()) }
        }
        #expect(server.requests.count == 1)
        let failure = await #expect(throws: Failure.self) {
            try await router.embed(Self.request())
        }
        #expect(failure?.retryAfter == .seconds(15))
        clock.advance(by: .seconds(15))
        await #expect(throws: Failure.self) { try await router.embed(Self.request()) }
        #expect(server.requests.count == 2)
    }

    @Test("A key that is refused gives way to the next, in the same attempt")
    func keys() async throws {
        let server = try ScriptedServer { request in
            request.headers["authorization"] == "Bearer key-b"
                ? Self.rows(request) : Wire.failure(401)
        }
        let router = try router([server]) {
            $0.providers["p0"]?.apiKeys = ["key-b"]
            $0.retries.attemptsMax = 1
        }
        #expect(try await router.embed(Self.request()).count == 1)
    }

    @Test("Many texts are asked for in parts; where one fails, what was made is to be paid")
    func parts() async throws {
        let server = try ScriptedServer { request in
            Self.rows(request).isEmpty || request.text.components(separatedBy: "text").count < 100
                ? Wire.failure(400) : Self.rows(request)
        }
        let failure = await #expect(throws: Failure.self) {
            try await router([server]).embed(Self.request(130))
        }
        #expect(
            failure?.spent == [CandidateUsage("p0/embedder", TokenUsage(freshInput: 128))])
        #expect(failure?.code == .invalid && server.requests.count == 2)
    }

    @Test("Whose vectors are kept can be asked by its own name, though another is configured")
    func candidate() async throws {
        let servers = try [ScriptedServer { Self.rows($0) }, ScriptedServer { Self.rows($0) }]
        let router = try router(servers)
        func request(_ candidate: String) -> EmbeddingRequest {
            var request = EmbeddingRequest(
                principal: .alice, model: "embedder", texts: ["text"], purpose: "search")
            request.candidate = candidate
            return request
        }
        let old = try await router.embed(request("p1/before"))
        let now = try await router.embed(request("p0/embedder"))
        #expect(old.candidate == "p1/before" && now.candidate == "p0/embedder")
        #expect(servers.map(\.requests.count) == [1, 1])
        #expect(servers[1].requests.first?.text.contains(#""model":"before""#) == true)
        for gone in ["none/before", "local/before", "before", ""] {
            let failure = await #expect(throws: Failure.self) {
                try await router.embed(request(gone))
            }
            #expect(failure?.code == .notFound)
        }
    }

    @Test("A fallback that makes vectors of another size is not the same model, and says so")
    func otherModel() async throws {
        let broken = Counts(1)
        let first = try ScriptedServer { request in
            // The first part goes well.
            broken.take() ? Self.rows(request) : Wire.failure(500)
        }
        let second = try ScriptedServer { Self.rows($0, row: "[1,2,2]") }
        let failure = await #expect(throws: Failure.self) {
            try await router([first, second]).embed(Self.request(130))
        }
        #expect(failure?.message.contains("embedding_fallbacks") == true)
        #expect(
            failure?.spent == [
                CandidateUsage("p0/embedder", TokenUsage(freshInput: 128)),
                CandidateUsage("p1/same", TokenUsage(freshInput: 2)),
            ])
    }

    // MARK: What a call may cost

    private func priced(
        _ servers: [ScriptedServer], _ candidates: String...
    ) throws -> ModelRouter {
        try .hosted(servers, pricing: SpentTests.Prices()) {
            $0.embeddingModel = candidates[0]
            $0.embeddingFallbacks = Array(candidates.dropFirst())
            $0.embeddingCostMaxDollars = "0.0005"
        }
    }

    @Test("Who could cost more than a call may is not asked, and a cheaper one is")
    func tooDear() async throws {
        let servers = try (0..<2).map { _ in try ScriptedServer { Self.rows($0) } }
        let made = try await priced(servers, "p1/dear", "p0/cheap").embed(Self.request(90))
        #expect(made.parts.map(\.candidate) == ["p0/cheap"] && servers[1].requests.isEmpty)
        let onlyDear = try priced(servers, "p1/dear")
        let failure = await #expect(throws: Failure.self) {
            try await onlyDear.embed(Self.request(90))
        }
        #expect(failure?.code == .budgetExceeded && servers[1].requests.isEmpty)
        #expect(failure?.message.contains("inference.embedding_cost_max_dollars") == true)
        #expect(try await onlyDear.embed(Self.request(1)).count == 1)
    }

    @Test("All texts of a call are in its cost, those that are asked for later too")
    func wholeCall() async throws {
        let server = try ScriptedServer { Self.rows($0) }
        let failure = await #expect(throws: Failure.self) {
            try await priced([server], "p0/cheap").embed(Self.request(1000))
        }
        #expect(failure?.code == .budgetExceeded && server.requests.isEmpty)
    }

    @Test("A part that took more than it was thought to leaves less for the rest")
    func dearPart() async throws {
        let server = try ScriptedServer { Self.rows($0, tokens: 1000) }
        let failure = await #expect(throws: Failure.self) {
            try await priced([server], "p0/cheap").embed(Self.request(130))
        }
        #expect(failure?.code == .budgetExceeded && server.requests.count == 1)
        #expect(failure?.spent == [CandidateUsage("p0/cheap", TokenUsage(freshInput: 1000))])
    }

    @Test("Fallbacks without a model, and of unknown providers, are refused at the start")
    func configuration() throws {
        for change in [
            { $0.embeddingFallbacks = ["p0/a"] },
            {
                $0.embeddingModel = "p0/a"
                $0.embeddingFallbacks = ["nobody/a"]
            },
        ] as [(inout InferenceConfiguration) -> Void] {
            var configuration = InferenceConfiguration()
            configuration.providers["p0"] = ProviderConfiguration()
            change(&configuration)
            let failure = #expect(throws: Failure.self) { try configuration.validate() }
            #expect(failure?.message.contains("embedding_fallbacks") == true)
        }
    }
}
