import Core
import TestSupport
import Testing

@testable import Inference

/// What goes wrong at an endpoint that speaks Anthropic's messages.
struct AnthropicFailureTests {
    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let steps: [ScriptedServer.Step]
        let code: Failure.Code
        var says = ""
    }

    private static let begun = Messages.start() + Messages.open(0) + Messages.text("Hel")

    private static func status(
        _ status: Int, _ type: String, _ code: Failure.Code, _ message: String = "words of theirs"
    ) -> Refusal {
        Refusal(
            testDescription: "\(status) \(type) \(message)",
            steps: Messages.failure(status, type, message), code: code)
    }

    static let refusals: [Refusal] = [
        status(400, "invalid_request_error", .invalid),
        status(
            400, "invalid_request_error", .tooLarge, "prompt is too long: 9 tokens > 8 maximum"),
        status(
            400, "invalid_request_error", .unavailable, "Your credit balance is too low to go on."),
        status(401, "authentication_error", .unavailable),
        status(402, "billing_error", .unavailable),
        status(403, "permission_error", .unavailable),
        status(404, "not_found_error", .notFound),
        status(413, "request_too_large", .tooLarge),
        status(429, "rate_limit_error", .rateLimited),
        status(500, "api_error", .upstream),
        status(504, "timeout_error", .upstream),
        status(529, "overloaded_error", .unavailable),
        Refusal(
            testDescription: "an error that is not JSON",
            steps: ScriptedServer.answer("<html>", status: 502, type: "text/html"),
            code: .upstream),
        Refusal(
            testDescription: "an error in a whole answer under 200",
            steps: Messages.failure(200, "rate_limit_error"), code: .rateLimited),
        Refusal(
            testDescription: "an error event first",
            steps: Wire.stream(Messages.start() + Messages.error("overloaded_error")),
            code: .unavailable),
        Refusal(
            testDescription: "an error event of no known type first",
            steps: Wire.stream(Messages.start() + Messages.error("new_error")), code: .upstream),
        Refusal(
            testDescription: "an error event that says nothing",
            steps: Wire.stream(Messages.event(#"{"type":"error"}"#)), code: .upstream),
        Refusal(
            testDescription: "an error event in mid-answer",
            steps: Wire.stream(begun + Messages.error("overloaded_error")), code: .unavailable),
        Refusal(
            testDescription: "an end before anything", steps: Wire.stream(Messages.start()),
            code: .upstream, says: "broke off"),
        Refusal(
            testDescription: "a clean end in mid-answer", steps: Wire.stream(begun),
            code: .upstream, says: "broke off"),
        Refusal(
            testDescription: "a clean end after the reason, before message_stop",
            steps: Wire.stream(begun + Messages.close() + Messages.end()), code: .upstream,
            says: "broke off"),
        Refusal(
            testDescription: "a whole answer without a reason",
            steps: ScriptedServer.answer(#"{"content":[{"type":"text","text":"Hel"}]}"#),
            code: .upstream, says: "broke off"),
        Refusal(
            testDescription: "a broken connection in mid-answer",
            steps: [
                ScriptedServer.head(headers: ["Content-Length: 10000"]), .text(begun),
                .wait(.milliseconds(20)), .reset,
            ], code: .upstream),
        Refusal(
            testDescription: "silence in mid-answer",
            steps: [ScriptedServer.head(), .text(begun), .untilClosed], code: .timeout),
        Refusal(
            testDescription: "pings for ever",
            steps: [
                ScriptedServer.head(),
                .drip(
                    Array(String(repeating: Messages.ping, count: 50).utf8),
                    every: .milliseconds(1)),
            ], code: .timeout),
        Refusal(
            testDescription: "garbage", steps: Wire.stream("data: {not json}\n\n"),
            code: .upstream, says: "cannot be read"),
        Refusal(
            testDescription: "no object", steps: Wire.stream("data: 7\n\n"), code: .upstream,
            says: "cannot be read"),
        Refusal(
            testDescription: "a delta of nothing",
            steps: Wire.stream(Messages.event(#"{"type":"content_block_delta","index":0}"#)),
            code: .upstream, says: "cannot be read"),
        Refusal(
            testDescription: "an index that is none",
            steps: Wire.stream(
                Messages.event(
                    #"{"type":"content_block_delta","index":-1e99,"delta":{"type":"text_delta"}}"#)
            ), code: .upstream, says: "cannot be read"),
        Refusal(
            testDescription: "blocks without end",
            steps: Wire.stream((0..<200).map { Messages.open($0) }.joined()), code: .upstream,
            says: "cannot be read"),
        Refusal(
            testDescription: "deep nonsense",
            steps: Wire.stream("data: " + String(repeating: "[", count: 100_000) + "\n\n"),
            code: .upstream, says: "cannot be read"),
        Refusal(
            testDescription: "a line without end",
            steps: [ScriptedServer.head(), .text("data: "), .flood(8 * 1024 * 1024)],
            code: .upstream),
    ]

    @Test(
        "What goes wrong ends in a failure that says so, and never in an answer",
        arguments: refusals)
    func refusal(row: Refusal) async throws {
        let server = try ScriptedServer(row.steps)
        let tracer = RecordingTracer()
        let router = try ModelRouter.anthropic([server], tracer: tracer) { configuration in
            guard row.code == .timeout else { return }
            configuration.providers["p0"]?.firstTokenTimeoutSeconds = 0.3
            configuration.providers["p0"]?.idleTimeoutSeconds = 0.2
        }
        let failure = await #expect(throws: Failure.self) { try await router.answer() }
        #expect(failure?.code == row.code, "\(failure?.description ?? "")")
        #expect(failure?.message.contains(row.says) != false || row.says.isEmpty)
        #expect(tracer.records.count == 1)
        #expect(tracer.records.first?.error != nil)
    }

    @Test("What an overloaded candidate said before its first word is never seen")
    func failover() async throws {
        for steps in [
            Messages.failure(529, "overloaded_error"),
            Wire.stream(Messages.start() + Messages.ping + Messages.error("overloaded_error")),
            Wire.stream(Messages.start() + Messages.open(0)),
        ] {
            let first = try ScriptedServer(steps)
            let second = try ScriptedServer(Wire.stream(Messages.hello))
            let (pieces, completion) = try await ModelRouter.anthropic([first, second]).answer()
            #expect(pieces == ["Hel", "lo"])
            #expect(completion.candidate == "p1/model")
        }
    }

    @Test("A refused call says when to come back")
    func retryAfter() async throws {
        let server = try ScriptedServer(
            Messages.failure(429, "rate_limit_error", headers: ["retry-after: 7"]))
        let failure = await #expect(throws: Failure.self) {
            try await ModelRouter.anthropic([server]).open(.hello())
        }
        #expect(failure?.retryAfter == .seconds(7))
    }

    @Test("The key appears nowhere, though the provider repeats it", arguments: [400, 401, 429])
    func secrecy(status: Int) async throws {
        let key = "sk-ant-secret-key-123"
        let server = try ScriptedServer(
            Messages.failure(status, key, "invalid x-api-key: \(key), sk-ant***-123"))
        let tracer = RecordingTracer()
        let failure = await #expect(throws: Failure.self) {
            try await ModelRouter.anthropic([server], apiKey: key, tracer: tracer).open(.hello())
        }
        let shown = "\(failure?.description ?? key) \(tracer.records)"
        #expect(!shown.contains("secret"))
        #expect(!shown.contains("sk-ant"))
    }

    @Test("Abandoning a call closes the connection")
    func abandon() async throws {
        let server = try ScriptedServer([
            ScriptedServer.head(), .text(Self.begun), .untilClosed,
        ])
        let call = try await ModelRouter.anthropic([server]).open(.hello())
        await call.abandon()
        #expect(await eventually(within: .milliseconds(100)) { server.closedByClient == 1 })
    }

    @Test("It makes no embeddings, and says what to do")
    func embeddings() async throws {
        let server = try ScriptedServer([])
        let router = try ModelRouter.anthropic([server]) { $0.embeddingModel = "p0/model" }
        let failure = await #expect(throws: Failure.self) {
            try await router.embed(
                EmbeddingRequest(principal: .alice, texts: ["a"], purpose: "test"))
        }
        #expect(failure?.message.contains("inference.embedding_model") == true)
        #expect(server.requests.isEmpty)
    }
}
