import Core
import Egress
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// Gemini's API against scripted bytes on a real connection.
struct GeminiProviderTests {
    @Test("A stream is answered piece by piece, thoughts apart, with the last usage")
    func happy() async throws {
        let server = try ScriptedServer(Wire.stream(Gemini.hello))
        let (events, completion) = try await router(server).everything()
        #expect(events == [.reasoning("Hm."), .text("Hel"), .text("lo")])
        #expect(completion.candidate == "p0/gemini-2.5-flash")
        #expect(completion.finishReason == .stop)
        // 100 asked with 60 from the cache, and 9 that tools were given; 5 said and 20 thought.
        #expect(
            completion.usage == TokenUsage(freshInput: 49, cacheRead: 60, output: 25, reasoning: 20)
        )
        #expect(completion.firstTokenMilliseconds != nil)
        let seen = try #require(server.requests.first)
        #expect(seen.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
        #expect(seen.headers["x-goog-api-key"] == "sk-secret-key-123")
        #expect(seen.headers["authorization"] == nil)
    }

    @Test("The request is what the API documents")
    func request() async throws {
        let server = try ScriptedServer(Wire.stream(Gemini.hello))
        var request = try ChatRequest.conversation()
        request.sampling = SamplingOptions(
            temperature: 0.5, topK: 40, topP: 1, minP: 0.1, seed: .max, stop: ["END"],
            outputTokensMax: 50)
        request.sampling.presencePenalty = 1
        request.sampling.frequencyPenalty = -0.5
        request.sampling.repetitionPenalty = 1.1
        request.sampling.logitBias = [5: 1]
        request.sampling.topLogprobs = 2
        request.responseFormat = .jsonSchema(
            name: "n", schema: try JSONValue(parsing: ChatRequest.schema.utf8), isStrict: true)
        _ = try await router(server).everything(request)
        let body = try server.body()
        #expect(
            body["contents"]?.text
                == #"""
                [{"role":"user","parts":[{"text":"What is this?"},\#
                {"inlineData":{"mimeType":"image/png","data":"iVBORw=="}}]},\#
                {"role":"model","parts":[{"text":"Wait."},\#
                {"functionCall":{"id":"call.1","name":"weather","args":{"city":"Oslo"}}},\#
                {"functionCall":{"id":"b","name":"time","args":{}}}]},\#
                {"role":"user","parts":[{"functionResponse":{"id":"call.1","name":"weather",\#
                "response":{"degrees":7}}},\#
                {"functionResponse":{"id":"b","name":"time","response":{"output":"noon"}}},\#
                {"text":"Go on."}]}]
                """#)
        #expect(body["systemInstruction"]?.text == #"{"parts":[{"text":"Be brief."}]}"#)
        #expect(
            body["tools"]?.text
                == #"""
                [{"functionDeclarations":[{"name":"weather","description":"d",\#
                "parametersJsonSchema":\#(ChatRequest.schema)},{"name":"time"}]}]
                """#)
        let expected =
            #"""
            {"maxOutputTokens":50,"temperature":0.5,"topP":1,"topK":40,"seed":2147483647,\#
            "presencePenalty":1,"frequencyPenalty":-0.5,"stopSequences":["END"],\#
            "responseLogprobs":true,"logprobs":2,"responseMimeType":"application/json",\#
            "responseJsonSchema":\#(ChatRequest.schema)
            """# + "}"
        #expect(body["generationConfig"]?.text == expected)
    }

    @Test(
        "Whether tools may be called goes along",
        arguments: [
            (ToolChoice.auto, #"{"mode":"AUTO"}"#), (.none, #"{"mode":"NONE"}"#),
            (.required, #"{"mode":"ANY"}"#),
            (.named("time"), #"{"mode":"ANY","allowedFunctionNames":["time"]}"#),
        ])
    func toolChoice(choice: ToolChoice, expected: String) async throws {
        let server = try ScriptedServer(Wire.stream(Gemini.hello))
        var request = try ChatRequest.conversation()
        request.toolChoice = choice
        _ = try await router(server).everything(request)
        #expect(try server.body()["toolConfig"]?["functionCallingConfig"]?.text == expected)
    }

    @Test("An image at an address and JSON without a schema go as what they are")
    func others() async throws {
        let server = try ScriptedServer(Wire.stream(Gemini.hello))
        var request = ChatRequest.hello()
        request.messages = [
            ChatMessage(.user, [.image(ChatImage(.address("https://example.com/a.PNG?x=.gif")))])
        ]
        request.responseFormat = .jsonObject
        _ = try await router(server).everything(request)
        let body = try server.body()
        #expect(
            body["contents"]?.array?.first?["parts"]?.text
                == #"[{"fileData":{"fileUri":"https://example.com/a.PNG?x=.gif","mimeType":"image/png"}}]"#
        )
        #expect(body["generationConfig"]?["responseMimeType"]?.string == "application/json")
        #expect(body["generationConfig"]?["responseJsonSchema"] == nil)
        #expect(body["tools"] == nil && body["toolConfig"] == nil)
        #expect(body["systemInstruction"] == nil)
    }

    @Test("Calls come whole, end an answer that says STOP, and have ids where none were given")
    func calls() async throws {
        let server = try ScriptedServer(
            Wire.stream(
                Gemini.parts(
                    #"{"functionCall":{"id":"g1","name":"f","args":{"z":1.50,"a":{}}},"#
                        + #""thoughtSignature":"c2ln"},{"functionCall":{"name":"g"}}"#)
                    + Gemini.finish()))
        let (events, completion) = try await router(server).everything()
        let pieces = events.compactMap { event -> ToolCallPiece? in
            if case .toolCall(let piece) = event { piece } else { nil }
        }
        #expect(pieces.count == 2 && events.count == 2)
        #expect(
            pieces.first
                == ToolCallPiece(
                    index: 0, id: "g1__thought__c2ln", name: "f", arguments: #"{"z":1.50,"a":{}}"#))
        #expect(pieces.last?.index == 1 && pieces.last?.arguments == "{}")
        #expect(pieces.last?.id?.hasPrefix("gemini-call-") == true)
        #expect(completion.finishReason == .toolCalls)
    }

    @Test("A signature goes back with its call, and an id of ours does not")
    func signatures() async throws {
        let server = try ScriptedServer(Wire.stream(Gemini.hello))
        var request = ChatRequest.hello()
        var first = ChatMessage(.assistant, "")
        first.toolCalls = [ToolCall(id: "g1__thought__c2ln", name: "f", arguments: "{}")]
        var second = ChatMessage(.assistant, "")
        second.toolCalls = [
            ToolCall(id: "gemini-call-7", name: "f", arguments: "[1]"),
            ToolCall(id: "x", name: "f", arguments: "{}"),
        ]
        var result = ChatMessage(.tool, "ok")
        result.toolCallID = "g1__thought__c2ln"
        request.messages = [
            ChatMessage(.user, "?"), first, result, ChatMessage(.user, "?"), second,
        ]
        _ = try await router(server, model: "gemini-3-flash").everything(request)
        let contents = try server.body()["contents"]?.array ?? []
        #expect(
            contents.map { $0["parts"]?.text } == [
                #"[{"text":"?"}]"#,
                #"[{"functionCall":{"id":"g1","name":"f","args":{}},"thoughtSignature":"c2ln"}]"#,
                #"[{"functionResponse":{"id":"g1","name":"f","response":{"output":"ok"}}},"#
                    + #"{"text":"?"}]"#,
                #"""
                [{"functionCall":{"name":"f","args":{"arguments":"[1]"}},\#
                "thoughtSignature":"skip_thought_signature_validator"},\#
                {"functionCall":{"id":"x","name":"f","args":{}}}]
                """#,
            ])
    }

    @Test(
        "A signature survives in an id that every interface takes",
        arguments: ["c2ln", "c2lnbg==", "+/+/", "ab+/cQ="])
    func signatureInID(signature: String) {
        let id = GeminiCallID.text(theirs: "g1", signature: signature) { 7 }
        #expect(id.allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" })
        let padded = signature == "ab+/cQ=" ? "ab+/cQ==" : signature
        #expect(GeminiCallID(id).theirs == "g1" && GeminiCallID(id).signature == padded)
    }

    @Test(
        "What is no signature is left out of the id",
        arguments: ["", "no base64!", String(repeating: "a", count: 20_000)])
    func noSignature(text: String) {
        #expect(GeminiCallID.text(theirs: "g1", signature: text) { 7 } == "g1")
        #expect(GeminiCallID.text(theirs: "", signature: text) { 7 } == "gemini-call-77")
    }

    struct Ending: Sendable, CustomTestStringConvertible {
        let reason: String
        let finish: Completion.FinishReason

        var testDescription: String { reason }
    }

    @Test(
        "Each reason to end is one of ours",
        arguments: [
            Ending(reason: "STOP", finish: .stop), Ending(reason: "MAX_TOKENS", finish: .length),
            Ending(reason: "SAFETY", finish: .contentFilter),
            Ending(reason: "RECITATION", finish: .contentFilter),
            Ending(reason: "PROHIBITED_CONTENT", finish: .contentFilter),
            Ending(reason: "SPII", finish: .contentFilter),
            Ending(reason: "IMAGE_SAFETY", finish: .contentFilter),
            Ending(reason: "OTHER", finish: .stop),
        ])
    func endings(row: Ending) async throws {
        let server = try ScriptedServer(
            Wire.stream(Gemini.text("Hello") + Gemini.finish(row.reason)))
        #expect(try await router(server).answer().1.finishReason == row.finish)
    }

    @Test("Log probabilities, a whole answer and a list of answers are understood")
    func shapes() async throws {
        let chunk =
            #"""
            {"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP",\#
            "logprobsResult":{"chosenCandidates":[{"token":"Hi","logProbability":-0.5}],\#
            "topCandidates":[{"candidates":[{"token":"Hi","logProbability":-0.5}]}]}}]}
            """#
        let token = TokenLogprob(token: "Hi", bytes: [72, 105], logprob: -0.5)
        for body in [chunk, "[\(chunk)]"] {
            let server = try ScriptedServer(ScriptedServer.answer(body))
            let (events, completion) = try await router(server).everything()
            #expect(
                events == [
                    .logprobs([
                        TokenLogprob(token: "Hi", bytes: [72, 105], logprob: -0.5, top: [token])
                    ]), .text("Hi"),
                ])
            #expect(completion.usage == TokenUsage(freshInput: 10, output: 1, isEstimated: true))
        }
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let steps: [ScriptedServer.Step]
        let code: Failure.Code
        var retryAfter: Duration?
        var words = ""
    }

    static let refusals: [Refusal] = [
        Refusal(
            testDescription: "a wrong key, with 400",
            steps: Gemini.failure(
                400, "INVALID_ARGUMENT",
                details: #"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","#
                    + #""reason":"API_KEY_INVALID"}"#),
            code: .unavailable, words: "refused its key"),
        Refusal(
            testDescription: "no permission", steps: Gemini.failure(403, "PERMISSION_DENIED"),
            code: .unavailable, words: "refused its key"),
        Refusal(
            testDescription: "a bad request", steps: Gemini.failure(400, "INVALID_ARGUMENT"),
            code: .invalid, words: "words of theirs"),
        Refusal(
            testDescription: "no such model", steps: Gemini.failure(404, "NOT_FOUND"),
            code: .notFound),
        Refusal(
            testDescription: "too long a prompt",
            steps: Gemini.failure(
                400, "INVALID_ARGUMENT",
                message:
                    "The input token count (9) exceeds the maximum number of tokens allowed (8)."
            ), code: .tooLarge),
        Refusal(
            testDescription: "too many calls a minute",
            steps: Gemini.failure(
                429, "RESOURCE_EXHAUSTED",
                details: #"""
                    {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":\#
                    [{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]},\#
                    {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"22s"}
                    """#),
            code: .rateLimited, retryAfter: .seconds(22), words: "too many calls"),
        Refusal(
            testDescription: "a delay that is none",
            steps: Gemini.failure(429, "RESOURCE_EXHAUSTED", details: #"{"retryDelay":"nans"}"#),
            code: .rateLimited, retryAfter: .seconds(10)),
        Refusal(
            testDescription: "used up for the day",
            steps: Gemini.failure(
                429, "RESOURCE_EXHAUSTED",
                details: #"""
                    {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":\#
                    [{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},\#
                    {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"22s"}
                    """#),
            code: .unavailable, words: "nothing left"),
        Refusal(
            testDescription: "internal", steps: Gemini.failure(500, "INTERNAL"), code: .upstream),
        Refusal(
            testDescription: "overloaded", steps: Gemini.failure(503, "UNAVAILABLE"),
            code: .unavailable),
        Refusal(
            testDescription: "an error in a list",
            steps: ScriptedServer.answer(
                #"[{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}]"#, status: 404),
            code: .notFound),
        Refusal(
            testDescription: "an error that is not JSON",
            steps: ScriptedServer.answer("<html>", status: 502, type: "text/html"),
            code: .upstream),
        Refusal(
            testDescription: "a blocked prompt",
            steps: Wire.stream(
                #"data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":"#
                    + #"{"promptTokenCount":4}}"# + "\n\n"), code: .invalid,
            words: "refused the content"),
        Refusal(
            testDescription: "an error event first",
            steps: Wire.stream(Gemini.error(503, "UNAVAILABLE")), code: .unavailable),
        Refusal(
            testDescription: "an error event in mid-answer",
            steps: Wire.stream(Gemini.text("Hel") + Gemini.error(429, "RESOURCE_EXHAUSTED")),
            code: .rateLimited, retryAfter: .seconds(10)),
        Refusal(
            testDescription: "a call that is none",
            steps: Wire.stream(Gemini.finish("MALFORMED_FUNCTION_CALL")), code: .upstream),
        Refusal(testDescription: "nothing at all", steps: Wire.stream(""), code: .upstream),
        Refusal(
            testDescription: "a clean end in mid-answer", steps: Wire.stream(Gemini.text("Hel")),
            code: .upstream, words: "broke off"),
        Refusal(
            testDescription: "a broken connection",
            steps: [
                ScriptedServer.head(headers: ["Content-Length: 10000"]), .text(Gemini.text("Hel")),
                .wait(.milliseconds(20)), .reset,
            ], code: .upstream),
        Refusal(
            testDescription: "silence in mid-answer",
            steps: [ScriptedServer.head(), .text(Gemini.text("Hel")), .untilClosed],
            code: .timeout),
        Refusal(
            testDescription: "garbage", steps: Wire.stream("data: {not json}\n\n"),
            code: .upstream),
        Refusal(
            testDescription: "JSON that is no answer", steps: Wire.stream("data: 7\n\n"),
            code: .upstream),
        Refusal(
            testDescription: "deep nonsense",
            steps: Wire.stream("data: " + String(repeating: "[", count: 100_000) + "\n\n"),
            code: .upstream),
    ]

    @Test("What goes wrong ends in a failure that says so", arguments: refusals)
    func refusal(row: Refusal) async throws {
        let server = try ScriptedServer(row.steps)
        let tracer = RecordingTracer()
        let router = try router(server, tracer: tracer) {
            if row.code == .timeout { $0.idleTimeoutSeconds = 0.2 }
        }
        let failure = await #expect(throws: Failure.self) { try await router.answer() }
        #expect(failure?.code == row.code, "\(failure?.description ?? "")")
        #expect(row.words.isEmpty || failure?.message.contains(row.words) == true)
        // What is used up for the day is not back in seconds, whatever the provider says.
        #expect(failure?.retryAfter == row.retryAfter)
        #expect(failure?.description.contains("secret") == false)
        #expect(tracer.records.count == 1)
    }

    @Test("What is of a wrong type is as good as missing")
    func wrongTypes() async throws {
        let server = try ScriptedServer(
            Wire.stream(
                #"""
                data: {"candidates":[{"content":{"parts":[{"text":7},{"text":"Hello"},\#
                {"functionCall":{"name":3}},{"inlineData":{}},8]},"finishReason":"STOP"}],\#
                "usageMetadata":{"promptTokenCount":"many","candidatesTokenCount":-4},\#
                "modelVersion":[]}
                """# + "\n\n" + "data: {\"candidates\":{}}\n\n"))
        let (events, completion) = try await router(server).everything()
        #expect(events == [.text("Hello")])
        #expect(completion.usage == TokenUsage(freshInput: 10, output: 0, isEstimated: true))
    }

    @Test("Embeddings come at length 1, in as many calls as they need")
    func embeddings() async throws {
        let server = try ScriptedServer { request in
            let rows = request.text.components(separatedBy: "text\":\"text").count - 1
            let data = (0..<rows).map { #"{"values":[\#($0),4]}"# }.joined(separator: ",")
            return ScriptedServer.answer(#"{"embeddings":[\#(data)]}"#)
        }
        let made = try await router(server).embed(
            EmbeddingRequest(
                principal: .alice, texts: Array(repeating: "text", count: 102), purpose: "test"))
        #expect(made.count == 102)
        #expect(Array(made[3]) == [0.6, 0.8])
        #expect(Array(made[100]) == [0, 1])
        #expect(made.usage == TokenUsage(freshInput: 137, isEstimated: true))
        #expect(
            server.requests.map(\.path) == [
                "/v1beta/models/embedder:batchEmbedContents",
                "/v1beta/models/embedder:batchEmbedContents",
            ])
        let first = try server.body()["requests"]?.array?.first
        #expect(
            first?.text == #"{"model":"models/embedder","content":{"parts":[{"text":"text"}]}}"#)
    }

    @Test(
        "Embeddings that do not fit their texts are refused",
        arguments: [
            #"{"embeddings":[]}"#, #"{"embeddings":[{"values":[]},{"values":[]}]}"#,
            #"{"embeddings":[{"values":[1]},{"values":[1,2]}]}"#, #"{"embeddings":"#, "[]",
        ])
    func badEmbeddings(body: String) async throws {
        let server = try ScriptedServer(ScriptedServer.answer(body))
        let failure = await #expect(throws: Failure.self) {
            try await router(server).embed(
                EmbeddingRequest(principal: .alice, texts: ["a", "b"], purpose: "test"))
        }
        #expect(failure?.code == .upstream)
    }

    private func router(
        _ server: ScriptedServer, model: String = "gemini-2.5-flash",
        tracer: RecordingTracer = RecordingTracer(),
        _ change: (inout ProviderConfiguration) -> Void = { _ in }
    ) throws -> ModelRouter {
        try .hosted(
            server, kind: "gemini", base: "/v1beta", model: model, tracer: tracer, change)
    }
}

/// The bytes of a Gemini stream.
enum Gemini {
    static func parts(_ parts: String) -> String {
        #"""
        data: {"candidates":[{"content":{"parts":[\#(parts)],"role":"model"},"index":0}],\#
        "usageMetadata":{"promptTokenCount":100,"totalTokenCount":101},\#
        "modelVersion":"served"}
        """# + "\r\n\r\n"
    }

    static func text(_ text: String) -> String { parts(#"{"text":"\#(text)"}"#) }

    static func finish(_ reason: String = "STOP") -> String {
        #"""
        data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},\#
        "finishReason":"\#(reason)","index":0}],"usageMetadata":{"promptTokenCount":100,\#
        "cachedContentTokenCount":60,"toolUsePromptTokenCount":9,\#
        "candidatesTokenCount":5,"thoughtsTokenCount":20,"totalTokenCount":134}}
        """#
            + "\r\n\r\n"
    }

    static let hello =
        parts(#"{"text":"Hm.","thought":true}"#) + text("Hel") + text("lo") + finish()

    static func error(_ code: Int, _ status: String) -> String {
        #"data: {"error":{"code":\#(code),"message":"words of theirs","status":"\#(status)"}}"#
            + "\n\n"
    }

    static func failure(
        _ code: Int, _ status: String, message: String = "words of theirs", details: String = ""
    ) -> [ScriptedServer.Step] {
        ScriptedServer.answer(
            #"{"error":{"code":\#(code),"message":"\#(message)","status":"\#(status)","#
                + #""details":[\#(details)]}}"#, status: code)
    }
}
