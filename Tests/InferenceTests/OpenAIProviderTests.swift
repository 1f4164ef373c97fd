import Core
import Egress
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// The OpenAI provider against scripted bytes on a real connection.
struct OpenAIProviderTests {
    @Test("A stream is answered piece by piece, with its usage")
    func happy() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let (pieces, completion) = try await ModelRouter.hosted([server]).answer()
        #expect(pieces == ["Hel", "lo"])
        #expect(completion.candidate == "p0/model")
        #expect(completion.finishReason == .stop)
        #expect(completion.usage == TokenUsage(freshInput: 7, output: 2))
        #expect(completion.firstTokenMilliseconds != nil)
    }

    @Test("The request is what the API documents")
    func request() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        var request = ChatRequest.hello()
        request.messages = [ChatMessage(.system, "Be \"brief\"."), ChatMessage(.user, "Hello?")]
        request.sampling = SamplingOptions(
            temperature: 0.5, topP: 0.9, seed: .max, stop: ["END"], outputTokensMax: 50)
        _ = try await ModelRouter.hosted([server]).answer(request)
        let seen = try #require(server.requests.first)
        #expect(seen.path == "/v1/chat/completions")
        #expect(seen.headers["authorization"] == "Bearer sk-secret-key-123")
        let body = try #require(
            try JSONSerialization.jsonObject(with: Data(seen.body)) as? NSDictionary)
        let expected: NSDictionary = [
            "model": "model", "stream": true, "stream_options": ["include_usage": true],
            "messages": [
                ["role": "system", "content": "Be \"brief\"."],
                ["role": "user", "content": "Hello?"],
            ],
            "temperature": 0.5, "top_p": 0.9, "seed": Int64.max, "stop": ["END"], "max_tokens": 50,
        ]
        #expect(body == expected)
    }

    @Test("Tools, formats and the rest go to the provider as they were written")
    func structuredRequest() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let schema = #"{"type":"object","properties":{"z":{"const":1.50},"a":{}}}"#
        var request = ChatRequest.hello()
        var called = ChatMessage(.assistant, "")
        called.toolCalls = [ToolCall(id: "c", name: "f", arguments: "{}")]
        var result = ChatMessage(.tool, "ok")
        result.toolCallID = "c"
        request.messages += [called, result]
        request.tools = [
            ToolDefinition(
                name: "f", description: "d", parameters: try JSONValue(parsing: schema.utf8),
                isStrict: true)
        ]
        request.toolChoice = .named("f")
        request.allowsParallelToolCalls = false
        request.responseFormat = .jsonSchema(
            name: "n", schema: try JSONValue(parsing: schema.utf8), isStrict: true)
        request.sampling.presencePenalty = 1
        request.sampling.frequencyPenalty = -1
        request.sampling.logitBias = [5: -100]
        request.sampling.topLogprobs = 2
        _ = try await ModelRouter.hosted([server]).answer(request)
        let body = try JSONValue(parsing: try #require(server.requests.first).body)
        let parts = [
            "tools", "tool_choice", "response_format", "logit_bias", "logprobs", "top_logprobs",
            "presence_penalty", "frequency_penalty", "parallel_tool_calls",
        ].map { body[$0]?.text }
        #expect(
            parts == [
                #"[{"type":"function","function":{"name":"f","description":"d","parameters":"#
                    + schema + #","strict":true}}]"#,
                #"{"type":"function","function":{"name":"f"}}"#,
                #"{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":"#
                    + schema + "}}",
                #"{"5":-100}"#, "true", "2", "1", "-1", "false",
            ])
        let messages = body["messages"]?.array ?? []
        #expect(messages.count == 3 && messages[1]["content"] == nil)
        let call = messages[1]["tool_calls"]?.array?.first
        #expect(call?["id"]?.string == "c" && call?["function"]?["name"]?.string == "f")
        #expect(messages[2]["tool_call_id"]?.string == "c")
    }

    @Test("Calls and log probabilities of a provider come as events")
    func structuredAnswer() async throws {
        let stream =
            #"data: {"choices":[{"delta":{"content":"Hi"},"logprobs":{"content":[{"token":"Hi","#
            + #""bytes":null,"logprob":-0.5,"top_logprobs":[{"token":"Hi","logprob":-0.5}]}]}}]}"#
            + "\n\n"
            + #"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","#
            + #""function":{"name":"f","arguments":""}}]}}]}"# + "\n\n"
            + #"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}"#
            + "]}}]}\n\n"
            + #"data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"# + "\n\n" + Wire.done
        let server = try ScriptedServer(Wire.stream(stream))
        var events: [ChatEvent] = []
        let call = try await ModelRouter.hosted([server]).open(.hello())
        let completion = try await call.run { events.append($0) }
        let top = TokenLogprob(token: "Hi", bytes: [72, 105], logprob: -0.5)
        #expect(
            events == [
                .logprobs([
                    TokenLogprob(token: "Hi", bytes: [72, 105], logprob: -0.5, top: [top])
                ]), .text("Hi"), .toolCall(ToolCallPiece(index: 0, id: "c", name: "f")),
                .toolCall(ToolCallPiece(index: 0, arguments: "{}")),
            ])
        #expect(completion.finishReason == .toolCalls)
    }

    @Test("No key, no authorization header; the trace's headers go along")
    func headers() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        var configuration = ProviderConfiguration()
        configuration.baseUrl = server.url
        let provider = try OpenAIProvider(
            "p", configuration, client: HTTPClient(EgressConfiguration()), environment: .system)
        let call = try await provider.open(
            ProviderRequest(
                principal: .alice, model: "x", messages: [ChatMessage(.user, "?")],
                sampling: SamplingOptions(),
                contextTokens: 100, headers: ["traceparent": "00-ab-cd-01"]))
        await call.abandon()
        let seen = try #require(server.requests.first)
        #expect(seen.headers["authorization"] == nil)
        #expect(seen.headers["traceparent"] == "00-ab-cd-01")
    }

    @Test("Every byte on its own makes the same answer, characters of four bytes included")
    func drip() async throws {
        let text = Wire.text("Grüße 🙂") + Wire.finish() + Wire.done
        let server = try ScriptedServer([
            ScriptedServer.head(), .drip(Array(text.utf8), every: .microseconds(100)),
        ])
        #expect(try await ModelRouter.hosted([server]).answer().0 == ["Grüße 🙂"])
    }

    struct Shape: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let stream: String
        var text = "Hello"
        var finish = Completion.FinishReason.stop
        let usage: TokenUsage
    }

    static let estimated = TokenUsage(freshInput: 10, output: 2, isEstimated: true)
    static let shapes: [Shape] = [
        Shape(
            testDescription: "usage in the last chunk with choices (llama.cpp)",
            stream: Wire.text("Hello")
                + #"data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":"#
                + #"{"prompt_tokens":5,"completion_tokens":1}}"# + "\n\n" + Wire.done,
            usage: TokenUsage(freshInput: 5, output: 1)),
        Shape(
            testDescription: "usage in every chunk, the last one counts (vLLM)",
            stream: #"data: {"choices":[{"delta":{"content":"Hello"}}],"usage":"#
                + #"{"prompt_tokens":5,"completion_tokens":0}}"# + "\n\n" + Wire.finish()
                + Wire.usage(prompt: 5, output: 9) + Wire.done,
            usage: TokenUsage(freshInput: 5, output: 9)),
        Shape(
            testDescription: "usage null before, cached and reasoning parts",
            stream: #"data: {"choices":[{"delta":{"content":"Hello"}}],"usage":null}"# + "\n\n"
                + Wire.finish()
                    + #"""
                    data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,\#
                    "prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},\#
                    "completion_tokens_details":{"reasoning_tokens":40}}}
                    """# + "\n\n" + Wire.done,
            usage: TokenUsage(
                freshInput: 30, cacheRead: 60, cacheWrite: 10, output: 50, reasoning: 40)),
        Shape(
            testDescription: "parts larger than the whole are cut, never negative",
            stream: Wire.text("Hello") + Wire.finish()
                + #"data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":-3,"#
                + #""prompt_tokens_details":{"cached_tokens":60}}}"# + "\n\n",
            usage: TokenUsage(freshInput: 0, cacheRead: 5, output: 0)),
        Shape(
            testDescription: "no usage at all is estimated from bytes",
            stream: Wire.text("Hello") + Wire.finish() + Wire.done, usage: estimated),
        Shape(
            testDescription: "usage of a wrong type is no usage",
            stream: Wire.text("Hello") + Wire.finish()
                + #"data: {"choices":[],"usage":{"prompt_tokens":"many"}}"# + "\n\n" + Wire.done,
            usage: estimated),
        Shape(
            testDescription: "no [DONE]", stream: Wire.text("Hello") + Wire.finish(),
            usage: estimated),
        Shape(
            testDescription: "[DONE] without a blank line and without a reason",
            stream: Wire.text("Hello") + "data: [DONE]", usage: estimated),
        Shape(
            testDescription: "cut at the token limit",
            stream: Wire.text("Hello") + Wire.finish("length") + Wire.done, finish: .length,
            usage: estimated),
        Shape(
            testDescription: "filtered",
            stream: Wire.text("Hello") + Wire.finish("content_filter") + Wire.done,
            finish: .contentFilter, usage: estimated),
        Shape(
            testDescription: "comments, event names and unknown fields (OpenRouter, Azure)",
            stream: ": OPENROUTER PROCESSING\n\n"
                + #"data: {"choices":[],"prompt_filter_results":[{"x":1}]}"# + "\n\n"
                + "event: message\nid: 3\n" + Wire.text("Hello") + Wire.finish() + Wire.done,
            usage: estimated),
        Shape(
            testDescription: "a refusal is the answer",
            stream: #"data: {"choices":[{"delta":{"refusal":"Hello"}}]}"# + "\n\n" + Wire.finish()
                + Wire.done, usage: estimated),
        Shape(
            testDescription: "thoughts are not the answer",
            stream: #"data: {"choices":[{"delta":{"reasoning_content":"Hm."}}]}"# + "\n\n"
                + Wire.text("Hello") + Wire.finish() + Wire.done, usage: estimated),
        Shape(
            testDescription: "nothing to say", stream: Wire.role + Wire.finish() + Wire.done,
            text: "", usage: TokenUsage(freshInput: 10, output: 0, isEstimated: true)),
        Shape(
            testDescription: "what comes after [DONE] does not count",
            stream: Wire.text("Hello") + Wire.finish() + Wire.done + Wire.text("more") + "garbage",
            usage: estimated),
    ]

    @Test("Each server's way to say it is understood", arguments: shapes)
    func shape(row: Shape) async throws {
        let server = try ScriptedServer(Wire.stream(row.stream))
        let (pieces, completion) = try await ModelRouter.hosted([server]).answer()
        #expect(pieces.joined() == row.text)
        #expect(completion.finishReason == row.finish)
        #expect(completion.usage == row.usage)
        #expect((completion.firstTokenMilliseconds == nil) == row.text.isEmpty)
    }

    @Test("A whole answer where a stream was asked for is taken all the same")
    func notAStream() async throws {
        let server = try ScriptedServer(
            ScriptedServer.answer(
                #"""
                {"model":"served","choices":[{"message":{"role":"assistant","content":"Hello"},\#
                "finish_reason":"stop"}],\#
                "usage":{"prompt_tokens":5,"completion_tokens":1}}
                """#))
        let (pieces, completion) = try await ModelRouter.hosted([server]).answer()
        #expect(pieces == ["Hello"])
        #expect(completion.usage == TokenUsage(freshInput: 5, output: 1))
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let steps: [ScriptedServer.Step]
        let code: Failure.Code
    }

    static let refusals: [Refusal] = [
        Refusal(testDescription: "400", steps: Wire.failure(400), code: .invalid),
        Refusal(testDescription: "401", steps: Wire.failure(401), code: .unavailable),
        Refusal(testDescription: "402", steps: Wire.failure(402), code: .unavailable),
        Refusal(testDescription: "403", steps: Wire.failure(403), code: .unavailable),
        Refusal(testDescription: "404", steps: Wire.failure(404), code: .notFound),
        Refusal(testDescription: "413", steps: Wire.failure(413), code: .tooLarge),
        Refusal(testDescription: "429", steps: Wire.failure(429), code: .rateLimited),
        Refusal(
            testDescription: "429 without quota",
            steps: Wire.failure(429, code: "insufficient_quota"), code: .unavailable),
        Refusal(
            testDescription: "too long a prompt",
            steps: Wire.failure(400, code: "context_length_exceeded"), code: .tooLarge),
        Refusal(testDescription: "500", steps: Wire.failure(500), code: .upstream),
        Refusal(testDescription: "503", steps: Wire.failure(503), code: .unavailable),
        Refusal(
            testDescription: "an error that is not JSON",
            steps: ScriptedServer.answer("<html>", status: 502, type: "text/html"),
            code: .upstream),
        Refusal(
            testDescription: "a redirect",
            steps: ScriptedServer.answer("", status: 302, headers: ["Location: http://1.1.1.1/"]),
            code: .upstream),
        Refusal(
            testDescription: "an error event first",
            steps: Wire.stream(Wire.role + Wire.error("no", code: #""server_error""#)),
            code: .upstream),
        Refusal(
            testDescription: "an error event with a status first",
            steps: Wire.stream(Wire.error("no", code: "429")), code: .rateLimited),
        Refusal(
            testDescription: "an error as text (Ollama)",
            steps: Wire.stream("data: {\"error\":\"model is gone\"}\n\n"), code: .upstream),
        Refusal(
            testDescription: "an error event in mid-answer",
            steps: Wire.stream(Wire.text("Hel") + Wire.error("no", code: "500")),
            code: .upstream),
        Refusal(
            testDescription: "an end before anything", steps: Wire.stream(Wire.role),
            code: .upstream),
        Refusal(
            testDescription: "a clean end in mid-answer",
            steps: Wire.stream(Wire.text("Hel") + ""),
            code: .upstream),
        Refusal(
            testDescription: "a broken connection in mid-answer",
            steps: [
                ScriptedServer.head(headers: ["Content-Length: 10000"]), .text(Wire.text("Hel")),
                .wait(.milliseconds(20)), .reset,
            ], code: .upstream),
        Refusal(
            testDescription: "silence in mid-answer",
            steps: [ScriptedServer.head(), .text(Wire.text("Hel")), .untilClosed], code: .timeout),
        Refusal(
            testDescription: "silence before the answer", steps: [.untilClosed], code: .timeout),
        Refusal(
            testDescription: "comments for ever",
            steps: [
                ScriptedServer.head(),
                .drip(
                    Array(String(repeating: ":\n\n", count: 500).utf8), every: .milliseconds(10)),
            ], code: .timeout),
        Refusal(
            testDescription: "garbage", steps: Wire.stream("data: {not json}\n\n"),
            code: .upstream),
        Refusal(
            testDescription: "garbage in mid-answer",
            steps: Wire.stream(Wire.text("Hel") + "data: \u{1}\n\n"), code: .upstream),
        Refusal(
            testDescription: "deep nonsense",
            steps: Wire.stream("data: " + String(repeating: "[", count: 100_000) + "\n\n"),
            code: .upstream),
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
        let router = try ModelRouter.hosted([server], tracer: tracer) { configuration in
            guard row.code == .timeout else { return }
            configuration.providers["p0"]?.firstTokenTimeoutSeconds = 0.3
            configuration.providers["p0"]?.idleTimeoutSeconds = 0.2
        }
        let failure = await #expect(throws: Failure.self) { try await router.answer() }
        #expect(failure?.code == row.code, "\(failure?.description ?? "")")
        #expect(tracer.records.count == 1)
        #expect(tracer.records.first?.error != nil)
    }

    @Test("What was said before an error in the same breath is told, or somebody else is asked")
    func errorInOnePiece() async throws {
        // In one piece with the first word: nothing was shown yet, so the next candidate answers.
        let first = try ScriptedServer(
            Wire.stream(Wire.text("Hel") + Wire.error("no", code: "500")))
        let second = try ScriptedServer(Wire.stream(Wire.hello))
        let (pieces, completion) = try await ModelRouter.hosted([first, second]).answer()
        #expect(pieces == ["Hel", "lo"])
        #expect(completion.candidate == "p1/model")
        // In one piece with a later word: that word is told before the error.
        let gate = Gate()
        let third = try ScriptedServer(
            Wire.stream(
                Wire.text("a"), then: Wire.text("b") + Wire.error("no", code: "500"), after: gate))
        let call = try await ModelRouter.hosted([third]).open(.hello())
        gate.open()
        var text = ""
        await #expect(throws: Failure.self) {
            try await call.run { event in
                if case .text(let piece) = event { text += piece }
            }
        }
        #expect(text == "ab")
    }

    @Test(
        "A refused call says when to come back",
        arguments: [
            (["Retry-After: 7"], Duration.seconds(7)),
            (["retry-after-ms: 1500"], .milliseconds(1500)),
            (["Retry-After: nan"], .seconds(10)), (["Retry-After: -1"], .seconds(10)),
            (["Retry-After: 1e300"], .seconds(86_400)),
        ])
    func retryAfter(headers: [String], expected: Duration) async throws {
        let server = try ScriptedServer(Wire.failure(429, headers: headers))
        let failure = await #expect(throws: Failure.self) {
            try await ModelRouter.hosted([server]).open(.hello())
        }
        #expect(failure?.retryAfter == expected)
    }

    @Test(
        "The key appears nowhere, though the provider repeats it", arguments: [400, 401, 429, 500])
    func secrecy(status: Int) async throws {
        let key = "sk-secret-key-123"
        let server = try ScriptedServer(
            Wire.failure(
                status, code: key,
                message: "Incorrect API key provided: \(key), Bearer \(key). sk-sec***-123"))
        let tracer = RecordingTracer()
        let failure = await #expect(throws: Failure.self) {
            try await ModelRouter.hosted([server], apiKey: key, tracer: tracer).open(.hello())
        }
        let shown = "\(failure?.description ?? key) \(tracer.records)"
        #expect(!shown.contains("secret"))
        #expect(!shown.contains("sk-sec"))
    }

    @Test(
        "Cancelling the reader closes the connection within 100 ms, before and in the answer",
        arguments: [false, true])
    func cancellation(hasBegun: Bool) async throws {
        let server = try ScriptedServer([
            ScriptedServer.head(), .text(hasBegun ? Wire.text("Hel") : Wire.role), .untilClosed,
        ])
        let tracer = RecordingTracer()
        let router = try ModelRouter.hosted([server], tracer: tracer)
        let task = Task { try await router.answer() }
        #expect(await eventually { server.bytesSent > 100 })
        try await Task.sleep(for: .milliseconds(50))
        task.cancel()
        #expect(await eventually(within: .milliseconds(100)) { server.closedByClient == 1 })
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(tracer.records.map { $0.attributes["error.type"] } == ["cancelled"])
    }

    @Test(
        "Abandoning a call, or an error of the reader, closes the connection",
        arguments: [false, true])
    func givingUp(byError: Bool) async throws {
        let server = try ScriptedServer([
            ScriptedServer.head(), .text(Wire.text("Hel")), .untilClosed,
        ])
        let call = try await ModelRouter.hosted([server]).open(.hello())
        if byError {
            let failure = await #expect(throws: Failure.self) {
                try await call.run { _ in throw Failure(.conflict, "Enough.") }
            }
            #expect(failure?.code == .conflict)
        } else {
            await call.abandon()
        }
        #expect(await eventually(within: .milliseconds(100)) { server.closedByClient == 1 })
        await #expect(throws: Failure.self) { try await call.run { _ in } }
    }

    @Test("A slow reader makes the provider wait")
    func backPressure() async throws {
        let piece = Wire.text(String(repeating: "x", count: 1000))
        let count = 20_000
        let server = try ScriptedServer([
            ScriptedServer.head(),
            .text(String(repeating: piece, count: count) + Wire.finish() + Wire.done),
        ])
        let call = try await ModelRouter.hosted([server]).open(.hello())
        try await Task.sleep(for: .milliseconds(200))
        #expect(server.bytesSent < 10_000_000)
        var pieces = 0
        _ = try await call.run { _ in pieces += 1 }
        #expect(pieces == count)
    }

    @Test("A connection that said its last word is used again")
    func reuse() async throws {
        let stream = Wire.hello
        let server = try ScriptedServer([
            ScriptedServer.head(headers: ["Transfer-Encoding: chunked"]),
            ScriptedServer.chunk(stream), .wait(.milliseconds(20)), ScriptedServer.chunk(""),
            .keepOpen,
        ])
        let router = try ModelRouter.hosted([server])
        for _ in 0..<3 {
            #expect(try await router.answer().0 == ["Hel", "lo"])
            try await Task.sleep(for: .milliseconds(60))
        }
        #expect(server.connections == 1)
    }

    @Test("Embeddings come in the texts' order, at length 1, in as many calls as they need")
    func embeddings() async throws {
        let server = try ScriptedServer { request in
            let rows = request.text.components(separatedBy: "text").count - 1
            let data = (0..<rows).reversed().map { #"{"index":\#($0),"embedding":[\#($0),4]}"# }
            return ScriptedServer.answer(
                #"{"data":[\#(data.joined(separator: ","))],"usage":{"prompt_tokens":\#(rows)}}"#)
        }
        let router = try ModelRouter.hosted([server]) { $0.embeddingModel = "p0/embedder" }
        let made = try await router.embed(
            EmbeddingRequest(
                principal: .alice, texts: Array(repeating: "text", count: 130), purpose: "test"))
        #expect(made.candidate == "p0/embedder")
        #expect(made.count == 130)
        #expect(Array(made[3]) == [0.6, 0.8])
        #expect(Array(made[128]) == [0, 1])
        #expect(made.usage == TokenUsage(freshInput: 130))
        #expect(server.requests.count == 2)
    }

    @Test(
        "Embeddings that do not fit their texts are refused",
        arguments: [
            #"{"data":[]}"#, #"{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}"#,
            #"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}"#,
            #"{"data":[{"index":0,"embedding":[1e38,1e38]},{"index":1,"embedding":["x"]}]}"#,
            #"{"data":"#, "", "[]",
        ])
    func badEmbeddings(body: String) async throws {
        let server = try ScriptedServer(ScriptedServer.answer(body))
        let router = try ModelRouter.hosted([server]) { $0.embeddingModel = "p0/embedder" }
        let failure = await #expect(throws: Failure.self) {
            try await router.embed(
                EmbeddingRequest(principal: .alice, texts: ["a", "b"], purpose: "test"))
        }
        #expect(failure?.code == .upstream)
    }
}
