import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// Servers that speak OpenAI's protocol, each in its own way.
struct PresetTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let preset: String
        let stream: String
        var events: [ChatEvent] = [.text("Hello")]
        var finish = Completion.FinishReason.stop
        let usage: TokenUsage
        /// Names of the fields that a request has which asks for everything.
        let fields: String
        /// Parts of the body that differ from OpenAI's, by their path.
        var parts: [String: String] = [:]

        var testDescription: String { preset }
    }

    // What all have.
    private static let always = [
        "frequency_penalty", "messages", "model", "presence_penalty", "response_format", "stop",
        "stream", "temperature", "tools", "top_p",
    ]

    static let rows: [Row] = [
        Row(
            preset: "ollama",
            stream: #"""
                data: {"id":"chatcmpl-71","object":"chat.completion.chunk","created":1,\#
                "model":"llama3.2","system_fingerprint":"fp_ollama","choices":[{"index":0,\#
                "delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}
                """#
                    + "\n\n"
                        + #"""
                        data: {"id":"chatcmpl-71","choices":[{"index":0,"delta":{"role":"assistant",\#
                        "content":"","tool_calls":[{"id":"call_x","index":0,"type":"function",\#
                        "function":{"name":"time","arguments":"{}"}}]},"finish_reason":null}]}
                        """#
                    + "\n\n"
                    + #"data: {"id":"chatcmpl-71","choices":[{"index":0,"delta":{"role":"assistant","#
                    + #""content":""},"finish_reason":"tool_calls"}]}"# + "\n\n"
                    + #"data: {"id":"chatcmpl-71","choices":[],"usage":{"prompt_tokens":26,"#
                    + #""completion_tokens":8,"total_tokens":34}}"# + "\n\n" + Wire.done,
            events: [
                .text("Hello"),
                .toolCall(ToolCallPiece(index: 0, id: "call_x", name: "time", arguments: "{}")),
            ], finish: .toolCalls, usage: TokenUsage(freshInput: 26, output: 8),
            fields: "max_tokens seed stream_options",
            parts: ["tools": #"[{"function":{"name":"time"},"type":"function"}]"#]),
        Row(
            preset: "vllm",
            stream: #"""
                data: {"id":"cmpl-1","object":"chat.completion.chunk","model":"m","choices":\#
                [{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,\#
                "finish_reason":null}],"prompt_token_ids":null}
                """# + "\n\n"
                    + #"data: {"id":"cmpl-1","choices":[{"index":0,"delta":{"reasoning_content":"Hm."}}],"#
                    + #""usage":{"prompt_tokens":9,"total_tokens":10,"completion_tokens":1}}"#
                    + "\n\n"
                    + #"data: {"id":"cmpl-1","choices":[{"index":0,"delta":{"content":"Hello"},"#
                    + #""finish_reason":"stop","stop_reason":null}]}"# + "\n\n"
                    + #"data: {"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":9,"total_tokens":14,"#
                    + #""completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}}"#
                    + "\n\n"
                    + Wire.done,
            events: [.reasoning("Hm."), .text("Hello")],
            usage: TokenUsage(freshInput: 5, cacheRead: 4, output: 5),
            fields: "logit_bias logprobs max_tokens min_p parallel_tool_calls repetition_penalty"
                + " seed stream_options tool_choice top_k top_logprobs"),
        Row(
            preset: "llama.cpp",
            stream: #"""
                data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":\#
                "assistant","content":null}}],"created":1,"id":"chatcmpl-a","model":"m",\#
                "system_fingerprint":"b6000","object":"chat.completion.chunk"}
                """# + "\n\n"
                    + #"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hello"}}]}"#
                    + "\n\n"
                        + #"""
                        data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"usage":\#
                        {"completion_tokens":3,"prompt_tokens":11,"total_tokens":14},"timings":\#
                        {"prompt_n":11,"prompt_ms":3.1,"predicted_n":3,"predicted_per_second":90.5}}
                        """#
                    + "\n\n" + Wire.done,
            usage: TokenUsage(freshInput: 11, output: 3),
            fields: "logit_bias logprobs max_tokens min_p parallel_tool_calls repeat_penalty seed"
                + " stream_options tool_choice top_k top_logprobs",
            parts: ["repeat_penalty": "1.1"]),
        Row(
            preset: "mistral",
            stream: #"""
                data: {"id":"cmpl-1","object":"chat.completion.chunk","model":"magistral",\#
                "choices":[{"index":0,"delta":{"role":"assistant","content":""},\#
                "finish_reason":null}]}
                """# + "\n\n"
                    + #"data: {"id":"cmpl-1","choices":[{"index":0,"delta":{"content":[{"type":"#
                    + #""thinking","thinking":[{"type":"text","text":"Hm."}]}]}}]}"# + "\n\n"
                    + #"data: {"id":"cmpl-1","choices":[{"index":0,"delta":{"content":"Hello"}}]}"#
                    + "\n\n"
                        + #"""
                        data: {"id":"cmpl-1","choices":[{"index":0,"delta":{"content":"","tool_calls":\#
                        [{"id":"D681PevKs","function":{"name":"time","arguments":"{}"},"index":0}]},\#
                        "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":94,"total_tokens":123,\#
                        "completion_tokens":29}}
                        """# + "\n\n" + Wire.done,
            events: [
                .reasoning("Hm."), .text("Hello"),
                .toolCall(ToolCallPiece(index: 0, id: "D681PevKs", name: "time", arguments: "{}")),
            ], finish: .toolCalls, usage: TokenUsage(freshInput: 94, output: 29),
            fields: "max_tokens parallel_tool_calls random_seed tool_choice",
            parts: [
                "random_seed": "3",
                "messages":
                    #"""
                [{"content":"Hello?","role":"user"},{"role":"assistant",\#
                "tool_calls":[{"function":{"arguments":"{}","name":"time"},"id":"call00001",\#
                "type":"function"}]},{"content":"noon","role":"tool",\#
                "tool_call_id":"call00001"}]
                """#,
            ]),
        Row(
            preset: "deepseek",
            stream: ": keep-alive\n\n"
                + #"""
                data: {"id":"1","object":"chat.completion.chunk","model":"deepseek-reasoner",\#
                "choices":[{"index":0,"delta":{"role":"assistant","content":null,\#
                "reasoning_content":"Hm."},"logprobs":null,"finish_reason":null}]}
                """# + "\n\n"
                + #"data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hello","#
                + #""reasoning_content":null},"finish_reason":null}]}"# + "\n\n"
                    + #"""
                    data: {"id":"1","choices":[{"index":0,"delta":{"content":"",\#
                    "reasoning_content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,\#
                    "completion_tokens":10,"total_tokens":30,"completion_tokens_details":\#
                    {"reasoning_tokens":6},"prompt_cache_hit_tokens":12,\#
                    "prompt_cache_miss_tokens":8}}
                    """# + "\n\n" + Wire.done,
            events: [.reasoning("Hm."), .text("Hello")],
            usage: TokenUsage(freshInput: 8, cacheRead: 12, output: 10, reasoning: 6),
            fields: "logprobs max_tokens stream_options tool_choice top_logprobs",
            parts: ["response_format": #"{"type":"json_object"}"#]),
        Row(
            preset: "groq",
            stream: #"""
                data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":\#
                [{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],\#
                "x_groq":{"id":"req_01"}}
                """# + "\n\n"
                    + #"data: {"id":"c","choices":[{"index":0,"delta":{"reasoning":"Hm."}}]}"#
                    + "\n\n"
                    + #"data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hello"}}]}"#
                    + "\n\n"
                        + #"""
                        data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],\#
                        "x_groq":{"id":"req_01","usage":{"queue_time":0.03,"prompt_tokens":20,\#
                        "completion_tokens":10,"total_time":0.05,"total_tokens":30}}}
                        """# + "\n\n"
                    + Wire.done,
            events: [.reasoning("Hm."), .text("Hello")],
            usage: TokenUsage(freshInput: 20, output: 10),
            fields: "max_completion_tokens parallel_tool_calls seed stream_options tool_choice"),
        Row(
            preset: "openrouter",
            stream: ": OPENROUTER PROCESSING\n\n"
                + #"""
                data: {"id":"gen-1","provider":"DeepInfra","model":"m","object":\#
                "chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant",\#
                "content":"","reasoning":"Hm.","reasoning_details":[{"type":"reasoning.text",\#
                "text":"Hm."}]},"finish_reason":null,"native_finish_reason":null}]}
                """# + "\n\n"
                + #"data: {"id":"gen-1","choices":[{"index":0,"delta":{"content":"Hello"},"#
                + #""finish_reason":"stop","native_finish_reason":"STOP"}]}"# + "\n\n"
                    + #"""
                    data: {"id":"gen-1","choices":[{"index":0,"delta":{"role":"assistant",\#
                    "content":""},"finish_reason":null}],"usage":{"prompt_tokens":30,\#
                    "completion_tokens":12,"total_tokens":42,"cost":0.00014,"is_byok":false,\#
                    "prompt_tokens_details":{"cached_tokens":10},"cost_details":{},\#
                    "completion_tokens_details":{"reasoning_tokens":5}}}
                    """# + "\n\n" + Wire.done,
            events: [.reasoning("Hm."), .text("Hello")],
            usage: TokenUsage(freshInput: 20, cacheRead: 10, output: 12, reasoning: 5),
            fields: "logit_bias logprobs max_tokens min_p parallel_tool_calls repetition_penalty"
                + " seed stream_options tool_choice top_k top_logprobs usage",
            parts: ["usage": #"{"include":true}"#]),
        Row(
            preset: "together",
            stream: #"""
                data: {"id":"o","object":"chat.completion.chunk","choices":[{"index":0,\#
                "text":"Hello","logprobs":null,"finish_reason":null,"seed":null,\#
                "delta":{"token_id":9906,"role":"assistant","content":"Hello"}}],\#
                "model":"m","usage":null}
                """# + "\n\n"
                    + #"""
                    data: {"id":"o","choices":[{"index":0,"text":"","finish_reason":"eos",\#
                    "delta":{"token_id":128009,"content":"","tool_calls":null}}],"usage":\#
                    {"prompt_tokens":16,"completion_tokens":2,"total_tokens":18,"cached_tokens":6}}
                    """#
                    + "\n\n" + Wire.done,
            usage: TokenUsage(freshInput: 10, cacheRead: 6, output: 2),
            fields: "logit_bias max_tokens min_p repetition_penalty seed stream_options"
                + " tool_choice top_k"),
        Row(
            preset: "heptad", stream: Wire.hello, events: [.text("Hel"), .text("lo")],
            usage: TokenUsage(freshInput: 7, output: 2),
            fields: "logit_bias logprobs max_tokens min_p parallel_tool_calls repetition_penalty"
                + " seed stream_options tool_choice top_k top_logprobs"),
    ]

    @Test(
        "Each server is asked in its own way, and its way to answer is understood", arguments: rows)
    func preset(row: Row) async throws {
        let server = try ScriptedServer(Wire.stream(row.stream))
        let tracer = RecordingTracer()
        let router = try ModelRouter.hosted(
            server, kind: "openai-compatible", base: "/v1", tracer: tracer
        ) { $0.preset = row.preset }
        let (events, completion) = try await router.everything(try everythingAsked())
        #expect(events == row.events)
        #expect(completion.finishReason == row.finish)
        var usage = completion.usage
        usage.statedCost = nil
        #expect(usage == row.usage)
        #expect(server.requests.first?.path == "/v1/chat/completions")
        let body = try server.body()
        let expected = Self.always + row.fields.split(separator: " ").map(String.init)
        #expect(body.members?.map(\.key).sorted() == expected.sorted())
        for (field, text) in row.parts {
            #expect(Self.sorted(body[field])?.text == text, "\(field)")
        }
    }

    @Test("The table has a row for each preset, and each preset an address")
    func complete() {
        #expect(Set(Self.rows.map(\.preset)) == Set(OpenAIDialect.presets.keys))
        for (preset, dialect) in OpenAIDialect.presets {
            var configuration = ProviderConfiguration()
            configuration.preset = preset
            #expect(configuration.address == dialect.address && !dialect.address.isEmpty)
        }
    }

    @Test(
        "A known address needs no preset",
        arguments: [
            ("https://api.mistral.ai/v1", "mistral_ai"), ("https://API.openai.com/v1", "openai"),
            ("https://openrouter.ai/api/v1", "openrouter"), ("http://127.0.0.1:8000/v1", ""),
            ("https://api.mistral.ai.example.com/v1", ""), ("", ""),
        ])
    func knownAddress(address: String, telemetryName: String) {
        #expect(OpenAIDialect.of(preset: "", baseURL: address).telemetryName == telemetryName)
    }

    @Test("A server that knows JSON but no schemas is told the schema")
    func schemaInWords() async throws {
        let server = try ScriptedServer(Wire.stream(Wire.hello))
        let router = try ModelRouter.hosted(server, kind: "openai", base: "/v1") {
            $0.preset = "deepseek"
        }
        _ = try await router.everything(try everythingAsked())
        let first = try server.body()["messages"]?.array?.first
        #expect(first?["role"]?.string == "system")
        #expect(first?["content"]?.string?.contains(ChatRequest.schema) == true)
    }

    @Test("Where a choice of tools cannot be sent, the list of tools says it")
    func choiceByTools() async throws {
        for (choice, count) in [(ToolChoice.none, nil), (.auto, 2), (.required, 2)] as [(_, Int?)] {
            let server = try ScriptedServer(Wire.stream(Wire.hello))
            let router = try ModelRouter.hosted(server, kind: "openai", base: "/v1") {
                $0.preset = "ollama"
            }
            var request = try everythingAsked()
            request.toolChoice = choice
            _ = try await router.everything(request)
            #expect(try server.body()["tools"]?.array?.count == count)
        }
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let preset: String
        var status = 0
        let body: String
        let code: Failure.Code

        var steps: [ScriptedServer.Step] {
            status == 0 ? Wire.stream(body) : ScriptedServer.answer(body, status: status)
        }
    }

    static let refusals: [Refusal] = [
        Refusal(
            testDescription: "Ollama has no such model", preset: "ollama", status: 404,
            body: #"{"error":{"message":"model 'x' not found","type":"not_found_error","#
                + #""param":null,"code":null}}"#, code: .notFound),
        Refusal(
            testDescription: "Ollama's error in a stream", preset: "ollama",
            body: "data: {\"error\":\"an error was encountered while running the model\"}\n\n",
            code: .upstream),
        Refusal(
            testDescription: "vLLM's older form", preset: "vllm", status: 400,
            body: #"{"object":"error","message":"This model's maximum context length is 4096"#
                + #" tokens.","type":"BadRequestError","param":null,"code":400}"#,
            code: .tooLarge),
        Refusal(
            testDescription: "llama.cpp loads its model", preset: "llama.cpp", status: 503,
            body: #"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            code: .unavailable),
        Refusal(
            testDescription: "llama.cpp's context", preset: "llama.cpp", status: 400,
            body: #"{"error":{"code":400,"message":"the request exceeds the available context"#
                + #" size","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}"#,
            code: .tooLarge),
        Refusal(
            testDescription: "Mistral's validation", preset: "mistral", status: 422,
            body: #"""
                {"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":\#
                ["body","top_k"],"msg":"Extra inputs are not permitted"}]},"type":\#
                "invalid_request_error","param":null,"code":null}
                """#, code: .invalid),
        Refusal(
            testDescription: "Mistral's wrong key", preset: "mistral", status: 401,
            body: #"{"detail":"Unauthorized"}"#, code: .unavailable),
        Refusal(
            testDescription: "Mistral's answer that ends in an error", preset: "mistral",
            body: Wire.text("Hel") + Wire.finish("error") + Wire.done, code: .upstream),
        Refusal(
            testDescription: "DeepSeek's empty purse", preset: "deepseek", status: 402,
            body: #"{"error":{"message":"Insufficient Balance","type":"unknown_error","#
                + #""param":null,"code":"invalid_request_error"}}"#, code: .unavailable),
        Refusal(
            testDescription: "DeepSeek has no room", preset: "deepseek",
            body: Wire.text("Hel") + Wire.finish("insufficient_system_resource") + Wire.done,
            code: .upstream),
        Refusal(
            testDescription: "Groq's too many tokens a minute", preset: "groq", status: 413,
            body: #"{"error":{"message":"Request too large for model `m`","type":"tokens","#
                + #""code":"rate_limit_exceeded"}}"#, code: .rateLimited),
        Refusal(
            testDescription: "Groq's model called no tool", preset: "groq", status: 400,
            body: #"{"error":{"message":"Failed to call a function.","type":"#
                + #""invalid_request_error","code":"tool_use_failed","failed_generation":"<x>"}}"#,
            code: .upstream),
        Refusal(
            testDescription: "Groq is full", preset: "groq", status: 498,
            body: #"{"error":{"message":"capacity exceeded"}}"#, code: .upstream),
        Refusal(
            testDescription: "OpenRouter's empty purse", preset: "openrouter", status: 402,
            body: #"{"error":{"message":"Insufficient credits","code":402},"user_id":"u"}"#,
            code: .unavailable),
        Refusal(
            testDescription: "OpenRouter's moderator", preset: "openrouter", status: 403,
            body: #"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["x"],"#
                + #""flagged_input":"y","provider_name":"z"}}}"#, code: .invalid),
        Refusal(
            testDescription: "OpenRouter's error in a stream", preset: "openrouter",
            body: ": OPENROUTER PROCESSING\n\n"
                + #"""
                data: {"id":"gen-1","object":"chat.completion.chunk","error":{"code":429,\#
                "message":"Rate limit exceeded"},"choices":[{"index":0,"delta":{"content":""},\#
                "finish_reason":"error"}]}
                """# + "\n\n", code: .rateLimited),
        Refusal(
            testDescription: "OpenRouter's error in a choice, with 200", preset: "openrouter",
            status: 200,
            body: #"{"id":"gen-1","choices":[{"error":{"code":502,"message":"Provider"#
                + #" returned error","metadata":{"raw":"..."}},"finish_reason":"error"}]}"#,
            code: .upstream),
        Refusal(
            testDescription: "Together's context, with 422", preset: "together", status: 422,
            body: #"""
                {"id":"o","error":{"message":"Input validation error: `inputs` tokens +\#
                 `max_new_tokens` must be <= 4097.","type":"invalid_request_error",\#
                "param":"max_tokens","code":null}}
                """#, code: .tooLarge),
        Refusal(
            testDescription: "Together's context, with 403", preset: "together", status: 403,
            body: #"{"error":{"message":"Input token count + max_tokens must be less than the"#
                + #" context length of the model","type":null,"param":null,"code":null}}"#,
            code: .tooLarge),
        Refusal(
            testDescription: "Together's wrong key", preset: "together", status: 401,
            body: #"{"error":{"message":"Invalid API key provided","type":"#
                + #""invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
            code: .unavailable),
        Refusal(
            testDescription: "Another Heptad is out of money", preset: "heptad", status: 402,
            body: #"{"error":{"message":"The monthly budget is used up.","type":"#
                + #""insufficient_quota","param":null,"code":"budget_exceeded"}}"#,
            code: .unavailable),
    ]

    @Test("Each server's way to refuse is understood", arguments: refusals)
    func refusal(row: Refusal) async throws {
        let server = try ScriptedServer(row.steps)
        let router = try ModelRouter.hosted(server, kind: "openai", base: "/v1") {
            $0.preset = row.preset
        }
        let failure = await #expect(throws: Failure.self) { try await router.answer() }
        #expect(failure?.code == row.code, "\(failure?.description ?? "")")
    }

    /// With everything in it that some refuse.
    private func everythingAsked() throws -> ChatRequest {
        var request = ChatRequest.hello()
        var asked = ChatMessage(.assistant, "")
        asked.toolCalls = [ToolCall(id: "call-of-another", name: "time", arguments: "{}")]
        var result = ChatMessage(.tool, "noon")
        result.toolCallID = "call-of-another"
        request.messages += [asked, result]
        request.sampling = SamplingOptions(
            temperature: 0.5, topK: 40, topP: 0.9, minP: 0.1, seed: 3, stop: ["END"],
            outputTokensMax: 50)
        request.sampling.presencePenalty = 1
        request.sampling.frequencyPenalty = 0.5
        request.sampling.repetitionPenalty = 1.1
        request.sampling.logitBias = [5: 1]
        request.sampling.topLogprobs = 2
        let schema = try JSONValue(parsing: ChatRequest.schema.utf8)
        request.tools = [
            ToolDefinition(name: "weather", parameters: schema, isStrict: true),
            ToolDefinition(name: "time"),
        ]
        request.toolChoice = .named("time")
        request.allowsParallelToolCalls = false
        request.responseFormat = .jsonSchema(name: "n", schema: schema, isStrict: true)
        return request
    }

    /// With the members of each object in the order of their names, which encoders do not keep.
    private static func sorted(_ value: JSONValue?) -> JSONValue? {
        switch value {
        case .object(let members):
            .object(
                members.sorted { $0.key < $1.key }.map {
                    .init($0.key, sorted($0.value) ?? .null)
                })
        case .array(let values): .array(values.map { sorted($0) ?? .null })
        default: value
        }
    }
}
