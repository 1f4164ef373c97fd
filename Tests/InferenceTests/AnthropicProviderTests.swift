import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// The Anthropic provider against scripted bytes on a real connection.
struct AnthropicProviderTests {
    @Test("A stream is answered piece by piece, with its usage")
    func happy() async throws {
        let server = try ScriptedServer(Wire.stream(Messages.hello))
        let (pieces, completion) = try await ModelRouter.anthropic([server]).answer()
        #expect(pieces == ["Hel", "lo"])
        #expect(completion.candidate == "p0/model")
        #expect(completion.finishReason == .stop)
        #expect(completion.usage == TokenUsage(freshInput: 7, output: 2))
        #expect(completion.firstTokenMilliseconds != nil)
        #expect(server.requests.count == 1)
    }

    @Test("Without an address of its own, the kind has Anthropic's")
    func address() {
        var configuration = ProviderConfiguration()
        #expect(configuration.address == "https://api.openai.com/v1")
        configuration.kind = "anthropic"
        #expect(configuration.address == "https://api.anthropic.com/v1")
        configuration.baseUrl = "http://127.0.0.1:1/v1"
        #expect(configuration.address == "http://127.0.0.1:1/v1")
    }

    private func body(_ request: ChatRequest) async throws -> JSONValue {
        let server = try ScriptedServer(Wire.stream(Messages.hello))
        _ = try await ModelRouter.anthropic([server]).answer(request)
        return try JSONValue(parsing: try #require(server.requests.first).body)
    }

    @Test("The request is what the API documents")
    func request() async throws {
        let server = try ScriptedServer(Wire.stream(Messages.hello))
        var request = ChatRequest.hello()
        request.messages = [
            ChatMessage(.system, "Be \"brief\"."), ChatMessage(.system, "Be kind."),
            ChatMessage(.user, "Hello?"),
        ]
        request.sampling = SamplingOptions(
            temperature: 1.5, topK: 5, topP: 0.9, seed: 1, stop: ["END"], outputTokensMax: 50)
        _ = try await ModelRouter.anthropic([server]).answer(request)
        let seen = try #require(server.requests.first)
        #expect(seen.path == "/v1/messages")
        #expect(seen.headers["x-api-key"] == "sk-ant-secret-key-123")
        #expect(seen.headers["authorization"] == nil)
        #expect(seen.headers["anthropic-version"] == "2023-06-01")
        #expect(
            seen.text
                == #"""
                {"model":"model","max_tokens":50,"stream":true,"system":[\#
                {"type":"text","text":"Be \"brief\"."},{"type":"text","text":"Be kind."}],\#
                "messages":[{"role":"user","content":\#
                [{"type":"text","text":"Hello?"}]}],"temperature":1.0,"top_p":0.9,"top_k":5,\#
                "stop_sequences":["END"]}
                """#)
    }

    struct Sampling: Sendable, CustomTestStringConvertible {
        let words: String
        /// Temperature, top_p and top_k of each request that two calls make.
        let sent: [String]

        var testDescription: String { words }
    }

    @Test(
        "A model that refuses sampling options is asked again without, and not with them again",
        arguments: [
            Sampling(
                words: "`temperature` is deprecated for this model.",
                sent: ["0.0 0.5 3", "- - -", "- - -"]),
            Sampling(
                words: "`temperature` and `top_p` cannot both be specified for this model.",
                sent: ["0.0 0.5 3", "0.0 - 3", "0.0 - 3"]),
            Sampling(words: "messages: too many", sent: ["0.0 0.5 3"]),
        ])
    func sampling(row: Sampling) async throws {
        let server = try ScriptedServer(
            Messages.failure(400, "invalid_request_error", row.words),
            Wire.stream(Messages.hello))
        let router = try ModelRouter.anthropic([server])
        var request = ChatRequest.hello()
        request.sampling = SamplingOptions(temperature: 0, topK: 3, topP: 0.5)
        if row.sent.count > 1 {
            for _ in 0..<2 { #expect(try await router.answer(request).0 == ["Hel", "lo"]) }
        } else {
            await #expect(throws: Failure.self) { try await router.answer(request) }
        }
        let sent = try server.requests.map { seen in
            let body = try JSONValue(parsing: seen.body)
            return ["temperature", "top_p", "top_k"].map { body[$0]?.text ?? "-" }
                .joined(separator: " ")
        }
        #expect(sent == row.sent)
    }

    @Test("A model that refuses sampling options to the last is not asked for ever")
    func samplingRefused() async throws {
        let server = try ScriptedServer(
            Messages.failure(400, "invalid_request_error", "temperature, both or not: no"))
        var request = ChatRequest.hello()
        request.sampling = SamplingOptions(temperature: 0, topP: 0.5)
        let failure = await #expect(throws: Failure.self) {
            try await ModelRouter.anthropic([server]).answer(request)
        }
        #expect(failure?.code == .invalid && server.requests.count == 3)
    }

    @Test("The longest answer is always said, since the API has no default for it")
    func outputTokensMax() async throws {
        #expect(try await body(.hello())["max_tokens"]?.int == 4096)
    }

    @Test("Calls, what they gave and images are blocks; one role's messages in a row are one")
    func conversation() async throws {
        var request = ChatRequest.hello()
        var called = ChatMessage(.assistant, "Let me see.")
        called.toolCalls = [
            ToolCall(id: "call.1", name: "f", arguments: #"{"z":1.50,"a":[]}"#),
            ToolCall(id: "c2", name: "g", arguments: ""),
            ToolCall(id: "c3", name: "g", arguments: #"{"cut"#),
        ]
        var results = ["one", "", "three"].map { ChatMessage(.tool, $0) }
        results[0].toolCallID = "call.1"
        results[1].toolCallID = "c2"
        results[2].toolCallID = "c3"
        let question = ChatMessage(
            .user,
            [
                .text("And this?"),
                .image(ChatImage(.inline(mediaType: "image/png", base64: "AAAA"))),
                .image(ChatImage(.address("https://example.org/a.png"))),
            ])
        request.messages = [ChatMessage(.user, "Hi"), ChatMessage(.user, ""), called]
        request.messages += results + [question]
        #expect(
            try await body(request)["messages"]?.text
                == #"""
                [{"role":"user","content":[{"type":"text","text":"Hi"}]},\#
                {"role":"assistant","content":[{"type":"text","text":"Let me see."},\#
                {"type":"tool_use","id":"call_1","name":"f","input":{"z":1.50,"a":[]}},\#
                {"type":"tool_use","id":"c2","name":"g","input":{}},\#
                {"type":"tool_use","id":"c3","name":"g","input":{"arguments":"{\"cut"}}]},\#
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1",\#
                "content":[{"type":"text","text":"one"}]},\#
                {"type":"tool_result","tool_use_id":"c2"},\#
                {"type":"tool_result","tool_use_id":"c3","content":[{"type":"text","text":"three"}]},\#
                {"type":"text","text":"And this?"},{"type":"image","source":{"type":"base64",\#
                "media_type":"image/png","data":"AAAA"}},{"type":"image","source":\#
                {"type":"url","url":"https://example.org/a.png"}}]}]
                """#)
    }

    private static let schema = #"{"type":"object","properties":{"z":{"const":1.50},"a":{}}}"#

    private static func tools() throws -> [ToolDefinition] {
        [
            ToolDefinition(
                name: "f", description: "d", parameters: try JSONValue(parsing: schema.utf8),
                isStrict: true), ToolDefinition(name: "g"),
        ]
    }

    @Test("Tools go as they were written")
    func tools() async throws {
        var request = ChatRequest.hello()
        request.tools = try Self.tools()
        let body = try await body(request)
        #expect(
            body["tools"]?.text
                == #"[{"name":"f","description":"d","input_schema":\#(Self.schema),"strict":true},"#
                + #"{"name":"g","input_schema":{"type":"object"}}]"#)
    }

    struct Choice: Sendable, CustomTestStringConvertible {
        let choice: ToolChoice
        var isParallel = true
        var format = ResponseFormat.text
        var hasTools = true
        let json: String?

        var testDescription: String { "\(choice) \(isParallel) \(format) \(hasTools)" }
    }

    @Test(
        "Each choice of tools has its word",
        arguments: [
            Choice(choice: .auto, json: #"{"type":"auto"}"#),
            Choice(
                choice: .auto, isParallel: false,
                json: #"{"type":"auto","disable_parallel_tool_use":true}"#),
            Choice(choice: .none, json: #"{"type":"none"}"#),
            Choice(choice: .required, json: #"{"type":"any"}"#),
            Choice(choice: .named("g"), json: #"{"type":"tool","name":"g"}"#),
            Choice(
                choice: .named("g"), isParallel: false,
                json: #"{"type":"tool","name":"g","disable_parallel_tool_use":true}"#),
            Choice(choice: .auto, hasTools: false, json: nil),
            Choice(
                choice: .auto, format: .jsonObject,
                json: #"{"type":"any","disable_parallel_tool_use":true}"#),
            Choice(
                choice: .none, format: .jsonObject,
                json: #"{"type":"tool","name":"answer_in_json","disable_parallel_tool_use":true}"#),
            Choice(
                choice: .auto, format: .jsonObject, hasTools: false,
                json: #"{"type":"tool","name":"answer_in_json","disable_parallel_tool_use":true}"#),
            Choice(choice: .required, format: .jsonObject, json: #"{"type":"any"}"#),
        ])
    func choice(row: Choice) async throws {
        var request = ChatRequest.hello()
        request.tools = row.hasTools ? try Self.tools() : []
        request.toolChoice = row.choice
        request.allowsParallelToolCalls = row.isParallel
        request.responseFormat = row.format
        #expect(try await body(request)["tool_choice"]?.text == row.json)
    }

    @Test("A strict schema is the format of the answer")
    func strictSchema() async throws {
        var request = ChatRequest.hello()
        request.responseFormat = .jsonSchema(
            name: "n", schema: try JSONValue(parsing: Self.schema.utf8), isStrict: true)
        let body = try await body(request)
        #expect(
            body["output_config"]?.text
                == #"{"format":{"type":"json_schema","schema":\#(Self.schema)}}"#)
        #expect(body["tools"] == nil && body["tool_choice"] == nil)
    }

    @Test("Any other JSON is the input of a tool, and comes as text")
    func answerTool() async throws {
        let stream =
            Messages.start()
            + Messages.open(
                0, #"{"type":"tool_use","id":"t","name":"answer_in_json","input":{}}"#)
            + Messages.json(#"{"z""#, at: 0) + Messages.json(":1}", at: 0) + Messages.close()
            + Messages.end("tool_use") + Messages.stop
        let server = try ScriptedServer(Wire.stream(stream))
        var request = ChatRequest.hello()
        request.responseFormat = .jsonSchema(
            name: "n", schema: try JSONValue(parsing: Self.schema.utf8), isStrict: false)
        var events: [ChatEvent] = []
        let call = try await ModelRouter.anthropic([server]).open(request)
        let completion = try await call.run { events.append($0) }
        #expect(events == [.text(#"{"z""#), .text(":1}")])
        #expect(completion.finishReason == .stop)
        let seen = try JSONValue(parsing: try #require(server.requests.first).body)
        let tool = seen["tools"]?.array?.first
        #expect(tool?["name"]?.string == "answer_in_json")
        #expect(tool?["input_schema"]?.text == Self.schema)
        #expect(seen["output_config"] == nil)
    }

    @Test("Thoughts, text and calls come as events, in order, whatever their indices")
    func events() async throws {
        let stream =
            Messages.start()
            + Messages.open(0, #"{"type":"thinking","thinking":"","signature":""}"#)
            + Messages.delta(0, #"{"type":"thinking_delta","thinking":"Hm."}"#)
            + Messages.delta(0, #"{"type":"signature_delta","signature":"EqQB"}"#)
            + Messages.close(0) + Messages.open(1) + Messages.text("Hi", at: 1) + Messages.close(1)
            + Messages.open(2, #"{"type":"tool_use","id":"t1","name":"f","input":{}}"#)
            + Messages.json("", at: 2) + Messages.json(#"{"a":"#, at: 2)
            + Messages.json("1}", at: 2) + Messages.close(2)
            + Messages.open(3, #"{"type":"server_tool_use","id":"s","name":"web","input":{}}"#)
            + Messages.json(#"{"q":1}"#, at: 3) + Messages.close(3)
            + Messages.open(5, #"{"type":"tool_use","id":"t2","name":"g","input":{}}"#)
            + Messages.close(5) + Messages.end("tool_use") + Messages.stop
        let server = try ScriptedServer(Wire.stream(stream))
        var events: [ChatEvent] = []
        let call = try await ModelRouter.anthropic([server]).open(.hello())
        let completion = try await call.run { events.append($0) }
        #expect(
            events == [
                .reasoning("Hm."), .seal(.signature("EqQB")), .text("Hi"),
                .toolCall(ToolCallPiece(index: 0, id: "t1", name: "f")),
                .toolCall(ToolCallPiece(index: 0, arguments: #"{"a":"#)),
                .toolCall(ToolCallPiece(index: 0, arguments: "1}")),
                .toolCall(ToolCallPiece(index: 1, id: "t2", name: "g")),
                .toolCall(ToolCallPiece(index: 1, arguments: "{}")),
            ])
        #expect(completion.finishReason == .toolCalls)
    }

    @Test("Every byte on its own makes the same answer, characters of four bytes included")
    func drip() async throws {
        let text =
            Messages.start() + Messages.open(0) + Messages.text("Grüße 🙂") + Messages.close()
            + Messages.end() + Messages.stop
        let server = try ScriptedServer([
            ScriptedServer.head(), .drip(Array(text.utf8), every: .microseconds(100)),
        ])
        #expect(try await ModelRouter.anthropic([server]).answer().0 == ["Grüße 🙂"])
    }

    struct Shape: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let stream: String
        var finish = Completion.FinishReason.stop
        var usage = TokenUsage(freshInput: 7, output: 2)
    }

    private static let text = Messages.open(0) + Messages.text("Hello") + Messages.close()

    static let shapes: [Shape] = [
        Shape(
            testDescription: "parts of the cache are beside the input, not in it",
            stream: Messages.start(
                #"{"input_tokens":5,"cache_read_input_tokens":60,"#
                    + #""cache_creation_input_tokens":10,"output_tokens":1}"#) + text
                + Messages.end(
                    usage: #"{"output_tokens":50,"output_tokens_details":{"thinking_tokens":40}}"#)
                + Messages.stop,
            usage: TokenUsage(
                freshInput: 5, cacheRead: 60, cacheWrite: 10, output: 50, reasoning: 40)),
        Shape(
            testDescription: "what the end says again replaces what the start said",
            stream: Messages.start(
                #"{"input_tokens":0,"cache_read_input_tokens":1,"output_tokens":0}"#) + text
                + Messages.end(
                    usage: #"{"input_tokens":9,"cache_read_input_tokens":3,"output_tokens":2}"#)
                + Messages.end(usage: #"{"input_tokens":null,"output_tokens":4}"#) + Messages.stop,
            usage: TokenUsage(freshInput: 9, cacheRead: 3, output: 4)),
        Shape(
            testDescription: "the cache's writes, told by their durations only",
            stream: Messages.start(
                #"{"input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":4,"#
                    + #""ephemeral_1h_input_tokens":6}}"#) + text + Messages.end() + Messages.stop,
            usage: TokenUsage(freshInput: 5, cacheWrite: 10, output: 2)),
        Shape(
            testDescription: "no usage at all is estimated from bytes",
            stream: Messages.start("null") + text + Messages.end(usage: "null") + Messages.stop,
            usage: TokenUsage(freshInput: 10, output: 2, isEstimated: true)),
        Shape(
            testDescription: "usage of wrong types, or negative, is not believed",
            stream: Messages.start(#"{"input_tokens":"many","cache_read_input_tokens":-5}"#) + text
                + Messages.end(usage: #"{"output_tokens":1e300}"#) + Messages.stop,
            usage: TokenUsage(freshInput: 10, output: 2, isEstimated: true)),
        Shape(
            testDescription: "max_tokens",
            stream: Messages.start() + text + Messages.end("max_tokens") + Messages.stop,
            finish: .length),
        Shape(
            testDescription: "model_context_window_exceeded",
            stream: Messages.start() + text + Messages.end("model_context_window_exceeded")
                + Messages.stop, finish: .length),
        Shape(
            testDescription: "stop_sequence",
            stream: Messages.start() + text + Messages.end("stop_sequence") + Messages.stop),
        Shape(
            testDescription: "refusal",
            stream: Messages.start() + text + Messages.end("refusal") + Messages.stop,
            finish: .contentFilter),
        Shape(
            testDescription: "no names of events, comments, and events nobody knows yet",
            stream: ": x\n\n"
                + (Messages.start() + text + Messages.event(#"{"type":"new_thing"}"#)
                + Messages.end() + Messages.stop)
                .replacing(/event: [a-z_]+\n/, with: "")),
        Shape(
            testDescription: "text in the start of its block",
            stream: Messages.start() + Messages.open(0, #"{"type":"text","text":"Hello"}"#)
                + Messages.close() + Messages.end() + Messages.stop),
        Shape(
            testDescription: "what comes after message_stop does not count",
            stream: Messages.start() + text + Messages.end() + Messages.stop + text + "data: x\n\n"),
    ]

    @Test("Each way to say it is understood", arguments: shapes)
    func shape(row: Shape) async throws {
        let server = try ScriptedServer(Wire.stream(row.stream))
        let (pieces, completion) = try await ModelRouter.anthropic([server]).answer()
        #expect(pieces.joined() == "Hello")
        #expect(completion.finishReason == row.finish)
        #expect(completion.usage == row.usage)
    }

    @Test("A whole answer where a stream was asked for is the same answer, at the same price")
    func whole() async throws {
        let usage =
            #"{"input_tokens":5,"cache_read_input_tokens":60,"cache_creation_input_tokens":10,"#
            + #""output_tokens":50}"#
        let call = #"{"type":"tool_use","id":"t","name":"f","input":{"z":1,"a":2}}"#
        let whole = ScriptedServer.answer(
            #"""
            {"id":"m","type":"message","role":"assistant","model":"served","content":[\#
            {"type":"thinking","thinking":"Hm.","signature":"s"},\#
            {"type":"text","text":"Hi"},\#(call)],"stop_reason":"tool_use","usage":\#(usage)}
            """#
        )
        let streamed = Wire.stream(
            Messages.start(usage) + Messages.open(0, #"{"type":"thinking","thinking":"Hm."}"#)
                + Messages.delta(0, #"{"type":"signature_delta","signature":"s"}"#)
                + Messages.close() + Messages.open(1) + Messages.text("Hi", at: 1)
                + Messages.close(1) + Messages.open(2, call) + Messages.close(2)
                + Messages.end("tool_use", usage: #"{"output_tokens":50}"#) + Messages.stop)
        var answers: [[ChatEvent]] = []
        var usages: [TokenUsage] = []
        for steps in [whole, streamed] {
            var events: [ChatEvent] = []
            let server = try ScriptedServer(steps)
            let call = try await ModelRouter.anthropic([server]).open(.hello())
            let completion = try await call.run { events.append($0) }
            #expect(completion.finishReason == .toolCalls && server.requests.count == 1)
            answers.append(events)
            usages.append(completion.usage)
        }
        #expect(answers[0] == answers[1])
        #expect(
            answers[0] == [
                .reasoning("Hm."), .seal(.signature("s")), .text("Hi"),
                .toolCall(
                    ToolCallPiece(index: 0, id: "t", name: "f", arguments: #"{"z":1,"a":2}"#)),
            ])
        #expect(usages[0] == usages[1])
        #expect(
            usages[0] == TokenUsage(freshInput: 5, cacheRead: 60, cacheWrite: 10, output: 50))
    }
}
