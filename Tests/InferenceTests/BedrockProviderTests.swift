import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Egress
@testable import Inference

/// Bedrock's Converse against scripted frames on a real connection.
struct BedrockProviderTests {
    @Test("A stream of frames is answered piece by piece, with the usage that comes last")
    func happy() async throws {
        let server = try ScriptedServer(Frames.stream(Frames.hello))
        let (events, completion) = try await router(server).everything()
        #expect(
            events == [
                .reasoning("Hm."), .seal(.signature("c2ln")), .text("Hel"), .text("lo"),
            ])
        #expect(completion.finishReason == .stop)
        // Bedrock's input is without what the cache had.
        #expect(
            completion.usage == TokenUsage(freshInput: 7, cacheRead: 60, cacheWrite: 5, output: 2))
        #expect(completion.firstTokenMilliseconds != nil)
        let seen = try #require(server.requests.first)
        #expect(seen.path == "/model/anthropic.claude-v1%3A0/converse-stream")
        #expect(seen.headers["authorization"] == "Bearer sk-secret-key-123")
        #expect(seen.headers["x-amz-date"] == nil)
    }

    @Test("Every byte on its own makes the same answer")
    func drip() async throws {
        let server = try ScriptedServer([
            ScriptedServer.head(type: "application/vnd.amazon.eventstream"),
            .drip(Frames.hello, every: .microseconds(50)),
        ])
        #expect(try await router(server).answer().0 == ["Hel", "lo"])
    }

    @Test(
        "Without a token a call is signed, as it went over the wire", arguments: ["", "temporary"])
    func signed(sessionToken: String) async throws {
        let server = try ScriptedServer(Frames.stream(Frames.hello))
        let router = try router(server) {
            $0.apiKey = ""
            $0.region = "eu-central-1"
            $0.accessKeyId = "AKIDEXAMPLE"
            $0.secretAccessKey = "hush"
            $0.sessionToken = sessionToken
        }
        _ = try await router.answer()
        let seen = try #require(server.requests.first)
        #expect(seen.headers["x-amz-security-token"] == (sessionToken.isEmpty ? nil : sessionToken))
        // What the server saw, signed again at the moment that it was told.
        let date = try #require(seen.headers["x-amz-date"])
        let digits = Array(date)
        let text =
            "\(String(digits[0..<4]))-\(String(digits[4..<6]))-\(String(digits[6..<8]))T"
            + "\(String(digits[9..<11])):\(String(digits[11..<13])):\(String(digits[13..<15])).000Z"
        let moment = try JSONDecoder().decode(Timestamp.self, from: Data("\"\(text)\"".utf8))
        let again = try AWSSignature(
            region: "eu-central-1", service: "bedrock", accessKeyID: "AKIDEXAMPLE",
            secretAccessKey: "hush", sessionToken: sessionToken
        ).headers(
            for: HTTPRequest(
                seen.method, "http://\(seen.headers["host"] ?? "")\(seen.path)",
                headers: [HTTPHeader("Content-Type", seen.headers["content-type"] ?? "")],
                body: seen.body), at: moment)
        #expect(seen.headers["authorization"] == again["authorization"])
        #expect(seen.headers["authorization"]?.contains("/eu-central-1/bedrock/") == true)
    }

    @Test("The request is what the API documents")
    func request() async throws {
        let server = try ScriptedServer(Frames.stream(Frames.hello))
        var request = try ChatRequest.conversation()
        request.sampling = SamplingOptions(
            temperature: 0.5, topK: 40, topP: 0.9, minP: 0.1, seed: 3, stop: ["END"],
            outputTokensMax: 50)
        request.responseFormat = .jsonSchema(
            name: "n", schema: try JSONValue(parsing: #"{"type":"object"}"#.utf8), isStrict: true)
        request.toolChoice = .named("time")
        _ = try await router(server).everything(request)
        let body = try server.body()
        #expect(
            body["messages"]?.text
                == #"""
                [{"role":"user","content":[{"text":"What is this?"},\#
                {"image":{"format":"png","source":{"bytes":"iVBORw=="}}}]},\#
                {"role":"assistant","content":[{"text":"Wait."},\#
                {"toolUse":{"toolUseId":"call_1","name":"weather","input":{"city":"Oslo"}}},\#
                {"toolUse":{"toolUseId":"b","name":"time","input":{}}}]},\#
                {"role":"user","content":[{"toolResult":{"toolUseId":"call_1","content":\#
                [{"text":"{\"degrees\":7}"}]}},\#
                {"toolResult":{"toolUseId":"b","content":[{"text":"noon"}]}},\#
                {"text":"Go on."}]}]
                """#)
        #expect(body["system"]?.text == #"[{"text":"Be brief."}]"#)
        #expect(
            body["inferenceConfig"]?.text
                == #"{"maxTokens":50,"temperature":0.5,"topP":0.9,"stopSequences":["END"]}"#)
        #expect(
            body["toolConfig"]?.text
                == #"""
                {"tools":[{"toolSpec":{"name":"weather","description":"d","inputSchema":\#
                {"json":\#(ChatRequest.schema)},"strict":true}},\#
                {"toolSpec":{"name":"time","inputSchema":\#
                {"json":{"type":"object","properties":{}}}}}],\#
                "toolChoice":{"tool":{"name":"time"}}}
                """#)
        #expect(
            body["outputConfig"]?.text
                == #"{"textFormat":{"type":"json_schema","structure":{"jsonSchema":"#
                + #"{"schema":"{\"type\":\"object\"}","name":"n"}}}}"#)
        #expect(body["additionalModelRequestFields"]?.text == #"{"top_k":40}"#)
    }

    struct Choice: Sendable {
        let choice: ToolChoice
        let hasCalls: Bool
        let expected: String?
    }

    @Test(
        "Whether tools may be called goes along, or the tools do not",
        arguments: [
            Choice(choice: .auto, hasCalls: false, expected: #"{"auto":{}}"#),
            Choice(choice: .required, hasCalls: false, expected: #"{"any":{}}"#),
            Choice(choice: .none, hasCalls: false, expected: nil),
            Choice(choice: .none, hasCalls: true, expected: #"{"auto":{}}"#),
        ])
    func toolChoice(row: Choice) async throws {
        let server = try ScriptedServer(Frames.stream(Frames.hello))
        var request = try ChatRequest.conversation()
        if !row.hasCalls { request.messages = [ChatMessage(.user, "?")] }
        request.toolChoice = row.choice
        _ = try await router(server).everything(request)
        #expect(try server.body()["toolConfig"]?["toolChoice"]?.text == row.expected)
    }

    @Test("JSON without a schema is asked for in words, and blank texts are not sent")
    func words() async throws {
        let server = try ScriptedServer(Frames.stream(Frames.hello))
        var request = ChatRequest.hello()
        request.messages = [
            ChatMessage(.user, "a"), ChatMessage(.assistant, " \n"), ChatMessage(.user, "b"),
        ]
        request.responseFormat = .jsonObject
        _ = try await router(server).everything(request)
        let body = try server.body()
        #expect(
            body["messages"]?.text
                == #"[{"role":"user","content":[{"text":"a"},{"text":"b"}]}]"#)
        #expect(body["system"]?.array?.count == 1)
    }

    @Test(
        "Images that Bedrock does not take are refused before anything is sent",
        arguments: [
            ChatImage.Source.address("https://example.com/a.png"),
            .inline(mediaType: "image/tiff", base64: "AA=="),
        ])
    func images(source: ChatImage.Source) async throws {
        let server = try ScriptedServer(Frames.stream(Frames.hello))
        var request = ChatRequest.hello()
        request.messages = [ChatMessage(.user, [.image(ChatImage(source))])]
        let router = try router(server)
        let failure = await #expect(throws: Failure.self) { try await router.open(request) }
        #expect(failure?.code == .unsupported)
        #expect(server.requests.isEmpty)
    }

    @Test("Calls come in pieces, counted among themselves")
    func calls() async throws {
        var bytes = Frames.event("messageStart", #"{"role":"assistant"}"#)
        bytes += Frames.text("Hi")
        bytes += Frames.event("contentBlockStop", #"{"contentBlockIndex":0}"#)
        for (block, name) in [(1, "a"), (2, "b")] {
            let tool = #"{"toolUse":{"toolUseId":"t\#(block)","name":"\#(name)"}}"#
            bytes += Frames.event(
                "contentBlockStart", #"{"contentBlockIndex":\#(block),"start":\#(tool)}"#)
            for piece in [#"{\"x\":"#, "1}"] {
                let delta = #"{"toolUse":{"input":"\#(piece)"}}"#
                bytes += Frames.event(
                    "contentBlockDelta", #"{"contentBlockIndex":\#(block),"delta":\#(delta)}"#)
            }
        }
        bytes += Frames.stop("tool_use")
        bytes += Frames.usage
        let server = try ScriptedServer(Frames.stream(bytes))
        let (events, completion) = try await router(server).everything()
        #expect(
            events == [
                .text("Hi"), .toolCall(ToolCallPiece(index: 0, id: "t1", name: "a")),
                .toolCall(ToolCallPiece(index: 0, arguments: #"{"x":"#)),
                .toolCall(ToolCallPiece(index: 0, arguments: "1}")),
                .toolCall(ToolCallPiece(index: 1, id: "t2", name: "b")),
                .toolCall(ToolCallPiece(index: 1, arguments: #"{"x":"#)),
                .toolCall(ToolCallPiece(index: 1, arguments: "1}")),
            ])
        #expect(completion.finishReason == .toolCalls)
    }

    struct Ending: Sendable, CustomTestStringConvertible {
        let reason: String
        let finish: Completion.FinishReason

        var testDescription: String { reason }
    }

    @Test(
        "Each reason to end is one of ours",
        arguments: [
            Ending(reason: "end_turn", finish: .stop),
            Ending(reason: "stop_sequence", finish: .stop),
            Ending(reason: "max_tokens", finish: .length),
            Ending(reason: "model_context_window_exceeded", finish: .length),
            Ending(reason: "guardrail_intervened", finish: .contentFilter),
            Ending(reason: "content_filtered", finish: .contentFilter),
        ])
    func endings(row: Ending) async throws {
        // Without usage, which is then estimated.
        let server = try ScriptedServer(
            Frames.stream(Frames.text("Hello") + Frames.stop(row.reason)))
        let completion = try await router(server).answer().1
        #expect(completion.finishReason == row.finish)
        #expect(completion.usage == TokenUsage(freshInput: 10, output: 2, isEstimated: true))
    }

    @Test("A whole answer where a stream was asked for is taken all the same")
    func whole() async throws {
        let server = try ScriptedServer(
            ScriptedServer.answer(
                #"""
                {"output":{"message":{"role":"assistant","content":[{"reasoningContent":\#
                {"reasoningText":{"text":"Hm."}}},{"text":"Hello"},{"toolUse":\#
                {"toolUseId":"t","name":"f","input":{"x":1}}}]}},"stopReason":"tool_use",\#
                "usage":{"inputTokens":5,"outputTokens":1,"totalTokens":6}}
                """#))
        let (events, completion) = try await router(server).everything()
        #expect(
            events == [
                .reasoning("Hm."), .text("Hello"),
                .toolCall(ToolCallPiece(index: 0, id: "t", name: "f")),
                .toolCall(ToolCallPiece(index: 0, arguments: #"{"x":1}"#)),
            ])
        #expect(completion.usage == TokenUsage(freshInput: 5, output: 1))
        #expect(completion.finishReason == .toolCalls)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let steps: [ScriptedServer.Step]
        let code: Failure.Code
        var words = ""
    }

    static let refusals: [Refusal] = [
        Refusal(
            testDescription: "a bad request", steps: Frames.failure(400, "ValidationException"),
            code: .invalid, words: "words of theirs"),
        Refusal(
            testDescription: "too long a prompt",
            steps: Frames.failure(
                400, "ValidationException", message: "Input is too long for requested model."),
            code: .tooLarge),
        Refusal(
            testDescription: "a quota of the account",
            steps: Frames.failure(400, "ServiceQuotaExceededException"), code: .unavailable,
            words: "nothing left"),
        Refusal(
            testDescription: "no access", steps: Frames.failure(403, "AccessDeniedException"),
            code: .unavailable, words: "refused its key"),
        Refusal(
            testDescription: "a wrong signature",
            steps: Frames.failure(
                403, "InvalidSignatureException:http://internal.amazon.com/coral/"),
            code: .unavailable, words: "refused its key"),
        Refusal(
            testDescription: "a name in the body only",
            steps: ScriptedServer.answer(
                #"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"m"}"#,
                status: 400), code: .unavailable, words: "refused its key"),
        Refusal(
            testDescription: "no such model",
            steps: Frames.failure(404, "ResourceNotFoundException"), code: .notFound),
        Refusal(
            testDescription: "a model's time-out",
            steps: Frames.failure(408, "ModelTimeoutException"), code: .upstream),
        Refusal(
            testDescription: "a model's error", steps: Frames.failure(424, "ModelErrorException"),
            code: .upstream),
        Refusal(
            testDescription: "too many calls", steps: Frames.failure(429, "ThrottlingException"),
            code: .rateLimited),
        Refusal(
            testDescription: "too many tokens for a day",
            steps: Frames.failure(
                429, "ThrottlingException", message: "Too many tokens per day, please wait."),
            code: .unavailable, words: "nothing left"),
        Refusal(
            testDescription: "a model that is not ready",
            steps: Frames.failure(429, "ModelNotReadyException"), code: .upstream),
        Refusal(
            testDescription: "internal", steps: Frames.failure(500, "InternalServerException"),
            code: .upstream),
        Refusal(
            testDescription: "unavailable",
            steps: Frames.failure(503, "ServiceUnavailableException"), code: .unavailable),
        Refusal(
            testDescription: "an exception first",
            steps: Frames.stream(Frames.exception("throttlingException")), code: .rateLimited),
        Refusal(
            testDescription: "an exception about the request",
            steps: Frames.stream(Frames.exception("validationException")), code: .invalid),
        Refusal(
            testDescription: "an exception in mid-answer",
            steps: Frames.stream(
                Frames.text("Hel") + Frames.exception("modelStreamErrorException")),
            code: .upstream),
        Refusal(
            testDescription: "an error of the transport",
            steps: Frames.stream(
                Frames.frame([
                    ":message-type": "error", ":error-code": "InternalServerException",
                    ":error-message": "m",
                ])), code: .upstream),
        Refusal(
            testDescription: "a malformed call",
            steps: Frames.stream(Frames.stop("malformed_tool_use")), code: .upstream),
        Refusal(testDescription: "nothing at all", steps: Frames.stream([]), code: .upstream),
        Refusal(
            testDescription: "a clean end in mid-answer", steps: Frames.stream(Frames.text("Hel")),
            code: .upstream, words: "broke off"),
        Refusal(
            testDescription: "an end in mid-frame",
            steps: Frames.stream(Array(Frames.hello.dropLast(400))), code: .upstream),
        Refusal(
            testDescription: "a wrong checksum",
            steps: Frames.stream(Frames.text("Hel") + Frames.text("lo").dropLast() + [0]),
            code: .upstream),
        Refusal(
            testDescription: "a frame without end",
            steps: Frames.stream(Frames.huge), code: .upstream),
        Refusal(
            testDescription: "a payload that is not JSON",
            steps: Frames.stream(Frames.event("contentBlockDelta", "{?")), code: .upstream),
        Refusal(
            testDescription: "silence in mid-answer",
            steps: Frames.stream(Frames.text("Hel")) + [.untilClosed], code: .timeout),
    ]

    @Test("What goes wrong ends in a failure that says so", arguments: refusals)
    func refusal(row: Refusal) async throws {
        let server = try ScriptedServer(row.steps)
        let router = try router(server) {
            if row.code == .timeout { $0.idleTimeoutSeconds = 0.2 }
        }
        let failure = await #expect(throws: Failure.self) { try await router.answer() }
        #expect(failure?.code == row.code, "\(failure?.description ?? "")")
        #expect(row.words.isEmpty || failure?.message.contains(row.words) == true)
    }

    @Test("No key, secret or token is repeated")
    func secrecy() async throws {
        let words = ["AKIDEXAMPLE", "hush-hush", "temporary-token"]
        let server = try ScriptedServer(
            Frames.failure(
                403, "InvalidSignatureException", message: words.joined(separator: " and ")))
        let tracer = RecordingTracer()
        let router = try router(server, tracer: tracer) {
            $0.apiKey = ""
            $0.region = "us-east-1"
            ($0.accessKeyId, $0.secretAccessKey, $0.sessionToken) = (words[0], words[1], words[2])
        }
        let failure = await #expect(throws: Failure.self) { try await router.answer() }
        let shown = "\(failure?.description ?? words[0]) \(tracer.records)"
        #expect(words.filter { shown.contains($0) } == [])
    }

    @Test("Events that are not known, and fields of a wrong type, are stepped over")
    func unknown() async throws {
        let bytes =
            Frames.event("somethingNew", "{}") + Frames.frame([":message-type": "riddle"])
            + Frames.event("contentBlockDelta", #"{"contentBlockIndex":9,"delta":{"text":7}}"#)
            + Frames.event(
                "contentBlockDelta", #"{"contentBlockIndex":3,"delta":{"toolUse":{"input":"{}"}}}"#)
            + Frames.text("Hello") + Frames.stop("end_turn")
            + Frames.event("metadata", #"{"usage":{"inputTokens":"7","outputTokens":-1}}"#)
        let server = try ScriptedServer(Frames.stream(bytes))
        let (events, completion) = try await router(server).everything()
        #expect(events == [.text("Hello")])
        #expect(completion.usage == TokenUsage(freshInput: 10, output: 0, isEstimated: true))
    }

    struct Maker: Sendable, CustomTestStringConvertible {
        let model: String
        let body: String
        let answer: String
        var headers: [String] = []

        var testDescription: String { model }
    }

    @Test(
        "Embeddings are asked for in their maker's words, and come at length 1",
        arguments: [
            Maker(
                model: "amazon.titan-embed-text-v2:0", body: #"{"inputText":"a"}"#,
                answer: #"{"embedding":[3,4],"inputTextTokenCount":5}"#),
            Maker(
                model: "cohere.embed-english-v3",
                body: #"{"texts":["a","b"],"input_type":"search_document","truncate":"END"}"#,
                answer: #"{"embeddings":[[3,4],[0,2]],"response_type":"embeddings_floats"}"#,
                headers: ["X-Amzn-Bedrock-Input-Token-Count: 10"]),
            Maker(
                model: "eu.cohere.embed-v4:0",
                body: #"{"texts":["a","b"],"input_type":"search_document","truncate":"END"}"#,
                answer: #"{"embeddings":{"float":[[3,4],[0,2]]}}"#,
                headers: ["X-Amzn-Bedrock-Input-Token-Count: 10"]),
        ])
    func embeddings(maker: Maker) async throws {
        let server = try ScriptedServer(
            ScriptedServer.answer(maker.answer, headers: maker.headers))
        let router = try ModelRouter.hosted([server]) {
            $0.providers["p0"]?.kind = "bedrock"
            $0.providers["p0"]?.baseUrl = server.url
            $0.embeddingModel = "p0/\(maker.model)"
        }
        let embeddings = try await router.embed(
            EmbeddingRequest(principal: .alice, texts: ["a", "b"], purpose: "test"))
        #expect(Array(embeddings[0]) == [0.6, 0.8] && embeddings.count == 2)
        #expect(embeddings.usage == TokenUsage(freshInput: 10))
        let request = try #require(server.requests.first)
        #expect(request.text == maker.body)
        #expect(
            request.path == "/model/\(maker.model.replacing(":", with: "%3A"))/invoke")
    }

    @Test("Embeddings that cannot be read, and a maker that nobody knows, are failures")
    func brokenEmbeddings() async throws {
        for (model, answer) in [
            ("amazon.titan-embed-text-v2:0", #"{"embedding":"none"}"#),
            ("cohere.embed-english-v3", #"{"embeddings":[[1,2]]}"#), ("meta.llama3", "{}"),
        ] {
            let server = try ScriptedServer(ScriptedServer.answer(answer))
            let router = try ModelRouter.hosted([server]) {
                $0.providers["p0"]?.kind = "bedrock"
                $0.providers["p0"]?.baseUrl = server.url
                $0.embeddingModel = "p0/\(model)"
            }
            await #expect(throws: Failure.self) {
                try await router.embed(
                    EmbeddingRequest(principal: .alice, texts: ["a", "b"], purpose: "test"))
            }
        }
    }

    private func router(
        _ server: ScriptedServer, tracer: RecordingTracer = RecordingTracer(),
        _ change: (inout ProviderConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try .hosted(
            server, kind: "bedrock", model: "anthropic.claude-v1:0", tracer: tracer, change)
    }
}

/// The bytes of Bedrock's streams.
enum Frames {
    static func frame(_ headers: [String: String], _ payload: String = "") -> [UInt8] {
        var head: [UInt8] = []
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            head += [UInt8(name.utf8.count)] + Array(name.utf8)
            head += [7, 0, UInt8(value.utf8.count)] + Array(value.utf8)
        }
        let body = head + Array(payload.utf8)
        let lengths = number(UInt32(body.count + 16)) + number(UInt32(head.count))
        let content = lengths + number(CRC32.of(lengths)) + body
        return content + number(CRC32.of(content))
    }

    static func event(_ type: String, _ payload: String) -> [UInt8] {
        frame(
            [
                ":message-type": "event", ":event-type": type, ":content-type": "application/json",
            ], payload)
    }

    static func text(_ text: String) -> [UInt8] {
        event("contentBlockDelta", #"{"contentBlockIndex":0,"delta":{"text":"\#(text)"}}"#)
    }

    static func stop(_ reason: String) -> [UInt8] {
        event("messageStop", #"{"stopReason":"\#(reason)"}"#)
    }

    static func exception(_ type: String) -> [UInt8] {
        frame(
            [":message-type": "exception", ":exception-type": type],
            #"{"message":"words of theirs"}"#)
    }

    static let usage = event(
        "metadata",
        #"{"usage":{"inputTokens":7,"outputTokens":2,"totalTokens":74,"cacheReadInputTokens":60,"#
            + #""cacheWriteInputTokens":5},"metrics":{"latencyMs":12}}"#)

    static let hello =
        event("messageStart", #"{"role":"assistant"}"#)
        + event(
            "contentBlockDelta",
            #"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"Hm."}}}"#)
        + event(
            "contentBlockDelta",
            #"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}"#)
        + text("Hel") + text("lo") + event("contentBlockStop", #"{"contentBlockIndex":1}"#)
        + stop("end_turn") + usage

    /// The lengths of a frame of 4 GiB, rightly summed.
    static let huge: [UInt8] = {
        let lengths = number(.max) + number(0)
        return lengths + number(CRC32.of(lengths))
    }()

    static func stream(_ bytes: [UInt8]) -> [ScriptedServer.Step] {
        [ScriptedServer.head(type: "application/vnd.amazon.eventstream"), .send(bytes)]
    }

    static func failure(_ status: Int, _ name: String, message: String = "words of theirs")
        -> [ScriptedServer.Step]
    {
        ScriptedServer.answer(
            #"{"message":"\#(message)"}"#, status: status, headers: ["x-amzn-ErrorType: \(name)"])
    }

    private static func number(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }
}
