import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct ResponsesTests {
        private static let path = "/v1/responses"

        private static func json(_ more: String = "") -> String {
            #"{"model":"tiny","input":"Hi"\#(more.isEmpty ? "" : ",\(more)")}"#
        }

        /// The events of a stream, each with the name that stands before it.
        private static func events(_ text: String) throws -> [(name: String, data: JSONValue)] {
            try text.components(separatedBy: "\n\n").compactMap { frame in
                let lines = frame.components(separatedBy: "\n")
                guard let data = lines.first(where: { $0.hasPrefix("data: ") }) else { return nil }
                let name = lines.first { $0.hasPrefix("event: ") }?.dropFirst(7) ?? ""
                return (String(name), try JSONValue(parsing: data.dropFirst(6).utf8))
            }
        }

        @Test("An answer in one piece has what was asked, the message, the usage and the cost")
        func whole() async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice(
                    "POST", Self.path,
                    json: Self.json(
                        #"""
                        "instructions":"Be brief.","max_output_tokens":5,"temperature":0.5,\#
                        "top_p":0.9,"metadata":{"b":"1","a":"2"},"store":false,\#
                        "truncation":"auto","parallel_tool_calls":false,"user":"u","seed":3
                        """#
                    ))
                #expect(response.status == 200)
                #expect(response.headers["x-heptad-cost"] == "1234")
                let body = try response.json(JSONValue.self)
                #expect(body["object"] == "response" && body["status"] == "completed")
                #expect(body["id"]?.string?.hasPrefix("resp_") == true)
                let message = try #require(body["output"]?.array?.first)
                #expect(body["output"]?.array?.count == 1)
                #expect(message["id"]?.string?.hasPrefix("msg_") == true)
                #expect(message["type"] == "message" && message["role"] == "assistant")
                #expect(message["status"] == "completed")
                #expect(
                    message["content"] == [
                        [
                            "type": "output_text", "text": "Hello, world", "annotations": [],
                            "logprobs": [],
                        ]
                    ])
                #expect(
                    body["usage"] == [
                        "input_tokens": 9,
                        "input_tokens_details": ["cached_tokens": 2, "cache_write_tokens": 0],
                        "output_tokens": 3, "output_tokens_details": ["reasoning_tokens": 0],
                        "total_tokens": 12,
                    ])
                #expect(body["metadata"] == ["b": "1", "a": "2"])
                #expect(body["instructions"] == "Be brief." && body["store"] == false)
                #expect(body["temperature"] == .number("0.5") && body["max_output_tokens"] == 5)
                #expect(body["truncation"] == "auto" && body["parallel_tool_calls"] == false)
                #expect(body["error"] == .null && body["incomplete_details"] == .null)
                // What is described and what is sent are the same fields.
                let described = Schema.components["ResponsesAnswer"]?.json["properties"]?.members
                #expect(Set(described?.map(\.key) ?? []) == Set(body.members?.map(\.key) ?? []))
                let request = try #require(server.layers.with { $0.chatRequests.first })
                #expect(
                    request.messages == [
                        ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi"),
                    ])
                #expect(
                    request.sampling
                        == SamplingOptions(
                            temperature: 0.5, topP: 0.9, seed: 3, outputTokensMax: 5))
                #expect(request.truncates && !request.allowsParallelToolCalls)
                #expect(request.purpose == "api" && request.principal.keyID != nil)
            }
        }

        @Test("A stream has every event in the order and with the numbers of OpenAI's")
        func streamed() async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice(
                    "POST", Self.path, json: Self.json(#""stream":true"#))
                #expect(!response.text.contains("[DONE]"))
                let events = try Self.events(response.text)
                #expect(
                    events.map(\.name) == [
                        "response.created", "response.in_progress", "response.output_item.added",
                        "response.content_part.added", "response.output_text.delta",
                        "response.output_text.delta", "response.output_text.delta",
                        "response.output_text.done", "response.content_part.done",
                        "response.output_item.done", "response.completed",
                    ])
                #expect(events.allSatisfy { $0.data["type"]?.string == $0.name })
                #expect(
                    events.map { $0.data["sequence_number"]?.int } == Array(0..<events.count))
                #expect(events[0].data["response"]?["status"] == "in_progress")
                #expect(events[0].data["response"]?["output"] == [])
                #expect(events[2].data["item"]?["content"] == [])
                let id = try #require(events[2].data["item"]?["id"])
                #expect(
                    events[4].data == [
                        "type": "response.output_text.delta", "sequence_number": 4, "item_id": id,
                        "output_index": 0, "content_index": 0, "delta": "Hello", "logprobs": [],
                    ])
                #expect(events[7].data["text"] == "Hello, world")
                let last = try #require(events.last?.data["response"])
                #expect(last["status"] == "completed")
                #expect(last["id"] == events[0].data["response"]?["id"])
                #expect(last["output"] == .array([try #require(events[9].data["item"])]))
                #expect(last["usage"]?["total_tokens"] == 12)
            }
        }

        @Test("Thoughts, text and calls are items of their own, streamed and whole alike")
        func items() async throws {
            try await TestServer.run { server in
                server.layers.with {
                    $0.events = [
                        .reasoning("Hm"), .reasoning("m."), .text("I ask."),
                        .toolCall(ToolCallPiece(index: 0, id: "c0", name: "f")),
                        .toolCall(ToolCallPiece(index: 0, arguments: #"{"a""#)),
                        .toolCall(ToolCallPiece(index: 0, arguments: #":1}"#)),
                        .toolCall(ToolCallPiece(index: 1, id: "c1", name: "g", arguments: "{}")),
                    ]
                    $0.pieces = []
                    $0.finishReason = .toolCalls
                }
                let response = try await server.asAlice(
                    "POST", Self.path, json: Self.json(#""stream":true"#))
                let events = try Self.events(response.text)
                let names = events.map { String($0.name.dropFirst("response.".count)) }
                #expect(
                    names == [
                        "created", "in_progress", "output_item.added", "content_part.added",
                        "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done",
                        "content_part.done", "output_item.done", "output_item.added",
                        "content_part.added", "output_text.delta", "output_text.done",
                        "content_part.done", "output_item.done", "output_item.added",
                        "function_call_arguments.delta", "function_call_arguments.delta",
                        "function_call_arguments.done", "output_item.done", "output_item.added",
                        "function_call_arguments.delta", "function_call_arguments.done",
                        "output_item.done", "completed",
                    ])
                let output = try #require(events.last?.data["response"]?["output"]?.array)
                #expect(
                    output.map { $0["type"] } == [
                        "reasoning", "message", "function_call", "function_call",
                    ])
                #expect(output[0]["content"] == [["type": "reasoning_text", "text": "Hmm."]])
                #expect(output[2]["arguments"] == #"{"a":1}"# && output[2]["call_id"] == "c0")
                #expect(output[3]["name"] == "g" && output[3]["status"] == "completed")
                #expect(output[2]["id"]?.string?.hasPrefix("fc_") == true)
                #expect(
                    events.compactMap { $0.data["output_index"]?.int }
                        == events.compactMap { $0.data["output_index"]?.int }.sorted())
                let whole = try await server.asAlice("POST", Self.path, json: Self.json())
                let kept = try whole.json(JSONValue.self)["output"]?.array
                #expect(kept?.map { $0["content"] } == output.map { $0["content"] })
                #expect(kept?.map { $0["arguments"] } == output.map { $0["arguments"] })
            }
        }

        @Test("Calls whose pieces come mixed stay open until they are whole")
        func mixedCalls() throws {
            let pieces = [
                ToolCallPiece(index: 0, id: "a", name: "f", arguments: #"{"x":"#),
                ToolCallPiece(index: 1, id: "b", name: "g", arguments: "{"),
                ToolCallPiece(index: 0, arguments: "1}"), ToolCallPiece(index: 1, arguments: "}"),
                ToolCallPiece(index: 2, id: "c", name: "h"),
            ]
            var stream = Self.stream()
            var events = stream.begin() + pieces.flatMap { stream.receive(.toolCall($0)) }
            #expect(
                events.filter { $0["type"] == "response.output_item.done" }
                    .map { $0["item"]?["arguments"] } == [#"{"x":1}"#, "{}"])
            events += stream.end(ScriptedLayers.completion(.toolCalls), at: ScriptedLayers.time)
            #expect(events.last?["response"]?["output"]?.array?.last?["arguments"] == "")
            #expect(events.map { $0["sequence_number"]?.int } == Array(0..<events.count))
        }

        @Test("Log probabilities come with the text they are of, and infinity is written as -9999")
        func logprobs() throws {
            let token = TokenLogprob(
                token: "a", bytes: [97], logprob: -0.5,
                top: [TokenLogprob(token: "b", bytes: [98], logprob: -.infinity)])
            var stream = Self.stream()
            let events =
                stream.receive(.logprobs([token])) + stream.receive(.text("a"))
                + stream.receive(.text("b"))
                + stream.end(ScriptedLayers.completion, at: ScriptedLayers.time)
            let expected: JSONValue = [
                [
                    "token": "a", "logprob": .number("-0.5"), "bytes": [97],
                    "top_logprobs": [
                        ["token": "b", "logprob": .number("-9999.0"), "bytes": [98]]
                    ],
                ]
            ]
            let deltas = events.filter { $0["type"] == "response.output_text.delta" }
            #expect(deltas.map { $0["logprobs"] } == [expected, []])
            let done = events.first { $0["type"] == "response.output_text.done" }
            #expect(done?["logprobs"] == expected)
        }

        @Test(
            "An answer that was cut says that and why",
            arguments: [
                (Completion.FinishReason.length, "max_output_tokens"),
                (.contentFilter, "content_filter"),
            ])
        func incomplete(reason: Completion.FinishReason, name: String) async throws {
            try await TestServer.run { server in
                server.layers.with { $0.finishReason = reason }
                let whole = try await server.asAlice("POST", Self.path, json: Self.json())
                    .json(JSONValue.self)
                #expect(whole["status"] == "incomplete")
                #expect(whole["incomplete_details"] == ["reason": .string(name)])
                #expect(whole["output"]?.array?.first?["status"] == "incomplete")
                #expect(whole["completed_at"] == .null)
                let streamed = try await server.asAlice(
                    "POST", Self.path, json: Self.json(#""stream":true"#))
                let last = try #require(try Self.events(streamed.text).last)
                #expect(last.name == "response.incomplete")
                #expect(last.data["response"]?["incomplete_details"] == ["reason": .string(name)])
            }
        }

        @Test("An answer that says nothing is an empty message")
        func empty() async throws {
            try await TestServer.run { server in
                server.layers.with { $0.pieces = [] }
                let body = try await server.asAlice("POST", Self.path, json: Self.json())
                    .json(JSONValue.self)
                #expect(body["output"]?.array?.first?["content"]?.array?.first?["text"] == "")
            }
        }

        @Test("A failure before the first byte is a status, after it the last event")
        func failures() async throws {
            try await TestServer.run { server in
                let table: [(Failure.Code, Int, String, String?)] = [
                    (.budgetExceeded, 402, "insufficient_quota", nil),
                    (.rateLimited, 429, "rate_limit_exceeded", nil),
                    (.tooLarge, 400, "context_length_exceeded", "input"),
                    (.upstream, 502, "upstream", nil), (.notFound, 404, "model_not_found", "model"),
                ]
                for (code, status, name, parameter) in table {
                    server.layers.with { $0.openFailure = Failure(code, "A sentence.") }
                    for more in ["", #""stream":true"#] {
                        let response = try await server.asAlice(
                            "POST", Self.path, json: Self.json(more))
                        let error = try response.json(OpenAIError.self).error
                        #expect(response.status == status && error.code == name)
                        #expect(error.message == "A sentence." && error.param == parameter)
                    }
                }
                server.layers.with {
                    $0.openFailure = Failure(
                        .invalid, "`response_format.json_schema.schema#/a` cannot be kept.")
                }
                let named = try await server.asAlice("POST", Self.path, json: Self.json())
                let error = try named.json(OpenAIError.self).error
                #expect(error.param == "text.format.schema")
                #expect(error.message.contains("`text.format.schema#/a`"))
                server.layers.with {
                    $0.openFailure = nil
                    $0.runFailure = Failure(.upstream, "It broke.", cause: "secret")
                }
                let response = try await server.asAlice(
                    "POST", Self.path, json: Self.json(#""stream":true"#))
                #expect(response.status == 200 && !response.text.contains("secret"))
                let events = try Self.events(response.text)
                let last = try #require(events.last)
                #expect(last.name == "response.failed")
                #expect(last.data["sequence_number"]?.int == events.count - 1)
                let failed = try #require(last.data["response"])
                #expect(failed["status"] == "failed")
                #expect(failed["error"] == ["code": "server_error", "message": "It broke."])
                #expect(failed["output"]?.array?.first?["status"] == "incomplete")
                let whole = try await server.asAlice("POST", Self.path, json: Self.json())
                #expect(whole.status == 502 && !whole.text.contains("secret"))
            }
        }

        @Test("A client that goes away ends its call, streamed or not", arguments: [true, false])
        func disconnect(isStreamed: Bool) async throws {
            try await TestServer.run { server in
                server.layers.with { $0.stallsRun = true }
                let body = Self.json(isStreamed ? #""stream":true"# : "")
                let connection = try RawConnection(port: server.port)
                try await connection.send(
                    """
                    POST \(Self.path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \
                    \(body.utf8.count)\r\nAuthorization: Bearer \(server.aliceKey)\
                    \r\n\r\n\(body)
                    """)
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

        private static func stream() -> ResponsesStream {
            ResponsesStream(
                ResponsesAnswer(
                    key: "k", createdAt: ScriptedLayers.time,
                    request: ChatRequest(
                        principal: .alice, model: "tiny", messages: [ChatMessage(.user, "Hi")],
                        purpose: "api"), metadata: [:], instructions: nil))
        }
    }
}
