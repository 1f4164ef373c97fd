import Core
import TestSupport
import Testing

@testable import Inference

/// Answers that one candidate begins and another ends.
struct MidStreamTests {
    private func continuing(
        _ servers: [ScriptedServer], tracer: RecordingTracer = RecordingTracer(),
        _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try ModelRouter.hosted(servers, tracer: tracer) { configuration in
            configuration.models["m"]?.afterFirstToken = .continue
            configuration.retries.attemptsMax = 6
            change(&configuration)
        }
    }

    private func events(_ call: ChatCall) async throws -> ([ChatEvent], Completion) {
        var events: [ChatEvent] = []
        let completion = try await call.run { events.append($0) }
        return (events, completion)
    }

    private static let rest =
        Wire.text("lo there") + Wire.finish() + Wire.usage(prompt: 9, output: 3)
        + Wire.done

    @Test("The next candidate writes on from the text so far, and the stream and the trace say so")
    func goesOn() async throws {
        let first = try ScriptedServer(Wire.stream(Wire.text("Hel")))
        let second = try ScriptedServer(Wire.stream(Self.rest))
        let tracer = RecordingTracer()
        let call = try await continuing([first, second], tracer: tracer).open(.hello())
        let (events, completion) = try await events(call)
        #expect(
            events == [
                .text("Hel"),
                .switched(
                    CandidateSwitch(
                        from: "p0/model",
                        usage: TokenUsage(freshInput: 11, output: 1, isEstimated: true),
                        to: "p1/model", isContinued: true)),
                .text("lo there"),
            ])
        #expect(completion.candidate == "p1/model")
        #expect(completion.usage == TokenUsage(freshInput: 9, output: 3))
        let asked = try #require(second.requests.first?.text)
        #expect(
            asked.contains(#"{"content":"Hel","role":"assistant"}"#)
                || asked.contains(#"{"role":"assistant","content":"Hel"}"#))
        #expect(tracer.records.map { $0.error != nil } == [true, false])
        #expect(tracer.records.last?.attributes["heptad.route.goes_on_for"] == "p0/model")
        #expect(
            tracer.records.last?.attributes["heptad.route.decision"]?.contains("truncated") == true)
    }

    @Test("A candidate that begins anew instead of going on repeats nothing to the reader")
    func repeats() async throws {
        let first = try ScriptedServer(Wire.stream(Wire.text("Hello ") + Wire.text("th")))
        let second = try ScriptedServer(
            Wire.stream(Wire.text("Hello") + Wire.text(" there!") + Wire.finish() + Wire.done))
        let (pieces, _) = try await continuing([first, second]).answer()
        #expect(pieces.joined() == "Hello there!")
    }

    @Test("The rest of an answer is as long as is left of its limit")
    func limit() async throws {
        let first = try ScriptedServer(
            Wire.stream(Wire.text(String(repeating: "word ", count: 30))))
        let second = try ScriptedServer(Wire.stream(Self.rest))
        var request = ChatRequest.hello()
        request.sampling.outputTokensMax = 60
        _ = try await continuing([first, second]).answer(request)
        #expect(first.requests.first?.text.contains("\"max_tokens\":60") == true)
        #expect(second.requests.first?.text.contains("\"max_tokens\":10") == true)
    }

    @Test("Half a tool call, half an object and what nobody allowed to go on end in an error")
    func notContinued() async throws {
        let piece =
            #"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"1","#
            + #""type":"function","function":{"name":"f","arguments":"{"}}]}}]}"# + "\n\n"
        var formed = ChatRequest.hello()
        formed.responseFormat = .jsonObject
        for (text, request, policy) in [
            (piece, ChatRequest.hello(), AfterFirstToken.continue),
            (Wire.text("{"), formed, .continue), (Wire.text("Hel"), .hello(), .error),
        ] {
            let first = try ScriptedServer(Wire.stream(text))
            let second = try ScriptedServer(Wire.stream(Wire.hello))
            let router = try continuing([first, second]) {
                $0.models["m"]?.afterFirstToken = policy
            }
            let failure = await #expect(throws: Failure.self) {
                _ = try await router.answer(request)
            }
            #expect(failure?.code == .upstream)
            #expect(second.requests.isEmpty)
        }
    }

    @Test("A reader who goes away is no failure of the candidate's, and nobody goes on for nobody")
    func readerLeaves() async throws {
        let servers = try (0..<2).map { _ in try ScriptedServer(Wire.stream(Wire.hello)) }
        let call = try await continuing(servers).open(.hello())
        let failure = await #expect(throws: Failure.self) {
            try await call.run { _ in throw Failure(.conflict, "Enough.") }
        }
        #expect(failure?.code == .conflict)
        #expect(servers[1].requests.isEmpty)
    }

    @Test("An answer changes hands so often and no more, and then ends in an error")
    func switches() async throws {
        let servers = try (0..<4).map { try ScriptedServer(Wire.stream(Wire.text("part \($0) "))) }
        let call = try await continuing(servers).open(.hello())
        var changes = 0
        let failure = await #expect(throws: Failure.self) {
            try await call.run { if case .switched = $0 { changes += 1 } }
        }
        #expect(failure?.code == .upstream)
        #expect(changes == RouteRules.switchesMax)
        #expect(servers.map(\.requests.count) == [1, 1, 1, 0])
    }

    @Test("What one call may have to pay for is told, so that funds are held for it")
    func answersMax() async throws {
        let servers = try (0..<4).map { _ in try ScriptedServer(Wire.stream(Wire.hello)) }
        #expect(try await ModelRouter.hosted(servers).models().first?.answersMax == 1)
        #expect(try await continuing(servers).models().first?.answersMax == 3)
        #expect(try await continuing([servers[0]]).models().first?.answersMax == 1)
    }

    @Test(
        "Killing the primary in the middle of 100 streams loses no answer with a fallback",
        .timeLimit(.minutes(1)))
    func massacre() async throws {
        let count = 100
        let killed = Gate()
        let begun = Box(0)
        let first = try ScriptedServer(
            [
                ScriptedServer.head(), .text(Wire.text("one, two,")), .until { killed.isOpen },
                .reset,
            ])
        let second = try ScriptedServer { request in
            request.text.contains("one, two,")
                ? Wire.stream(Wire.text(" three.") + Wire.finish() + Wire.done)
                : Wire.stream(Wire.text("one, two, three.") + Wire.finish() + Wire.done)
        }
        let router = try continuing([first, second]) {
            $0.providers["p0"]?.concurrencyMax = count
            $0.providers["p1"]?.concurrencyMax = count
        }
        let answers = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<count {
                group.addTask {
                    var text = ""
                    _ = try await router.open(.hello()).run { event in
                        guard case .text(let piece) = event else { return }
                        if text.isEmpty {
                            begun.withLock { $0 += 1 }
                            if begun.current == count { killed.open() }
                        }
                        text += piece
                    }
                    return text
                }
            }
            return try await group.reduce(into: [String]()) { $0.append($1) }
        }
        #expect(answers == Array(repeating: "one, two, three.", count: count))
        #expect(first.requests.count == count)
        #expect(second.requests.count == count)
    }

    @Test("The broken call's place is free before the next is asked, so one provider may do both")
    func placeIsFree() async throws {
        let server = try ScriptedServer { request in
            request.text.contains("\"model\":\"other\"")
                ? Wire.stream(Self.rest) : Wire.stream(Wire.text("Hel"))
        }
        let router = try continuing([server]) { configuration in
            configuration.models["m"]?.candidates.append("p0/other")
            configuration.providers["p0"]?.concurrencyMax = 1
            configuration.providers["p0"]?.waitingMax = 0
        }
        #expect(try await router.answer().0.joined() == "Hello there")
    }

    @Test("A failure after another candidate was asked says that we tried again")
    func triedAgain() async throws {
        let servers = try (0..<2).map { _ in try ScriptedServer(Wire.stream(Wire.text("Hel"))) }
        let failure = await #expect(throws: Failure.self) {
            _ = try await continuing(servers).answer()
        }
        #expect(failure?.hasBeenRetried == true)
        let once = await #expect(throws: Failure.self) {
            _ = try await ModelRouter.hosted([servers[0]]).answer()
        }
        #expect(once?.hasBeenRetried == false)
    }

    @Test(
        "The local model goes on where nobody else is left, and never for an answer that is there")
    func lastResort() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.text("Well, ")))
        let router = try ModelRouter.hosted([server], shelf: .scripted(["small"])) {
            $0.models["m"]?.afterFirstToken = .continue
            $0.models["m"]?.degradeTo = "small"
        }
        let (pieces, completion) = try await router.answer()
        #expect(pieces.joined() == "Well, Hello")
        #expect(completion.candidate == "local/small")

        let servers = [
            try ScriptedServer(Self.answer("I'm sorry, but I can't.")),
            try ScriptedServer(Wire.failure(503)),
        ]
        let thrifty = try ModelRouter.hosted(servers, shelf: .scripted(["small"])) {
            $0.models["m"]?.policy = .tiered
            $0.models["m"]?.degradeTo = "small"
        }
        #expect(try await thrifty.answer().0 == ["I'm sorry, but I can't."])
    }

    // MARK: Tiers

    private func tiered(
        _ servers: [ScriptedServer], _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try ModelRouter.hosted(servers) { configuration in
            configuration.models["m"]?.policy = .tiered
            configuration.retries.attemptsMax = 6
            change(&configuration)
        }
    }

    private static func answer(_ text: String) -> [ScriptedServer.Step] {
        Wire.stream(
            Wire.text(text) + Wire.finish() + Wire.usage(prompt: 5, output: 4) + Wire.done)
    }

    @Test("A cheap answer that will do is shown as it is")
    func cheapWillDo() async throws {
        let servers = try ["Paris.", "Lyon."].map { try ScriptedServer(Self.answer($0)) }
        let call = try await tiered(servers).open(.hello())
        #expect(call.decision == "tiered p0/model (difficulty 0.00)")
        let (events, completion) = try await events(call)
        #expect(events == [.text("Paris.")])
        #expect(completion.candidate == "p0/model")
        #expect(servers[1].requests.isEmpty)
    }

    @Test("A cheap answer that will not do is not shown, and is paid for")
    func escalates() async throws {
        let servers = try ["I'm sorry, but I can't.", "Paris."].map {
            try ScriptedServer(Self.answer($0))
        }
        let (events, completion) = try await events(try await tiered(servers).open(.hello()))
        #expect(
            events == [
                .switched(
                    CandidateSwitch(
                        from: "p0/model", usage: TokenUsage(freshInput: 5, output: 4),
                        to: "p1/model", isContinued: false)), .text("Paris."),
            ])
        #expect(completion.candidate == "p1/model")
        #expect(servers[1].requests.first?.text.contains("sorry") == false)
    }

    @Test("Where the better model cannot be had, the cheap answer is shown after all")
    func betterIsDown() async throws {
        let servers = [
            try ScriptedServer(Self.answer("I'm sorry, but I can't.")),
            try ScriptedServer(Wire.failure(400)),
        ]
        let (events, completion) = try await events(try await tiered(servers).open(.hello()))
        #expect(events == [.text("I'm sorry, but I can't.")])
        #expect(completion.candidate == "p0/model")
    }

    @Test("A cheap candidate that breaks off while it is checked is replaced unseen")
    func breaksUnseen() async throws {
        let servers = [
            try ScriptedServer(Wire.stream(Wire.text("Hel"))),
            try ScriptedServer(Self.answer("Paris.")),
        ]
        let (pieces, completion) = try await tiered(servers).answer()
        #expect(pieces == ["Paris."])
        #expect(completion.candidate == "p1/model")
    }

    @Test("Confidence is asked for where it counts, and not shown to who did not ask")
    func confidence() async throws {
        let unsure =
            #"data: {"choices":[{"index":0,"delta":{"content":"Lyon"},"logprobs":{"content":"#
            + #"[{"token":"Lyon","bytes":null,"logprob":-3,"top_logprobs":[]}]}}]}"# + "\n\n"
        let servers = [
            try ScriptedServer(Wire.stream(unsure + Wire.finish() + Wire.done)),
            try ScriptedServer(Self.answer("Paris.")),
        ]
        let router = try tiered(servers) { $0.models["m"]?.confidenceMin = 0.5 }
        let (events, _) = try await events(try await router.open(.hello()))
        #expect(servers[0].requests.first?.text.contains("\"logprobs\":true") == true)
        #expect(servers[1].requests.first?.text.contains("\"logprobs\":true") == false)
        #expect(events.last == .text("Paris.") && events.count == 2)
    }

    @Test("Without escalation a cheap answer streams as it comes")
    func noEscalation() async throws {
        let gate = Gate()
        let first = try ScriptedServer(
            Wire.stream(Wire.text("I can't."), then: Wire.finish() + Wire.done, after: gate))
        let second = try ScriptedServer(Self.answer("Paris."))
        let router = try tiered([first, second]) { $0.models["m"]?.escalates = false }
        var seen: [ChatEvent] = []
        _ = try await router.open(.hello()).run { event in
            seen.append(event)
            gate.open()
        }
        #expect(seen == [.text("I can't.")])
        #expect(second.requests.isEmpty)
    }
}
