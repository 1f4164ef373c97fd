import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct AnthropicTests {
        private static let path = "/v1/messages"

        private static func json(_ more: String = "") -> String {
            #"{"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]"#
                + (more.isEmpty ? "" : ",\(more)") + "}"
        }

        private static func asAlice(
            _ server: TestServer, _ target: String = path, json: String
        ) async throws -> RawResponse {
            try await server.request(
                "POST", target,
                headers: ["x-api-key": server.aliceKey, "anthropic-version": "2023-06-01"],
                json: json)
        }

        /// Each event's name and data.
        private static func events(_ response: RawResponse) throws -> [(String, JSONValue)] {
            try response.text.components(separatedBy: "\n\n").compactMap { frame in
                let lines = frame.components(separatedBy: "\n")
                guard let name = lines.first(where: { $0.hasPrefix("event: ") }),
                    let data = lines.first(where: { $0.hasPrefix("data: ") })
                else { return nil }
                return (String(name.dropFirst(7)), try JSONValue(parsing: data.dropFirst(6).utf8))
            }
        }

        @Test("An answer in one piece has its blocks, the reason, the usage and the cost")
        func whole() async throws {
            try await TestServer.run { server in
                let response = try await Self.asAlice(
                    server,
                    json: Self.json(
                        #"""
                        "system":[{"type":"text","text":"Be","cache_control":{"type":"ephemeral"}},\#
                        {"type":"text","text":"brief."}],"temperature":0.5,"top_p":0.9,\#
                        "top_k":4,"stop_sequences":["END"],"metadata":{"user_id":"u"},\#
                        "tools":[],"stream":false,"service_tier":"auto","container":null
                        """#))
                #expect(response.status == 200)
                #expect(response.headers["x-heptad-cost"] == "1234")
                #expect(response.headers["content-type"] == "application/json")
                #expect(response.headers["request-id"] == response.headers["x-trace-id"])
                let body = try response.json(JSONValue.self)
                #expect(body["id"]?.string?.hasPrefix("msg_") == true)
                #expect(
                    body.members?.dropFirst().map { "\($0.key)=\($0.value.text)" } == [
                        #"type="message""#, #"role="assistant""#, #"model="tiny""#,
                        #"content=[{"type":"text","text":"Hello, world"}]"#,
                        #"stop_reason="end_turn""#, "stop_sequence=null",
                        #"""
                        usage={"input_tokens":7,"cache_creation_input_tokens":0,\#
                        "cache_read_input_tokens":2,"output_tokens":3,\#
                        "output_tokens_details":{"thinking_tokens":0}}
                        """#,
                    ])
                let request = try #require(server.layers.with { $0.chatRequests.first })
                #expect(request.purpose == "api" && request.principal.keyID != nil)
                var system = ChatMessage(.system, "Be\nbrief.")
                system.cacheMark = .minutes
                #expect(request.messages == [system, ChatMessage(.user, "Hi")])
                #expect(
                    request.sampling
                        == SamplingOptions(
                            temperature: 0.5, topK: 4, topP: 0.9, stop: ["END"], outputTokensMax: 5)
                )
            }
        }

        @Test("A stream has the events that Anthropic's clients expect, in their order")
        func streamed() async throws {
            try await TestServer.run { server in
                let response = try await Self.asAlice(server, json: Self.json(#""stream":true"#))
                #expect(response.headers["content-type"]?.hasPrefix("text/event-stream") == true)
                let events = try Self.events(response)
                #expect(
                    events.map(\.0) == [
                        "message_start", "content_block_start", "content_block_delta",
                        "content_block_delta", "content_block_delta", "content_block_stop",
                        "message_delta", "message_stop",
                    ])
                #expect(events.allSatisfy { $0.1["type"]?.string == $0.0 })
                let message = events[0].1["message"]
                #expect(message?["content"] == [] && message?["stop_reason"] == .null)
                // Counted before the model has read it: a text of two letters, and a message.
                #expect(message?["usage"]?["input_tokens"] == 6)
                #expect(
                    events[1].1["content_block"] == ["type": "text", "text": ""]
                        && events[1].1["index"] == 0)
                #expect(
                    events[2...4].map { $0.1["delta"]?["text"]?.string } == [
                        "Hello", ", ", "world",
                    ]
                )
                #expect(
                    events[6].1
                        == [
                            "type": "message_delta",
                            "delta": ["stop_reason": "end_turn", "stop_sequence": .null],
                            "usage": [
                                "input_tokens": 7, "cache_creation_input_tokens": 0,
                                "cache_read_input_tokens": 2, "output_tokens": 3,
                                "output_tokens_details": ["thinking_tokens": 0],
                            ],
                        ])
            }
        }

        @Test("A failure before the first byte is a status, after it an event")
        func failures() async throws {
            try await TestServer.run { server in
                let table: [(Failure.Code, Int, String)] = [
                    (.invalid, 400, "invalid_request_error"),
                    (.budgetExceeded, 402, "billing_error"),
                    (.forbidden, 403, "permission_error"),
                    (.notFound, 404, "not_found_error"),
                    (.rateLimited, 429, "rate_limit_error"),
                    (.tooLarge, 400, "invalid_request_error"),
                    (.unsupported, 400, "invalid_request_error"),
                    (.conflict, 400, "invalid_request_error"),
                    (.internalError, 500, "api_error"), (.upstream, 500, "api_error"),
                    (.timeout, 504, "timeout_error"), (.unavailable, 529, "overloaded_error"),
                ]
                for (code, status, type) in table {
                    server.layers.with { $0.openFailure = Failure(code, "A sentence.") }
                    for more in ["", #""stream":true"#] {
                        let response = try await Self.asAlice(server, json: Self.json(more))
                        let body = try response.json(AnthropicError.self)
                        #expect(response.status == status && body.error.type == type, "\(code)")
                        #expect(
                            body.error.message
                                == (code == .tooLarge
                                    ? "prompt is too long: A sentence." : "A sentence."))
                        #expect(body.type == "error")
                        #expect(body.requestID == response.headers["request-id"])
                    }
                }
                server.layers.with {
                    $0.openFailure = nil
                    $0.runFailure = Failure(.unavailable, "It broke.", cause: "secret")
                }
                let response = try await Self.asAlice(server, json: Self.json(#""stream":true"#))
                #expect(response.status == 200 && !response.text.contains("secret"))
                let last = try #require(try Self.events(response).last)
                #expect(last.0 == "error")
                #expect(
                    last.1["error"] == ["type": "overloaded_error", "message": "It broke."])
                let whole = try await Self.asAlice(server, json: Self.json())
                #expect(whole.status == 529 && !whole.text.contains("secret"))
            }
        }

        @Test("A connection is used again, whether an answer came in one piece, as a stream or not")
        func connection() async throws {
            try await TestServer.run { server in
                let connection = try RawConnection(port: server.port)
                func ask(_ more: String = "") async throws -> String {
                    let body = Self.json(more)
                    try await connection.send(
                        "POST \(Self.path) HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
                            + " \(body.utf8.count)\r\nx-api-key: \(server.aliceKey)\r\n\r\n\(body)")
                    return try await connection.receiveResponse()
                }
                #expect(try await ask().contains(" 200 OK"))
                #expect(try await ask(#""stream":true"#).contains("message_stop"))
                #expect(try await ask().contains("end_turn"))
                server.layers.with { $0.runFailure = Failure(.unavailable, "It broke.") }
                #expect(try await ask().contains(" 529 "))
                #expect(try await ask().contains(" 529 "))
            }
        }

        @Test("Who is refused at the door is told in the same words")
        func door() async throws {
            try await TestServer.run {
                $0.requestsBurst = 1
                $0.requestsPerMinute = 60
                $0.bodyBytesMax = 2000
            } _: { server in
                func refused(
                    _ method: String, _ path: String, _ headers: [String: String] = [:],
                    _ json: String? = Self.json()
                ) async throws -> (Int, String) {
                    let response = try await server.request(
                        method, path, headers: headers, json: json)
                    return (response.status, try response.json(AnthropicError.self).error.type)
                }
                let key = ["x-api-key": server.aliceKey]
                let count = "/v1/messages/count_tokens"
                for path in [Self.path, count] {
                    #expect(try await refused("POST", path) == (401, "authentication_error"))
                    #expect(
                        try await refused("POST", path, ["x-api-key": "hp_guess"])
                            == (401, "authentication_error"))
                    #expect(
                        try await refused("GET", path, key, nil) == (405, "invalid_request_error"))
                }
                #expect(
                    try await refused("POST", "\(Self.path)/batches", key)
                        == (404, "not_found_error"))
                #expect(
                    try await refused(
                        "POST", Self.path, key,
                        Self.json("\"x\":\"\(String(repeating: "x", count: 3000))\""))
                        == (413, "request_too_large"))
                #expect(
                    try await server.request(
                        "POST", Self.path, headers: server.bearer(server.aliceKey),
                        json: Self.json()
                    ).status == 200)
                let limited = try await server.request(
                    "POST", Self.path, headers: key, json: Self.json())
                #expect(limited.status == 429 && limited.headers["retry-after"] == "1")
                #expect(try limited.json(AnthropicError.self).error.type == "rate_limit_error")
            }
        }

        @Test("Tools, calls, images and formats reach the model as they were written")
        func passedOn() async throws {
            try await TestServer.run { server in
                let schema = #"{"type":"object","properties":{"z":{"const":1.50},"a":{}}}"#
                let json =
                    #"""
                    {"model":"tiny","max_tokens":5,"tools":[{"name":"f","description":"d",\#
                    "strict":true,"input_schema":\#(schema)},\#
                    {"type":"custom","name":"g","input_schema":{}}],"tool_choice":\#
                    {"type":"tool","name":"f","disable_parallel_tool_use":true},\#
                    "output_config":{"effort":"low","format":{"type":"json_schema","schema":\#(schema)}},\#
                    "messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[\#
                    {"type":"thinking","thinking":"Hm.","signature":"s"},\#
                    {"type":"redacted_thinking","data":"x"},{"type":"text","text":"Well."},\#
                    {"type":"tool_use","id":"t1","name":"f","input":{"z":1.50,"a":2}},\#
                    {"type":"tool_use","id":"t2","name":"g","input":{}}]},\#
                    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",\#
                    "content":"ok"},{"type":"tool_result","tool_use_id":"t2","is_error":true,\#
                    "content":[{"type":"text","text":"no"},{"type":"image","source":\#
                    {"type":"base64","media_type":"image/png","data":"AAAA"}}]},\#
                    {"type":"text","text":"And"},{"type":"image","source":{"type":"url",\#
                    "url":"https://example.org/a.png"}}]}]}
                    """#
                #expect(try await Self.asAlice(server, json: json).status == 200)
                let request = try #require(server.layers.with { $0.chatRequests.first })
                #expect(request.tools.map(\.parameters?.text) == [schema, "{}"])
                #expect(request.tools.map(\.isStrict) == [true, false])
                #expect(request.toolChoice == .named("f") && !request.allowsParallelToolCalls)
                guard case .jsonSchema(_, let format, true) = request.responseFormat else {
                    Issue.record("\(request.responseFormat)")
                    return
                }
                #expect(format.text == schema)
                var said = ChatMessage(.assistant, "Well.")
                said.toolCalls = [
                    ToolCall(id: "t1", name: "f", arguments: #"{"z":1.50,"a":2}"#),
                    ToolCall(id: "t2", name: "g", arguments: "{}"),
                ]
                said.thoughts = [
                    Thought("Hm.", .signature("s"), at: 0), Thought("", .redacted("x"), at: 0),
                ]
                var first = ChatMessage(.tool, "ok")
                (first.toolCallID, first.name) = ("t1", "f")
                var second = ChatMessage(
                    .tool,
                    [
                        .text("Error:"), .text("no"),
                        .image(ChatImage(.inline(mediaType: "image/png", base64: "AAAA"))),
                    ])
                (second.toolCallID, second.name) = ("t2", "g")
                let asked = ChatMessage(
                    .user,
                    [.text("And"), .image(ChatImage(.address("https://example.org/a.png")))])
                #expect(
                    request.messages == [ChatMessage(.user, "Hi"), said, first, second, asked])
            }
        }

        @Test("A model's thoughts and marks of what to keep go back to the provider")
        func thoughts() async throws {
            try await TestServer.run { server in
                let mark = #""cache_control":{"type":"ephemeral","ttl":"1h"}"#
                let response = try await server.asAlice(
                    "POST", "/v1/messages",
                    json: #"""
                        {"model":"tiny","max_tokens":2000,\#
                        "thinking":{"type":"enabled","budget_tokens":1024},\#
                        "system":[{"type":"text","text":"Be brief.",\#(mark)}],\#
                        "tools":[{"name":"f","input_schema":{},\#(mark)}],"messages":[\#
                        {"role":"user","content":"Hi"},{"role":"assistant","content":[\#
                        {"type":"thinking","thinking":"Hm.","signature":"EqQB"},\#
                        {"type":"text","text":"So."},\#
                        {"type":"redacted_thinking","data":"c2Vj"},\#
                        {"type":"tool_use","id":"t","name":"f","input":{}}]},\#
                        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t",\#
                        "content":"1",\#(mark)},{"type":"text","text":"Go on."}]}]}
                        """#)
                #expect(response.status == 200, "\(response.text)")
                let request = try #require(server.layers.with { $0.chatRequests.first })
                #expect(request.reasoning == ReasoningRequest(budgetTokens: 1024))
                #expect(
                    request.messages[2].thoughts == [
                        Thought("Hm.", .signature("EqQB"), at: 0),
                        Thought("", .redacted("c2Vj"), at: 3),
                    ])
                #expect(request.messages.map(\.cacheMark) == [.hour, nil, nil, .hour, nil])
                #expect(request.tools.map(\.cacheMark) == [.hour])
            }
        }

        @Test("Tokens are counted of all that the model would read, and nothing is asked of it")
        func countTokens() async throws {
            try await TestServer.run { server in
                func count(_ more: String = "", content: String = #""Hi""#) async throws -> Int? {
                    let response = try await Self.asAlice(
                        server, "/v1/messages/count_tokens",
                        json: #"{"model":"tiny","messages":[{"role":"user","content":\#(content)}]"#
                            + (more.isEmpty ? "}" : ",\(more)}"))
                    #expect(response.status == 200)
                    return try response.json(JSONValue.self)["input_tokens"]?.int
                }
                let plain = try #require(try await count())
                let system = try #require(try await count(#""system":"Be brief.""#))
                let tools = try #require(
                    try await count(#""tools":[{"name":"f","input_schema":{"a":1}}]"#))
                let image = try #require(
                    try await count(
                        content: #"[{"type":"text","text":"Hi"},{"type":"image","source":{"type":"#
                            + #""url","url":"https://example.org/a.png"}}]"#))
                #expect(plain == 6 && system == plain + 9 + 4 && tools > plain)
                #expect(image == plain + 1600)
                #expect(server.layers.with { $0.chatRequests.isEmpty })
                let missing = try await Self.asAlice(
                    server, "/v1/messages/count_tokens", json: #"{"model":"tiny"}"#)
                #expect(
                    try missing.json(AnthropicError.self).error.message
                        == "`messages` is missing.")
            }
        }

        @Test("A silent stream is kept alive with pings")
        func keepAlive() async throws {
            try await TestServer.run {
                $0.keepAliveSeconds = 1
            } _: { server in
                server.layers.with { $0.stallsRun = true }
                let connection = try RawConnection(port: server.port)
                let body = Self.json(#""stream":true"#)
                try await connection.send(
                    "POST \(Self.path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.utf8.count)"
                        + "\r\nx-api-key: \(server.aliceKey)\r\n\r\n\(body)")
                _ = try await connection.receive(
                    until: "event: ping\ndata: {\"type\":\"ping\"}\n\n")
                // A client that goes away ends its call.
                connection.close()
                for _ in 0..<200 where server.layers.with({ $0.runsCancelled == 0 }) {
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(server.layers.with { $0.runsCancelled } == 1)
            }
        }
    }
}
