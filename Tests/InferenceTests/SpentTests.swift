import Core
import TestSupport
import Testing

@testable import Inference

/// What attempts took that came to nothing: told, so that it is booked, and counted against what a
/// request may cost.
@Suite struct SpentTests {
    /// A dollar for a million tokens in, ten for as many out; ten times that at `p1`.
    struct Prices: Pricing {
        func ceiling(of candidate: String, input: Int, output: Int) throws -> Picodollars {
            cost(of: CandidateUsage(candidate, TokenUsage(freshInput: input, output: output)))
        }

        func cost(of part: CandidateUsage) -> Picodollars {
            let factor: Int64 = part.candidate.hasPrefix("p1/") ? 10 : 1
            let tokens = Int64(part.usage.input) + 10 * Int64(part.usage.output)
            return Picodollars(tokens * factor * 1_000_000)
        }
    }

    private static let overloaded = Messages.error("overloaded_error")

    private func anthropic(
        _ servers: [ScriptedServer], _ change: (inout InferenceConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try .hosted(servers, pricing: Prices()) { configuration in
            for name in configuration.providers.keys {
                configuration.providers[name]?.kind = "anthropic"
            }
            change(&configuration)
        }
    }

    @Test("An attempt that dies before its first word is told with the usage that it began with")
    func beforeFirstWord() async throws {
        let dying = Messages.start(#"{"input_tokens":70,"output_tokens":1}"#) + Self.overloaded
        let servers = [
            try ScriptedServer(Wire.stream(dying)), try ScriptedServer(Wire.stream(Messages.hello)),
        ]
        let call = try await anthropic(servers).open(.hello())
        let part = CandidateUsage(
            "p0/model", TokenUsage(freshInput: 70, output: 0, isEstimated: true))
        #expect(call.spent == [part])
        let completion = try await call.run { _ in }
        #expect(completion.candidate == "p1/model" && completion.usage.freshInput == 7)
        #expect(call.spent == [part])
    }

    @Test("Where nobody answers, the failure has what each took")
    func nobody() async throws {
        let servers = try [30, 40].map { count in
            try ScriptedServer(
                Wire.stream(
                    Messages.start(#"{"input_tokens":\#(count)}"#) + Self.overloaded))
        }
        let failure = await #expect(throws: Failure.self) {
            try await anthropic(servers).open(.hello())
        }
        #expect(failure?.spent.map(\.candidate) == ["p0/model", "p1/model"])
        #expect(failure?.spent.map(\.usage.freshInput) == [30, 40])
    }

    @Test("A stream of OpenAI's that tells its usage and then fails is told, too")
    func openAI() async throws {
        let text =
            Wire.role + Wire.usage(prompt: 9, output: 0)
            + Wire.error("no", code: #""server_error""#)
        let failure = await #expect(throws: Failure.self) {
            try await ModelRouter.hosted([try ScriptedServer(Wire.stream(text))]).open(.hello())
        }
        #expect(failure?.spent.map(\.usage.freshInput) == [9])
        let silent = await #expect(throws: Failure.self) {
            try await ModelRouter.hosted([try ScriptedServer(Wire.failure(503))]).open(.hello())
        }
        #expect(silent?.spent == [])
    }

    @Test("An answer that breaks off is told with the usage that was known")
    func midStream() async throws {
        let text =
            Messages.start(#"{"input_tokens":50}"#) + Messages.open(0)
            + Messages.text("Hello you")
        let gate = Gate()
        let server = try ScriptedServer(
            Wire.stream(text, then: Self.overloaded, after: gate))
        let call = try await anthropic([server]).open(.hello())
        gate.open()
        let failure = await #expect(throws: Failure.self) { try await call.run { _ in } }
        #expect(
            failure?.spent == [
                CandidateUsage("p0/model", TokenUsage(freshInput: 50, output: 3, isEstimated: true))
            ])
        #expect(call.spent == [])
    }

    // MARK: What a request may cost

    /// The quote of `hello` at `p0`: some tokens of prompt and 100 of answer.
    private static let quote = Picodollars((15 + 10 * 100) * 1_000_000)

    private func limited(_ dollars: String, _ servers: [ScriptedServer], attempts: Int = 2) throws
        -> ModelRouter
    {
        try anthropic(servers) {
            $0.models["m"]?.costMaxDollars = dollars
            $0.models["m"]?.outputTokensMax = 100
            $0.retries.attemptsMax = attempts
        }
    }

    @Test("Who could cost more than a request may is not asked, and a cheaper one is")
    func tooDear() async throws {
        let servers = try (0..<2).map { _ in try ScriptedServer(Wire.stream(Messages.hello)) }
        let router = try limited("0.002", servers)
        let call = try await router.open(.hello())
        #expect(call.candidate == "p0/model")
        await call.abandon()
        let onlyDear = try anthropic(servers) {
            $0.models["m"]?.candidates = ["p1/model"]
            $0.models["m"]?.costMaxDollars = "0.002"
            $0.models["m"]?.outputTokensMax = 100
        }
        let failure = await #expect(throws: Failure.self) { try await onlyDear.open(.hello()) }
        #expect(failure?.code == .budgetExceeded)
        #expect(failure?.message.contains("$0.002") == true)
        #expect(servers[1].requests.isEmpty)
        var short = ChatRequest.hello()
        short.sampling.outputTokensMax = 10
        await (try onlyDear.open(short)).abandon()
    }

    @Test("Attempts stop when what was spent and the next one's quote would pass the limit")
    func spentStops() async throws {
        let dying = Messages.start(#"{"input_tokens":900}"#) + Self.overloaded
        for (dollars, asked) in [("0.0018", 1), ("0.0025", 2), ("1", 4)] {
            let server = try ScriptedServer(Wire.stream(dying))
            let router = try limited(dollars, [server], attempts: 4)
            let failure = await #expect(throws: Failure.self) { try await router.open(.hello()) }
            // The charged attempts have a limit of their own.
            #expect(server.requests.count == min(asked, 3), "\(dollars)")
            #expect(failure?.spent.count == min(asked, 3))
            #expect(failure?.code == .unavailable)
        }
    }

    @Test("An amount that is none is refused at the start")
    func amounts() throws {
        for text in ["0", "-1", "much", "1e99", "0.0000000000001"] {
            let failure = #expect(throws: Failure.self) {
                _ = try limited(text, [try ScriptedServer(Wire.stream(Messages.hello))])
            }
            #expect(failure?.message.contains("cost_max_dollars") == true, "\(text)")
        }
    }
}
