import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct OpenAITests {
        private static let path = "/v1/chat/completions"

        private static func json(_ more: String = "") -> String {
            #"{"model":"tiny","messages":[{"role":"system","content":"Be brief."},"#
                + #"{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"you"}]}]"#
                + (more.isEmpty ? "" : ",\(more)") + "}"
        }

        @Test("An answer in one piece has the choice, the usage and the cost")
        func whole() async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice(
                    "POST", Self.path,
                    json: Self.json(
                        #"""
                        "max_tokens":9,"max_completion_tokens":5,"temperature":0.5,"top_p":0.9,\#
                        "stop":"END","seed":-1,"user":"u","tools":[],"n":1,"store":true,\#
                        "response_format":{"type":"text"},"presence_penalty":null
                        """#))
                #expect(response.status == 200)
                #expect(response.headers["x-heptad-cost"] == "1234")
                let body = try response.json(JSONValue.self)
                #expect(body["object"] == "chat.completion" && body["model"] == "tiny")
                #expect(
                    body["choices"] == [
                        [
                            "index": 0, "finish_reason": "stop", "logprobs": .null,
                            "message": [
                                "role": "assistant", "content": "Hello, world", "refusal": .null,
                            ],
                        ]
                    ])
                #expect(
                    body["usage"] == [
                        "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12,
                        "prompt_tokens_details": ["cached_tokens": 2, "cache_write_tokens": 0],
                        "completion_tokens_details": ["reasoning_tokens": 0],
                    ])
                let request = try #require(server.layers.with { $0.chatRequests.first })
                #expect(request.purpose == "api" && request.principal.keyID != nil)
                #expect(
                    request.messages == [
                        ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi\nyou"),
                    ])
                #expect(
                    request.sampling
                        == SamplingOptions(
                            temperature: 0.5, topP: 0.9, seed: UInt64.max, stop: ["END"],
                            outputTokensMax: 5))
            }
        }

        @Test("A stream has the role, the pieces, the reason, the usage where asked, and an end")
        func streamed() async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice(
                    "POST", Self.path,
                    json: Self.json(#""stream":true,"stream_options":{"include_usage":true}"#))
                let data = response.text.components(separatedBy: "\n").filter {
                    $0.hasPrefix("data: ")
                }.map { $0.dropFirst(6) }
                #expect(data.last == "[DONE]")
                let chunks = try data.dropLast().map {
                    try JSONValue(parsing: $0.utf8)
                }
                #expect(chunks.count == 6)
                #expect(Set(chunks.map { "\($0["id"] ?? .null)" }).count == 1)
                let pieces = chunks.map { chunk -> JSONValue? in
                    guard case .array(let choices)? = chunk["choices"] else { return nil }
                    return choices.first?["delta"]?["content"]
                }
                #expect(pieces == ["", "Hello", ", ", "world", nil, nil])
                #expect(chunks[4]["choices"]?.first?["finish_reason"] == "stop")
                #expect(chunks[5]["choices"] == [])
                #expect(chunks[5]["usage"]?["total_tokens"] == 12)
            }
        }

        @Test("A failure before the first byte is a status, after it an event")
        func failures() async throws {
            try await TestServer.run { server in
                let table: [(Failure.Code, Int, String)] = [
                    (.budgetExceeded, 402, "insufficient_quota"),
                    (.rateLimited, 429, "rate_limit_exceeded"),
                    (.tooLarge, 400, "context_length_exceeded"), (.upstream, 502, "upstream"),
                    (.unavailable, 503, "unavailable"), (.timeout, 504, "timeout"),
                    (.notFound, 404, "model_not_found"),
                ]
                for (code, status, name) in table {
                    server.layers.with { $0.openFailure = Failure(code, "A sentence.") }
                    for more in ["", #""stream":true"#] {
                        let response = try await server.asAlice(
                            "POST", Self.path, json: Self.json(more))
                        let error = try response.json(OpenAIError.self).error
                        #expect(response.status == status && error.code == name)
                        #expect(error.message == "A sentence.")
                    }
                }
                server.layers.with {
                    $0.openFailure = nil
                    $0.runFailure = Failure(.upstream, "It broke.", cause: "secret")
                }
                let response = try await server.asAlice(
                    "POST", Self.path, json: Self.json(#""stream":true"#))
                #expect(response.status == 200)
                #expect(response.text.contains(#"data: {"error":{"#))
                #expect(response.text.contains("It broke.") && !response.text.contains("secret"))
                #expect(response.text.contains("data: [DONE]"))
                let whole = try await server.asAlice("POST", Self.path, json: Self.json())
                #expect(whole.status == 502 && !whole.text.contains("secret"))
            }
        }

        @Test(
            "What would change the answer and is not spoken here is refused by name",
            arguments: [
                (#""tools":[{}]"#, "tools[0].type"), (#""functions":[{}]"#, "functions"),
                (#""n":9"#, "n"), (#""n":0"#, "n"), (#""top_logprobs":2"#, "top_logprobs"),
                (#""logprobs":true,"top_logprobs":21"#, "top_logprobs"),
                (#""presence_penalty":2.5"#, "presence_penalty"),
                (#""frequency_penalty":-3"#, "frequency_penalty"),
                (#""logit_bias":{"x":1}"#, "logit_bias"),
                (#""logit_bias":{"1":101}"#, "logit_bias"),
                (#""truncation":"some""#, "truncation"),
                (#""response_format":{"type":"xml"}"#, "response_format.type"),
                (
                    #""response_format":{"type":"json_schema","json_schema":{"name":"a b"}}"#,
                    "response_format.json_schema.name"
                ),
                (
                    #""response_format":{"type":"json_schema","json_schema":{"name":"a"}}"#,
                    "response_format.json_schema.schema"
                ),
                (
                    #""tools":[{"type":"function","function":{"name":"a b"}}]"#,
                    "tools[0].function.name"
                ),
                (
                    #""tools":[{"type":"function","function":{"name":"a","parameters":1}}]"#,
                    "tools[0].function.parameters"
                ), (#""tool_choice":"required""#, "tool_choice"),
                (
                    #""tool_choice":{"type":"function","function":{"name":"b"}}"#, "tool_choice"
                ),
                (#""modalities":["audio"]"#, "modalities"), (#""temperature":3"#, "temperature"),
                (#""max_tokens":0"#, "max_completion_tokens"), (#""top_p":-1"#, "top_p"),
                (#""stop":["a",""]"#, "stop"), (#""temperature":"hot""#, "temperature"),
                (#""stream":"yes""#, "stream"), (#""stop":7"#, "stop"),
                (#""stream_options":{"include_usage":1}"#, "stream_options.include_usage"),
                (#""tools":{}"#, "tools"),
                (#""reasoning_effort":"hard""#, "reasoning_effort"),
                (#""messages":[]"#, "messages"), (#""messages":"Hi""#, "messages"),
                (#""messages":[7]"#, "messages[0]"), (#""messages":[{}]"#, "messages[0].role"),
                (#""messages":[{"role":"user","content":7}]"#, "messages[0].content"),
                (
                    #""messages":[{"role":"user","content":[{"type":"text","text":5}]}]"#,
                    "messages[0].content[0].text"
                ),
                (
                    #""messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]"#,
                    "messages[0].content[0].image_url.url"
                ),
                (
                    #""messages":[{"role":"tool","content":"x"}]"#, "messages[0].tool_call_id"
                ),
                (#""messages":[{"role":"wizard","content":"x"}]"#, "messages[0].role"),
                (#""messages":[{"role":"user"}]"#, "messages[0].content"),
                (
                    #""messages":[{"role":"assistant","tool_calls":[{"id":"1"}]}]"#,
                    "messages[0].tool_calls[0]"
                ),
            ])
        func unsupported(field: String, parameter: String) async throws {
            try await TestServer.run { server in
                let json =
                    field.hasPrefix("\"messages\"")
                    ? #"{"model":"tiny",\#(field)}"# : Self.json(field)
                let response = try await server.asAlice("POST", Self.path, json: json)
                let error = try response.json(OpenAIError.self).error
                #expect(response.status == 400)
                #expect(
                    error.param == parameter && error.type == "invalid_request_error",
                    "\(response.text)")
                #expect(server.layers.with { $0.chatRequests.isEmpty })
            }
        }

        @Test("Tools, formats and the rest reach the model as they were written")
        func passedOn() async throws {
            try await TestServer.run { server in
                let schema = #"{"type":"object","properties":{"z":{"const":1.50},"a":{}}}"#
                let json =
                    #"""
                    {"model":"tiny","n":2,"seed":7,"logprobs":true,"top_logprobs":2,\#
                    "presence_penalty":1,"frequency_penalty":-1,"logit_bias":{"5":-100},\#
                    "parallel_tool_calls":false,"truncation":"auto","tool_choice":"auto",\#
                    "tools":[{"type":"function","function":{"name":"f","description":"d",\#
                    "strict":true,"parameters":\#(schema)}}],"response_format":{"type":\#
                    "json_schema","json_schema":{"name":"n","strict":true,"schema":\#(schema)}},\#
                    "messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":\#
                    null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f",\#
                    "arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"ok"}]}
                    """#
                let response = try await server.asAlice("POST", Self.path, json: json)
                #expect(response.status == 200)
                let requests = server.layers.with { $0.chatRequests }
                #expect(requests.map(\.sampling.seed) == [7, 8])
                let request = try #require(requests.first)
                // In the order of its keys, numbers as they were written.
                #expect(request.tools.map(\.parameters?.text) == [schema])
                #expect(request.tools.map(\.isStrict) == [true])
                guard case .jsonSchema("n", let format, true) = request.responseFormat else {
                    Issue.record("\(request.responseFormat)")
                    return
                }
                #expect(format.text == schema)
                #expect(request.sampling.logitBias == [5: -100])
                #expect(request.sampling.topLogprobs == 2)
                #expect(request.sampling.presencePenalty == 1)
                #expect(request.sampling.frequencyPenalty == -1)
                #expect(!request.allowsParallelToolCalls && request.truncates)
                #expect(
                    request.messages[1].toolCalls == [ToolCall(id: "c", name: "f", arguments: "{}")]
                )
                #expect(request.messages[2].role == .tool && request.messages[2].toolCallID == "c")
                let body = try response.json(JSONValue.self)
                #expect(body["choices"]?.array?.map { $0["index"]?.int } == [0, 1])
                // The prompt counts once.
                #expect(body["usage"]?["prompt_tokens"] == 9)
                #expect(body["usage"]?["completion_tokens"] == 6)
                #expect(response.headers["x-heptad-cost"] == "2468")
            }
        }

        @Test("Calls and log probabilities are sent as OpenAI's clients read them")
        func choices() throws {
            var choice = OpenAIChoice(index: 1)
            let token = TokenLogprob(
                token: "a", bytes: [97], logprob: -0.5,
                top: [TokenLogprob(token: "a", bytes: [97], logprob: -0.5)])
            let events: [ChatEvent] = [
                .text("Hi"), .logprobs([token]),
                .toolCall(ToolCallPiece(index: 0, id: "c", name: "f")),
                .toolCall(ToolCallPiece(index: 0, arguments: "{}")),
            ]
            let sent = events.compactMap { choice.receive($0) } + [choice.end(.toolCalls)]
            let json = try sent.map { try $0.json() }
            let top: JSONValue = ["token": "a", "bytes": [97], "logprob": .number("-0.5")]
            let logprobs: JSONValue = [
                "content": [
                    [
                        "token": "a", "bytes": [97], "logprob": .number("-0.5"),
                        "top_logprobs": [top],
                    ]
                ], "refusal": .null,
            ]
            func chunk(
                _ delta: JSONValue, _ reason: JSONValue = .null, _ logprobs: JSONValue = .null
            ) -> JSONValue {
                ["index": 1, "delta": delta, "finish_reason": reason, "logprobs": logprobs]
            }
            #expect(
                json == [
                    chunk(["content": "Hi"]),
                    chunk(
                        [
                            "tool_calls": [
                                [
                                    "index": 0, "id": "c", "type": "function",
                                    "function": ["name": "f", "arguments": ""],
                                ]
                            ]
                        ], .null, logprobs),
                    chunk(["tool_calls": [["index": 0, "function": ["arguments": "{}"]]]]),
                    chunk([:], "tool_calls"),
                ])
            let whole = try choice.whole(.toolCalls).json()
            #expect(whole["logprobs"] == logprobs)
            #expect(
                whole["message"]?["tool_calls"] == [
                    ["id": "c", "type": "function", "function": ["name": "f", "arguments": "{}"]]
                ])
        }

        @Test("A client that goes away ends its call, streamed or not", arguments: [true, false])
        func disconnect(isStreamed: Bool) async throws {
            try await TestServer.run { server in
                server.layers.with { $0.stallsRun = true }
                let body = Self.json(isStreamed ? #""stream":true"# : "")
                let connection = try RawConnection(port: server.port)
                try await connection.send(
                    "POST \(Self.path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)"
                        + "\r\nAuthorization: Bearer \(server.aliceKey)\r\n\r\n\(body)")
                if isStreamed { _ = try await connection.receive(until: "world") }
                while server.layers.with({ $0.chatRequests.isEmpty }) {
                    try await Task.sleep(for: .milliseconds(5))
                }
                connection.close()
                for _ in 0..<200 where server.layers.with({ $0.runsCancelled == 0 }) {
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(server.layers.with { $0.runsCancelled } == 1)
            }
        }

        @Test("Whether an answer was there is in a header", arguments: [CacheUse.hit, .miss, nil])
        func cached(use: CacheUse?) async throws {
            try await TestServer.run { server in
                server.layers.with { $0.cache = use }
                for path in [Self.path, "/v1/responses"] {
                    for isStreamed in [true, false] {
                        let question =
                            path == Self.path
                            ? #""messages":[{"role":"user","content":"Hi"}],"n":2"#
                            : #""input":"Hi""#
                        let response = try await server.asAlice(
                            "POST", path,
                            json: "{\(question),\"stream\":\(isStreamed)}")
                        #expect(response.status == 200)
                        #expect(response.headers["x-heptad-cache"] == use?.rawValue)
                    }
                }
                #expect(server.layers.with { $0.chatRequests.map(\.choice) } == [1, 2, 1, 2, 0, 0])
            }
        }

        @Test(
            "A similar question is named in headers, whatever it is written in, and what it saved",
            arguments: [Self.path, "/v1/responses", "/v1/messages"], [true, false])
        func similar(path: String, isStreamed: Bool) async throws {
            try await TestServer.run { server in
                server.layers.with {
                    $0.cache = .similar
                    $0.cached = CachedAnswer(
                        usage: TokenUsage(), question: "Où?\r\nx: y", similarity: 0.95649)
                    $0.cached?.saved = Picodollars(77)
                }
                let question =
                    path == "/v1/responses"
                    ? #""input":"Hi""# : #""messages":[{"role":"user","content":"Hi"}]"#
                let response = try await server.asAlice(
                    "POST", path,
                    json: "{\(question),\"model\":\"tiny\",\"max_tokens\":9,"
                        + "\"stream\":\(isStreamed)}")
                #expect(response.status == 200)
                #expect(response.headers["x-heptad-cache"] == "similar")
                #expect(response.headers["x-heptad-cache-question"] == "O%C3%B9%3F%0D%0Ax%3A%20y")
                #expect(response.headers["x-heptad-cache-similarity"] == "0.956")
                #expect(response.headers["x-heptad-saved"] == "77")
            }
        }

        @Test("Embeddings come as numbers or as base64, and tokens are refused")
        func embeddings() async throws {
            try await TestServer.run { server in
                func embed(_ json: String) async throws -> RawResponse {
                    try await server.asAlice("POST", "/v1/embeddings", json: json)
                }
                let floats = try await embed(#"{"model":"mini","input":["a","b"]}"#)
                let body = try floats.json(JSONValue.self)
                #expect(floats.headers["x-heptad-cost"] == "5")
                #expect(body["data"]?.first?["embedding"] == [1, .number("-0.5")])
                #expect(body["usage"] == ["prompt_tokens": 4, "total_tokens": 4])
                let base64 = try await embed(
                    #"{"model":"mini","input":"a","encoding_format":"base64"}"#)
                #expect(
                    try base64.json(JSONValue.self)["data"]?.first?["embedding"] == "AACAPwAAAL8=")
                for (json, parameter) in [
                    (#"{"input":[1,2]}"#, "input"), (#"{"input":[[1],[2]]}"#, "input"),
                    (#"{"input":[]}"#, "input"), (#"{"input":""}"#, "input"),
                    (#"{"input":"a","dimensions":5}"#, "dimensions"),
                    (#"{"input":"a","encoding_format":"int8"}"#, "encoding_format"),
                    (#"{"input":"a","model":"other"}"#, "model"), ("{}", "input"),
                ] {
                    let response = try await embed(json)
                    #expect([400, 404].contains(response.status))
                    #expect(try response.json(OpenAIError.self).error.param == parameter, "\(json)")
                }
            }
        }

        @Test("Models are listed and found by name")
        func models() async throws {
            try await TestServer.run { server in
                let list = try await server.asAlice("GET", "/v1/models").json(JSONValue.self)
                #expect(list["object"] == "list" && list["data"]?.first?["id"] == "tiny")
                #expect(try await server.asAlice("GET", "/v1/models/tiny").status == 200)
                let missing = try await server.asAlice("GET", "/v1/models/other")
                #expect(missing.status == 404)
                #expect(try missing.json(OpenAIError.self).error.code == "model_not_found")
                let stranger = try await server.request("GET", "/v1/models")
                #expect(stranger.status == 401)
                #expect(try stranger.json(OpenAIError.self).error.code == "invalid_api_key")
            }
        }
    }
}

extension JSONValue {
    fileprivate var first: JSONValue? {
        guard case .array(let values) = self else { return nil }
        return values.first
    }
}
