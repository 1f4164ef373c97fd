import Core
import TestSupport
import Testing

@testable import Inference

struct FailureClassTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let status: Int
        var code = ""
        var message = ""
        let kind: FailureClass
        let fallsThrough: Bool

        var testDescription: String { "\(status) \(code)\(message)" }
    }

    static let rows: [Row] = [
        Row(status: 408, kind: .transient, fallsThrough: true),
        Row(status: 424, kind: .transient, fallsThrough: true),
        Row(status: 500, kind: .transient, fallsThrough: true),
        Row(status: 502, kind: .transient, fallsThrough: true),
        Row(status: 503, kind: .transient, fallsThrough: true),
        Row(status: 504, kind: .transient, fallsThrough: true),
        Row(status: 529, kind: .transient, fallsThrough: true),
        Row(status: 302, kind: .transient, fallsThrough: true),
        Row(status: 429, kind: .throttled, fallsThrough: true),
        Row(status: 429, code: "rate_limit_exceeded", kind: .throttled, fallsThrough: true),
        Row(status: 429, code: "insufficient_quota", kind: .exhausted, fallsThrough: true),
        Row(status: 402, kind: .exhausted, fallsThrough: true),
        Row(status: 401, kind: .credential, fallsThrough: true),
        Row(status: 403, kind: .credential, fallsThrough: true),
        Row(status: 400, kind: .caller, fallsThrough: false),
        Row(status: 404, kind: .caller, fallsThrough: false),
        Row(status: 409, kind: .caller, fallsThrough: false),
        Row(status: 413, kind: .caller, fallsThrough: false),
        Row(status: 422, kind: .caller, fallsThrough: false),
        Row(status: 400, code: "context_length_exceeded", kind: .context, fallsThrough: true),
        Row(status: 400, code: "exceed_context_size_error", kind: .context, fallsThrough: true),
        Row(
            status: 400, message: "This model's maximum context length is 4096 tokens.",
            kind: .context, fallsThrough: true),
        Row(
            status: 400, code: "invalid_request_error",
            message: "prompt is too long: 213462 tokens > 200000 maximum", kind: .context,
            fallsThrough: true),
        Row(
            status: 400, code: "invalid_request_error",
            message: "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            kind: .context, fallsThrough: true),
        Row(
            status: 400, code: "invalid_request_error",
            message: "Your credit balance is too low to access the API.", kind: .exhausted,
            fallsThrough: true),
        // With a status that would mean something else.
        Row(status: 400, code: "overloaded_error", kind: .transient, fallsThrough: true),
        Row(status: 400, code: "timeout_error", kind: .transient, fallsThrough: true),
        Row(status: 400, code: "api_error", kind: .transient, fallsThrough: true),
        Row(status: 400, code: "billing_error", kind: .exhausted, fallsThrough: true),
        Row(status: 400, code: "authentication_error", kind: .credential, fallsThrough: true),
        Row(status: 400, code: "permission_error", kind: .credential, fallsThrough: true),
        Row(status: 400, code: "rate_limit_error", kind: .throttled, fallsThrough: true),
        Row(status: 500, code: "not_found_error", kind: .caller, fallsThrough: false),
        Row(status: 500, code: "request_too_large", kind: .caller, fallsThrough: false),
        Row(status: 400, code: "content_filter", kind: .content, fallsThrough: true),
        Row(status: 400, code: "content_policy_violation", kind: .content, fallsThrough: true),
    ]

    @Test("An answer that is an error has the class of the table", arguments: rows)
    func kind(row: Row) async throws {
        // Given a first candidate that answers so, and a second that is well.
        let first = try ScriptedServer(
            Wire.failure(row.status, code: row.code, message: row.message))
        let second = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try ModelRouter.hosted([first, second])
        #expect(
            ProviderError(
                OpenAIError(message: row.message, codes: [row.code], status: nil),
                status: row.status
            ).kind == row.kind)
        // Then the second is asked where the class says so, and the user never knows.
        if row.fallsThrough {
            #expect(try await router.answer().1.candidate == "p1/model")
        } else {
            await #expect(throws: Failure.self) { try await router.open(.hello()) }
        }
        #expect(second.requests.count == (row.fallsThrough ? 1 : 0))
    }

    @Test("Each class says what may be done about it: next, again, health, outage")
    func rules() {
        let rows = FailureClass.allCases.map {
            "\($0) \($0.fallsThrough) \($0.mayPass) \($0.health) \($0.isOutage)"
        }
        #expect(
            rows == [
                "transport true true ill true", "transient true true ill true",
                "throttled true true unknown true", "exhausted true false unknown true",
                "credential true false unknown true", "caller false false well false",
                "context true false well false", "content true false well false",
                "broken true false ill true", "truncated true false ill true",
                "cancelled false false unknown false",
            ])
    }

    struct Death: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let steps: [ScriptedServer.Step]
    }

    @Test(
        "A candidate that dies before its first word is replaced silently",
        arguments: [
            Death(testDescription: "no answer", steps: []),
            Death(testDescription: "reset", steps: [.reset]),
            Death(testDescription: "no first token in time", steps: [.untilClosed]),
            Death(
                testDescription: "an error event",
                steps: Wire.stream(Wire.role + Wire.error("no", code: "500"))),
            Death(testDescription: "an end without words", steps: Wire.stream(Wire.role)),
            Death(testDescription: "garbage", steps: Wire.stream("data: ?\n\n")),
        ])
    func silentFailover(row: Death) async throws {
        let first = try ScriptedServer(row.steps)
        let second = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try ModelRouter.hosted([first, second]) { configuration in
            configuration.providers["p0"]?.firstTokenTimeoutSeconds = 0.2
        }
        let (pieces, completion) = try await router.answer()
        #expect(pieces == ["Hel", "lo"])
        #expect(completion.candidate == "p1/model")
        #expect(first.requests.count == 1)
    }

    @Test("After the first word there is no second candidate, and no answer that looks whole")
    func noFailoverAfterText() async throws {
        let gate = Gate()
        let first = try ScriptedServer(Wire.stream(Wire.text("Hel"), then: "", after: gate))
        let second = try ScriptedServer(Wire.stream(Wire.hello))
        let call = try await ModelRouter.hosted([first, second]).open(.hello())
        gate.open()
        #expect(call.candidate == "p0/model")
        var text = ""
        let failure = await #expect(throws: Failure.self) {
            try await call.run { event in
                if case .text(let piece) = event { text += piece }
            }
        }
        #expect(text == "Hel")
        #expect(failure?.code == .upstream)
        #expect(second.requests.isEmpty)
    }

    @Test("Candidates are asked in their order, and the last failure is the one that is told")
    func order() async throws {
        let servers = try [500, 503, 429].map { try ScriptedServer(Wire.failure($0)) }
        let tracer = RecordingTracer()
        let failure = await #expect(throws: Failure.self) {
            try await ModelRouter.hosted(servers, tracer: tracer).open(.hello())
        }
        #expect(failure?.code == .rateLimited)
        #expect(failure?.retryAfter == .seconds(10))
        #expect(failure?.message.contains("3 candidates of m") == true)
        #expect(
            tracer.records.map { $0.attributes["heptad.candidate"] }
                == ["p0/model", "p1/model", "p2/model"])
    }

    @Test("A caller's mistake ends the search in the middle")
    func callerStops() async throws {
        let servers = try [500, 400, 200].map { try ScriptedServer(Wire.failure($0)) }
        let failure = await #expect(throws: Failure.self) {
            try await ModelRouter.hosted(servers).open(.hello())
        }
        #expect(failure?.code == .invalid)
        #expect(servers[2].requests.isEmpty)
    }
}
