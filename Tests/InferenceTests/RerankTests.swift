import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// `POST /rerank` of providers, and rerankers of this machine.
@Suite struct RerankTests {
    private static func request(
        _ candidate: String = "p0/judge", texts: [String] = ["one", "two", "three"]
    ) -> RerankRequest {
        RerankRequest(principal: .alice, candidate: candidate, question: "which?", texts: texts)
    }

    private static let answers: [(body: String, scores: [Double?], usage: TokenUsage)] = [
        // Cohere, v2.
        (
            #"""
            {"id":"x","results":[{"index":2,"relevance_score":0.9},{"index":0,"relevance_score":0.5},
            {"index":1,"relevance_score":0}],"meta":{"api_version":{"version":"2"},
            "billed_units":{"search_units":1}}}
            """#, [0.5, 0, 0.9], TokenUsage(freshInput: 6, isEstimated: true)
        ),
        // Jina.
        (
            #"""
            {"model":"jina-reranker-v2","object":"list","usage":{"total_tokens":15},
            "results":[{"index":1,"relevance_score":0.25,"document":{"text":"two"}},
            {"index":0,"relevance_score":0.125},{"index":2,"relevance_score":0.0625}]}
            """#, [0.125, 0.25, 0.0625], TokenUsage(freshInput: 15)
        ),
        // vLLM, with fewer than were asked for.
        (
            #"""
            {"id":"rerank-1","model":"bge","usage":{"total_tokens":9},
            "results":[{"index":0,"document":{"text":"one"},"relevance_score":1}]}
            """#, [1, nil, nil], TokenUsage(freshInput: 9)
        ),
        // llama.cpp gives what the model puts out.
        (
            #"""
            {"results":[{"index":0,"relevance_score":0},{"index":1,"relevance_score":-40.0},
            {"index":2,"relevance_score":40.0}]}
            """#, [0.5, 1 / (1 + exp(40.0)), 1 / (1 + exp(-40.0))],
            TokenUsage(freshInput: 6, isEstimated: true)
        ),
    ]

    @Test("Each provider's answer is read in the texts' order", arguments: answers)
    func providers(body: String, scores: [Double?], usage: TokenUsage) async throws {
        let server = try ScriptedServer(ScriptedServer.answer(body))
        let router = try ModelRouter.hosted([server])
        let ranking = try await router.rerank(Self.request())
        #expect(ranking.scores == scores && ranking.usage == usage)
        let sent = try #require(server.requests.first)
        #expect(sent.method == "POST" && sent.path.hasSuffix("/rerank"))
        let body = try JSONValue(parsing: sent.body)
        #expect(body["model"]?.string == "judge" && body["query"]?.string == "which?")
        let texts = body["documents"]?.array?.compactMap(\.string)
        #expect(texts == ["one", "two", "three"] && body["top_n"]?.double == 3)
    }

    @Test(
        "A ranking that does not fit its texts is refused",
        arguments: [
            #"{"results":[]}"#, #"{"results":[{"index":3,"relevance_score":1}]}"#,
            #"{"results":[{"index":-1,"relevance_score":1}]}"#,
            #"{"results":[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}]}"#,
            #"{"results":[{"index":0,"relevance_score":1e999}]}"#,
            #"{"results":[{"index":0,"relevance_score":"high"}]}"#, #"{"results":"#, "", "[]",
            #"{"results":[{"index":9223372036854775808,"relevance_score":1}]}"#,
        ])
    func broken(body: String) async throws {
        let server = try ScriptedServer(ScriptedServer.answer(body))
        let router = try ModelRouter.hosted([server])
        let failure = await #expect(throws: Failure.self) {
            try await router.rerank(Self.request())
        }
        #expect(failure?.code == .upstream)
        #expect(server.requests.count == 1)
    }

    @Test("A provider that keeps failing is left alone for a while")
    func breaker() async throws {
        let clock = ManualClock()
        let server = try ScriptedServer(Wire.failure(500))
        let router = try ModelRouter.hosted([server], environment: .manual(clock)) {
            $0.breaker.failuresMin = 2
        }
        for _ in 0..<4 {
            await #expect(throws: Failure.self) { try await router.rerank(Self.request()) }
        }
        #expect(server.requests.count == 2)
    }

    @Test(
        "Who is not there, or does not rank, says so",
        arguments: ["none/judge", "judge", "local/x"])
    func unknown(candidate: String) async throws {
        let server = try ScriptedServer(Wire.failure(500))
        let router = try ModelRouter.hosted([server])
        let failure = await #expect(throws: Failure.self) {
            try await router.rerank(Self.request(candidate))
        }
        #expect([.notFound, .unavailable].contains(failure?.code))
        #expect(server.requests.isEmpty)
    }

    @Test("Nothing to rank is no call, and too much is refused before one")
    func bounds() async throws {
        let server = try ScriptedServer(Wire.failure(500))
        let router = try ModelRouter.hosted([server])
        #expect(try await router.rerank(Self.request(texts: [])).scores == [])
        let failure = await #expect(throws: Failure.self) {
            try await router.rerank(
                Self.request(texts: Array(repeating: "a", count: ModelRouter.rankedTextsMax + 1)))
        }
        #expect(failure?.code == .tooLarge && server.requests.isEmpty)
    }
}
