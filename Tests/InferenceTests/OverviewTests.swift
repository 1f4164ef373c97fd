import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// What administrators are shown of the model gateway.
@Suite struct OverviewTests {
    private struct Free: Pricing {
        func ceiling(of candidate: String, input: Int, output: Int) throws -> Picodollars { .zero }
        func cost(of part: CandidateUsage) -> Picodollars { Picodollars(Int64(part.usage.input)) }
    }

    private func provider(_ name: String, _ overview: JSONValue) -> JSONValue? {
        overview["providers"]?.array?.first { $0["name"]?.string == name }
    }

    private func arms(_ overview: JSONValue, _ route: String = "m") -> [JSONValue] {
        overview["routes"]?.array?.first { $0["name"]?.string == route }?["arms"]?.array ?? []
    }

    @Test(
        "A breaker says since when it is open, when the next call may find out, and what opened it")
    func breaker() async throws {
        let clock = ManualClock()
        let router = try ModelRouter.hosted(
            [try ScriptedServer(Wire.failure(503))], environment: .manual(clock)
        ) { $0.breaker.failuresMin = 2 }
        func breaker() async throws -> JSONValue? {
            provider("p0", try await router.overview(for: .owner))?["models"]?.array?.first?[
                "breaker"]
        }
        #expect(
            try await breaker()
                == JSONValue(parsing: #"{"calls":0,"failures":0,"state":"closed"}"#.utf8))
        _ = try? await router.open(.hello())
        #expect(
            try await breaker()
                == JSONValue(parsing: #"{"calls":1,"failures":1,"state":"closed"}"#.utf8))
        _ = try? await router.open(.hello())
        let opened = clock.now
        let open = try await breaker()
        #expect(
            open?["state"]?.string == "open" && open?["failures"]?.int == 2
                && open?["calls"]?.int == 2)
        #expect(open?["since"]?.string == opened.description)
        #expect(open?["nextProbeAt"]?.string == (opened + .seconds(15)).description)
    }

    @Test("Running calls, the line, what is left of limits, and how fast a model is")
    func load() async throws {
        let told = ["x-ratelimit-remaining-requests: 41", "x-ratelimit-reset-requests: 30s"]
        let server = try ScriptedServer([ScriptedServer.head(headers: told), .text(Wire.hello)])
        let clock = ManualClock()
        let router = try ModelRouter.hosted([server], environment: .manual(clock)) {
            $0.providers["p0"]?.concurrencyMax = 7
        }
        let call = try await router.open(.hello())
        let during = provider("p0", try await router.overview(for: .owner))
        #expect(
            during?["running"]?.int == 1 && during?["runningMax"]?.int == 7
                && during?["waiting"]?.int == 0)
        let model = during?["models"]?.array?.first
        #expect(model?["name"]?.string == "model" && model?["running"]?.int == 1)
        #expect(model?["requests"]?["remaining"]?.int == 41)
        #expect(model?["requests"]?["resetAt"]?.string == (clock.now + .seconds(30)).description)
        #expect(model?["firstTokenMilliseconds"]?.members == [])
        _ = try await call.run { _ in }
        clock.advance(by: .seconds(31))
        let after = provider("p0", try await router.overview(for: .owner))
        #expect(after?["running"]?.int == 0)
        #expect(after?["models"]?.array?.first?["requests"] == nil)
        #expect(
            after?["models"]?.array?.first?["firstTokenMilliseconds"]?["p50"]?.double == 0)
    }

    @Test("The arms of a split are told side by side: calls, failures, refusals, tokens, cost")
    func split() async throws {
        let refusal =
            Wire.role + Wire.text("I can't help with that.") + Wire.finish()
            + Wire.usage(prompt: 7, output: 2) + Wire.done
        let servers = [
            try ScriptedServer(Wire.stream(Wire.hello)), try ScriptedServer(Wire.stream(refusal)),
        ]
        let router = try ModelRouter.hosted(servers, pricing: Free()) {
            $0.models["m"]?.policy = .weighted
            $0.models["m"]?.weights = ["3", "1"]
            $0.models["m"]?.costMaxDollars = "0.5"
        }
        for number in 0..<20 {
            let request = ChatRequest(
                principal: .alice, model: "m", messages: [ChatMessage(.user, "Hello \(number)?")],
                purpose: "api")
            _ = try await router.answer(request)
        }
        let overview = try await router.overview(for: .owner)
        let route = overview["routes"]?.array?.first
        #expect(route?["policy"]?.string == "weighted" && route?["kind"]?.string == "chat")
        #expect(route?["costMax"]?.int == 500_000_000_000)
        let arms = arms(overview)
        #expect(arms.map { $0["share"]?.double } == [75, 25])
        let calls = arms.compactMap { $0["calls"]?.int }
        #expect(calls.reduce(0, +) == 20 && calls.allSatisfy { $0 > 0 })
        #expect(arms.map { $0["answers"]?.int } == calls)
        #expect(arms.map { $0["refusals"]?.int } == [0, calls.last])
        #expect(arms.map { $0["inputTokens"]?.int } == calls.map { $0 * 7 })
        #expect(arms.map { $0["cost"]?.int } == calls.map { $0 * 7 })
        #expect(servers.map(\.requests.count) == calls)
    }

    @Test("Embeddings are a route, and the local model that helps out is its last arm")
    func others() async throws {
        let server = try ScriptedServer { _ in
            ScriptedServer.answer(
                #"{"data":[{"index":0,"embedding":[3,4]}],"usage":{"prompt_tokens":2}}"#)
        }
        let router = try ModelRouter.hosted([server], shelf: .scripted(["small"])) {
            $0.embeddingModel = "p0/embedder"
            $0.models["m"]?.degradeTo = "small"
        }
        _ = try await router.embed(
            EmbeddingRequest(principal: .alice, texts: ["a"], purpose: "test"))
        let overview = try await router.overview(for: .owner)
        #expect(arms(overview).map { $0["isLastResort"]?.bool } == [false, true])
        #expect(overview["routes"]?.array?.last?["kind"]?.string == "embeddings")
        let arm = arms(overview, "embeddings").first
        #expect(arm?["candidate"]?.string == "p0/embedder" && arm?["inputTokens"]?.int == 2)
        #expect(arm?["answers"]?.int == 1 && arm?["failures"]?.int == 0)
        let local = provider("local", overview)
        #expect(local?["isLocal"]?.bool == true && local?["keys"]?.array == [])
        #expect(local?["models"]?.array?.first?["breaker"] == nil)
    }

    @Test("Half and nineteen twentieths of the values lie below", arguments: [0, 1, 2, 20, 100])
    func percentiles(count: Int) {
        let found = Percentiles((0..<count).map { Double($0 + 1) }.shuffled())
        #expect(found.p50 == (count == 0 ? nil : Double((count + 1) / 2)))
        #expect(found.p95 == (count == 0 ? nil : (0.95 * Double(count)).rounded(.up)))
    }

    @Test("Only the last values are kept")
    func recent() {
        var values = RecentValues()
        for number in 0..<1000 { values.add(Double(number)) }
        #expect(values.values.count == RecentValues.countMax)
        #expect(values.values.min() == Double(1000 - RecentValues.countMax))
    }
}
