import Core
import Egress
import TestSupport
import Testing

@testable import Inference

/// What the router does about candidates that fail before their first word, against real servers.
struct RetryTests {
    private func down(_ status: Int = 503, headers: [String] = []) -> [ScriptedServer.Step] {
        Wire.failure(status, headers: headers)
    }

    @Test("A failure that may pass is asked again after a wait, and the decision says so")
    func again() async throws {
        let server = try ScriptedServer(down(), Wire.stream(Wire.hello))
        let waits = Waits()
        let call = try await ModelRouter.hosted([server], waits: waits) {
            $0.retries.attemptsMax = 3
        }.open(.hello())
        #expect(call.decision == "fallback p0/model (p0/model: transient)")
        await call.abandon()
        #expect(server.requests.count == 2)
        #expect(waits.all.count == 1)
        #expect(waits.all.allSatisfy { $0 < .milliseconds(250) })
    }

    @Test("A provider that says when to come again is not asked before")
    func retryAfter() async throws {
        let server = try ScriptedServer(
            down(headers: ["Retry-After: 3"]), down(headers: ["retry-after-ms: 4500"]),
            Wire.stream(Wire.hello))
        let waits = Waits()
        let router = try ModelRouter.hosted([server], waits: waits) {
            $0.retries.attemptsMax = 3
        }
        _ = try await router.answer()
        #expect(waits.all == [.seconds(3), .milliseconds(4500)])
    }

    @Test(
        "Who asks for more time than a request may wait is not asked again, and the client hears it"
    )
    func retryAfterTooLong() async throws {
        let server = try ScriptedServer(down(headers: ["Retry-After: 30"]))
        let waits = Waits()
        let router = try ModelRouter.hosted([server], waits: waits) {
            $0.retries.attemptsMax = 3
        }
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(failure?.retryAfter == .seconds(30))
        #expect(failure?.hasBeenRetried == false)
        #expect(waits.all == [] && server.requests.count == 1)
    }

    @Test("Attempts are bounded over all candidates, and the failure says that we tried again")
    func bounded() async throws {
        let servers = try [500, 502].map { try ScriptedServer(down($0)) }
        let router = try ModelRouter.hosted(servers) { $0.retries.attemptsMax = 5 }
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(servers.map(\.requests.count) == [3, 2])
        #expect(failure?.hasBeenRetried == true)
        #expect(failure?.message.contains("2 candidates") == true)
    }

    @Test("What may have been charged for is bounded by itself, and not asked again where it was")
    func charged() async throws {
        let servers = try (0..<4).map { _ in try ScriptedServer([.untilClosed]) }
        let router = try ModelRouter.hosted(servers) { configuration in
            configuration.retries.attemptsMax = 9
            configuration.retries.chargedAttemptsMax = 2
            for name in configuration.providers.keys {
                configuration.providers[name]?.firstTokenTimeoutSeconds = 0.1
            }
        }
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(failure?.code == .timeout)
        #expect(servers.map(\.requests.count) == [1, 1, 0, 0])
    }

    @Test("Silence and the caller's mistakes are never repeated", arguments: [0, 400, 401, 404])
    func notRepeated(status: Int) async throws {
        let server = try ScriptedServer(status == 0 ? [.untilClosed] : down(status))
        let waits = Waits()
        let router = try ModelRouter.hosted([server], waits: waits) { configuration in
            configuration.retries.attemptsMax = 5
            configuration.providers["p0"]?.firstTokenTimeoutSeconds = 0.1
        }
        await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(server.requests.count == 1 && waits.all == [])
    }

    @Test("A wait ends when the one who asked is gone")
    func cancelled() async throws {
        let server = try ScriptedServer(down())
        var configuration = InferenceConfiguration()
        configuration.providers["p0", default: .init()].baseUrl = server.url
        configuration.models["m", default: .init()].candidates = ["p0/model"]
        let router = try ModelRouter(
            configuration, shelf: ModelShelf(folder: "/"),
            client: HTTPClient(EgressConfiguration()),
            environment: .system, tracer: RecordingTracer(),
            wait: { _ in throw CancellationError() })
        await #expect(throws: CancellationError.self) { try await router.open(.hello()) }
        #expect(server.requests.count == 1)
    }

    // MARK: Breaker

    @Test("A candidate that keeps failing is left alone, tried once after a while, and used again")
    func breaker() async throws {
        let clock = ManualClock()
        let server = try ScriptedServer(down(), down(), Wire.stream(Wire.hello))
        let router = try ModelRouter.hosted([server], environment: .manual(clock)) {
            $0.breaker.failuresMin = 2
        }
        for _ in 0..<2 {
            await #expect(throws: Failure.self) { try await router.open(.hello()) }
        }
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(server.requests.count == 2)
        #expect(failure?.code == .unavailable && failure?.retryAfter == .seconds(15))
        #expect(failure?.hasBeenRetried == false, "nobody was asked, so a client may try again")
        clock.advance(by: .seconds(15))
        #expect(try await router.answer().0 == ["Hel", "lo"])
        #expect(try await router.answer().0 == ["Hel", "lo"])
        #expect(server.requests.count == 4)
    }

    @Test("An open breaker costs the next candidate's caller no time, and the decision says why")
    func breakerSkips() async throws {
        let first = try ScriptedServer(down())
        let second = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try ModelRouter.hosted([first, second]) { $0.breaker.failuresMin = 1 }
        _ = try await router.answer()
        let call = try await router.open(.hello())
        #expect(call.decision == "fallback p1/model (p0/model: breaker open)")
        await call.abandon()
        #expect(first.requests.count == 1)
    }

    @Test("Refusals that say nothing about a candidate's health leave its breaker alone")
    func notIll() async throws {
        for status in [400, 401, 402, 429] {
            let clock = ManualClock()
            let server = try ScriptedServer(down(status))
            let router = try ModelRouter.hosted([server], environment: .manual(clock)) {
                $0.breaker.failuresMin = 1
            }
            for count in 1...2 {
                await #expect(throws: Failure.self) { try await router.open(.hello()) }
                #expect(server.requests.count == count, "\(status)")
                // The key rests after some of them, which is not the breaker's doing.
                clock.advance(by: .seconds(600))
            }
        }
    }

    @Test("A stream that breaks in the middle counts against its candidate")
    func brokenCounts() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.text("Hel")))
        let router = try ModelRouter.hosted([server]) { $0.breaker.failuresMin = 1 }
        await #expect(throws: Failure.self) { _ = try await router.answer() }
        await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(server.requests.count == 1)
    }

    // MARK: Keys and limits

    @Test("A key that is refused or throttled gives way to the next, in the same attempt")
    func keys() async throws {
        let server = try ScriptedServer { request in
            switch request.headers["authorization"] {
            case "Bearer key-a": Wire.failure(401)
            case "Bearer key-b": Wire.failure(429, headers: ["Retry-After: 60"])
            default: Wire.stream(Wire.hello)
            }
        }
        let router = try ModelRouter.hosted([server], apiKey: "key-a") { configuration in
            configuration.providers["p0"]?.apiKeys = ["key-b", "key-c"]
            configuration.retries.attemptsMax = 1
        }
        for _ in 0..<2 { #expect(try await router.answer().0 == ["Hel", "lo"]) }
        #expect(
            server.requests.compactMap { $0.headers["authorization"]?.suffix(5) }
                == ["key-a", "key-b", "key-c", "key-c"])
    }

    @Test("Where all keys rest, nobody is asked, and the client hears when one is back")
    func allKeysRest() async throws {
        let clock = ManualClock()
        let server = try ScriptedServer(down(429, headers: ["Retry-After: 60"]))
        let router = try ModelRouter.hosted([server], environment: .manual(clock)) {
            $0.providers["p0"]?.apiKeys = ["key-b"]
        }
        await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(server.requests.count == 2)
        clock.advance(by: .seconds(10))
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(server.requests.count == 2)
        #expect(failure?.retryAfter == .seconds(50))
    }

    @Test("No key is ever shown, whichever was refused")
    func secrets() async throws {
        let server = try ScriptedServer { request in
            Wire.failure(400, message: "bad \(request.headers["authorization"] ?? "") key-b key-c")
        }
        let router = try ModelRouter.hosted([server], apiKey: "key-a") {
            $0.providers["p0"]?.apiKeys = ["key-b", "key-c"]
        }
        let failure = await #expect(throws: Failure.self) { try await router.open(.hello()) }
        #expect(failure?.message.contains("bad") == true)
        #expect(failure?.description.contains("key-") == false)
    }

    @Test("A provider whose limits are used up is passed over before it has to refuse")
    func limits() async throws {
        let told = ["x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 30s"]
        let clock = ManualClock()
        let first = try ScriptedServer([ScriptedServer.head(headers: told), .text(Wire.hello)])
        let second = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try ModelRouter.hosted([first, second], environment: .manual(clock))
        #expect(try await router.answer().1.candidate == "p0/model")
        let call = try await router.open(.hello())
        #expect(call.decision == "fallback p1/model (p0/model: limits used up)")
        await call.abandon()
        clock.advance(by: .seconds(30))
        #expect(try await router.answer().1.candidate == "p0/model")
        #expect(first.requests.count == 2)
    }

    @Test("Where nobody else is there, a short wait for the limits' reset is waited")
    func limitsWait() async throws {
        let told = ["x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 6s"]
        let clock = ManualClock()
        let waits = Waits(clock)
        let server = try ScriptedServer([ScriptedServer.head(headers: told), .text(Wire.hello)])
        let router = try ModelRouter.hosted([server], environment: .manual(clock), waits: waits)
        _ = try await router.answer()
        _ = try await router.answer()
        #expect(waits.all == [.seconds(6)])
        #expect(server.requests.count == 2)
    }

    @Test("A provider runs so many calls at once; the next begins when one ends")
    func concurrency() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try ModelRouter.hosted([server]) { $0.providers["p0"]?.concurrencyMax = 1 }
        let first = try await router.open(.hello())
        let second = Task { try await router.answer() }
        try await Task.sleep(for: .milliseconds(50))
        #expect(server.requests.count == 1)
        _ = try await first.run { _ in }
        #expect(try await second.value.0 == ["Hel", "lo"])
        #expect(server.requests.count == 2)
    }

    @Test("A full line sends the call to the next candidate")
    func fullLine() async throws {
        let servers = try (0..<2).map { _ in try ScriptedServer(Wire.stream(Wire.hello)) }
        let router = try ModelRouter.hosted(servers) {
            $0.providers["p0"]?.concurrencyMax = 1
            $0.providers["p0"]?.waitingMax = 0
        }
        let first = try await router.open(.hello())
        #expect(try await router.answer().1.candidate == "p1/model")
        await first.abandon()
        #expect(try await router.answer().1.candidate == "p0/model")
    }

    @Test("The least busy candidate is the one with the fewest open calls")
    func leastBusy() async throws {
        let servers = try (0..<2).map { _ in try ScriptedServer(Wire.stream(Wire.hello)) }
        let router = try ModelRouter.hosted(servers) { $0.models["m"]?.policy = .leastBusy }
        let calls = [try await router.open(.hello()), try await router.open(.hello())]
        #expect(Set(calls.map(\.candidate)) == ["p0/model", "p1/model"])
        for call in calls { await call.abandon() }
    }

    // MARK: Degradation

    private func degrading(_ servers: [ScriptedServer], contextTokens: Int = 100) throws
        -> ModelRouter
    {
        try ModelRouter.hosted(servers, shelf: .scripted(["small"], contextTokens: contextTokens)) {
            $0.models["m"]?.degradeTo = "small"
        }
    }

    @Test("When everyone is down the local model answers, and says that it does")
    func degrade() async throws {
        let servers = try [503, 401].map { try ScriptedServer(down($0)) }
        let router = try degrading(servers)
        #expect(await router.models().first?.candidates == ["p0/model", "p1/model"])
        let call = try await router.open(.hello())
        #expect(
            call.decision
                == "degraded local/small (p0/model: transient; p1/model: credential)")
        #expect(call.notice?.contains("the local model small answers instead") == true)
        #expect(try await call.run { _ in }.candidate == "local/small")
        #expect(servers.map(\.requests.count) == [1, 1])
    }

    @Test("The local model reads what fits of a conversation that was meant for a larger one")
    func degradeTruncates() async throws {
        let server = try ScriptedServer(down())
        let router = try degrading([server], contextTokens: 40)
        var request = ChatRequest.hello()
        request.messages.insert(ChatMessage(.user, String(repeating: "x", count: 60)), at: 0)
        #expect(try await router.answer(request).1.candidate == "local/small")
        #expect(server.requests.count == 1)
    }

    @Test("A request that hosted models refuse for what it is does not go to the local one")
    func notDegraded() async throws {
        for code in ["content_filter", "invalid_request_error"] {
            let server = try ScriptedServer(Wire.failure(400, code: code))
            let router = try degrading([server])
            await #expect(throws: Failure.self) { try await router.open(.hello()) }
            #expect(server.requests.count == 1)
        }
        let well = try ScriptedServer(Wire.stream(Wire.hello))
        let call = try await degrading([well]).open(.hello())
        #expect(call.candidate == "p0/model" && call.notice == nil)
        await call.abandon()
    }

    @Test("A local model that is meant to help and is not there is told at the start")
    func missing() throws {
        let router = try ModelRouter.hosted([try ScriptedServer(down())]) {
            $0.models["m"]?.degradeTo = "gone"
        }
        #expect(router.inventory.problems.contains { $0.contains("gone.gguf") })
    }
}
