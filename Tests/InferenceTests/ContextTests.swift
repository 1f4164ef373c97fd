import Core
import Egress
import LocalModels
import TestSupport
import Testing

@testable import Inference

/// Prompts that are longer than a candidate reads. A scripted local model's token is a byte.
struct ContextTests {
    private func router(
        _ policy: ContextPolicy, servers: [ScriptedServer] = [], requests: Requests? = nil,
        tracer: RecordingTracer = RecordingTracer(), contextTokens: Int = 100,
        _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try ModelRouter.hosted(
            servers, tracer: tracer,
            shelf: .scripted(["a", "s"], contextTokens: contextTokens, requests: requests)
        ) { configuration in
            configuration.models["m"]?.candidates.insert("local/a", at: 0)
            configuration.models["m"]?.context.policy = policy
            configuration.retries.attemptsMax = 6
            change(&configuration)
        }
    }

    /// Turns of twenty bytes, and a last question of ten.
    private func request(turns: Int, question: Int = 10, answer: Int? = 10) -> ChatRequest {
        var request = ChatRequest.hello()
        request.messages = [ChatMessage(.system, "0123456789")]
        for number in 0..<turns {
            request.messages.append(ChatMessage(.user, "question \(number % 10)"))
            request.messages.append(ChatMessage(.assistant, "answered \(number % 10)"))
        }
        request.messages.append(ChatMessage(.user, String(repeating: "q", count: question)))
        request.sampling.outputTokensMax = answer
        return request
    }

    private func asked(_ requests: Requests, at place: Int = 0) -> String {
        let all = requests.current
        guard place < all.count else { return "" }
        return String(decoding: all[place].prompt.map { UInt8(clamping: $0) }, as: UTF8.self)
    }

    @Test("What fits is left alone, and nothing is said")
    func fits() async throws {
        let requests = Requests([])
        let call = try await router(.trim, requests: requests).open(request(turns: 3))
        #expect(call.context == nil && call.notice == nil)
        #expect(requests.current.first?.prompt.count == 80)
        await call.abandon()
    }

    @Test("The oldest turns are left out, and header, notice and trace say how much")
    func trims() async throws {
        let requests = Requests([])
        let tracer = RecordingTracer()
        let call = try await router(.trim, requests: requests, tracer: tracer).open(
            request(turns: 6))
        #expect(call.context == "trimmed; dropped=6; tokens=80; window=100")
        #expect(
            call.notice
                == "6 earlier messages did not fit into the model's context and were left out."
        )
        #expect(
            asked(requests)
                == "0123456789question 3answered 3question 4answered 4question 5answered 5qqqqqqqqqq"
        )
        _ = try await call.run { _ in }
        let attributes = try #require(tracer.records.last?.attributes)
        #expect(attributes["heptad.context.action"] == "trimmed")
        #expect(attributes["heptad.context.dropped_messages"]?.contains("6") == true)
    }

    @Test("Room for the answer is kept: what was asked for, else the reserve, never more than half")
    func reserve() async throws {
        let router = try router(.trim) { $0.models["m"]?.context.reserve = 30 }
        #expect(
            try await router.open(request(turns: 6, answer: nil)).context
                == "trimmed; dropped=8; tokens=60; window=100")
        #expect(
            try await router.open(request(turns: 6, answer: 100)).context
                == "trimmed; dropped=10; tokens=40; window=100")
        // Where only the question and a short answer fit, the answer is short.
        #expect(
            try await router.open(request(turns: 6, question: 60, answer: 100)).context
                == "trimmed; dropped=12; tokens=70; window=100")
    }

    @Test("A question that does not fit by itself is refused with the numbers")
    func refuses() async throws {
        for policy in ContextPolicy.allCases where policy != .summarize {
            let failure = await #expect(throws: Failure.self) {
                try await router(policy).open(request(turns: 1, question: 95))
            }
            #expect(failure?.code == .tooLarge)
            #expect(failure?.message.contains("100") == true)
        }
        let failure = await #expect(throws: Failure.self) {
            try await router(.refuse).open(request(turns: 6))
        }
        #expect(failure?.code == .tooLarge)
    }

    @Test("Who asks for truncation gets it without a policy")
    func truncates() async throws {
        var request = request(turns: 6)
        request.truncates = true
        let call = try await router(.refuse).open(request)
        #expect(call.context?.hasPrefix("trimmed; dropped=6") == true)
    }

    @Test("A candidate with more room is asked before anything is left out")
    func larger() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let call = try await router(.trim, servers: [server]).open(request(turns: 6))
        #expect(call.candidate == "p0/model" && call.context == nil)
        #expect(call.decision == "fallback p0/model (local/a: prompt of 140 tokens over 100)")
        await call.abandon()
    }

    @Test("Where the one with more room is down, the other's prompt is shortened after all")
    func largerIsDown() async throws {
        let server = try ScriptedServer(Wire.failure(500))
        let call = try await router(.trim, servers: [server]).open(request(turns: 6))
        #expect(call.candidate == "local/a")
        #expect(call.context?.hasPrefix("trimmed; dropped=6") == true)
        #expect(call.notice?.contains("6 earlier messages") == true)
        await call.abandon()
    }

    @Test("A hosted prompt that is far too long is never sent; near the limit the provider decides")
    func hosted() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try ModelRouter.hosted([server]) {
            $0.models["m"]?.contextTokens = 1000
        }
        var long = request(turns: 0)
        long.messages = [ChatMessage(.user, String(repeating: "word ", count: 2000))]
        let failure = await #expect(throws: Failure.self) { try await router.open(long) }
        #expect(failure?.code == .tooLarge)
        #expect(failure?.message.contains("p0/model reads 1000") == true)
        #expect(server.requests.isEmpty)
        var near = long
        near.messages = [ChatMessage(.user, String(repeating: "word ", count: 750))]
        _ = try await router.answer(near)
        #expect(server.requests.count == 1)
    }

    // MARK: Summaries

    private func summarizing(
        _ requests: Requests, model: String = "s"
    ) throws -> ModelRouter {
        let router = try router(

            .summarize, requests: requests, contextTokens: 4000
        ) { configuration in
            var summary = ModelConfiguration()
            summary.candidates = ["local/\(model)"]
            configuration.models["short"] = summary
            configuration.models["m"]?.contextTokens = 400
            configuration.models["m"]?.context.summaryModel = "short"
            configuration.models["m"]?.context.summaryTokensMax = 60
        }
        router.summarize(with: router)
        return router
    }

    @Test("A summary stands for what is left out, and the next question finds it kept")
    func summarizes() async throws {
        let requests = Requests([])
        let router = try summarizing(requests)
        let call = try await router.open(request(turns: 20))
        #expect(call.context == "summarized; dropped=16; tokens=305; window=400; summary=made")
        #expect(call.notice?.contains("replaced by a summary") == true)
        let summarized = asked(requests)
        #expect(summarized.contains("question 0") && summarized.contains("answered 7"))
        #expect(!summarized.contains("question 8"))
        let sent = asked(requests, at: 1)
        #expect(
            sent.hasPrefix(
                "0123456789[Summary of the earlier conversation: Hello]\nquestion 8answered 8"))
        #expect(sent.utf8.count == 305)
        await call.abandon()
        let next = try await router.open(request(turns: 21))
        #expect(next.context?.hasSuffix("summary=kept") == true)
        #expect(requests.current.count == 3)
        await next.abandon()
    }

    @Test("Where no summary can be made, turns are left out, and the header says both")
    func summaryFails() async throws {
        let call = try await summarizing(Requests([]), model: "absent").open(request(turns: 20))
        #expect(call.context?.hasPrefix("trimmed; dropped=") == true)
        #expect(call.context?.hasSuffix("summary=failed") == true)
        await call.abandon()
    }

    private static let wrong: [(String, @Sendable (inout ContextConfiguration) -> Void)] = [
        ("reserve", { $0.reserve = -1 }), ("summary_tokens_max", { $0.summaryTokensMax = 1 }),
        ("summary_model", { $0.policy = .summarize }),
        ("summary_model", { $0.summaryModel = "m" }),
        (
            "summary_model",
            {
                $0.policy = .summarize
                $0.summaryModel = "m"
            }
        ),
    ]

    @Test(
        "Settings that contradict themselves are refused by name",
        arguments: wrong)
    func validation(key: String, change: @Sendable (inout ContextConfiguration) -> Void) {
        var configuration = InferenceConfiguration()
        var model = ModelConfiguration()
        model.candidates = ["local/a"]
        change(&model.context)
        configuration.models["m"] = model
        let failure = #expect(throws: Failure.self) { try configuration.validate() }
        #expect(failure?.message.contains("inference.models.m.context.\(key)") == true)
    }
}
