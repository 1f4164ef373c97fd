import Core
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    /// Requests that are refused before a model is asked.
    @Suite struct AnthropicRefusalTests {
        private static func json(_ more: String = "") -> String {
            #"{"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]"#
                + (more.isEmpty ? "" : ",\(more)") + "}"
        }

        private static func asAlice(
            _ server: TestServer, json: String
        ) async throws -> RawResponse {
            try await server.request(
                "POST", "/v1/messages",
                headers: ["x-api-key": server.aliceKey, "anthropic-version": "2023-06-01"],
                json: json)
        }

        @Test(
            "What is wrong, or would change the answer and is not spoken here, is refused by name",
            arguments: [
                (#""temperature":"hot""#, "temperature"), (#""temperature":1.5"#, "temperature"),
                (#""top_k":0.5"#, "top_k"), (#""top_p":-1"#, "top_p"),
                (#""stream":"yes""#, "stream"), (#""stop_sequences":"END""#, "stop_sequences"),
                (#""stop_sequences":["a",1]"#, "stop_sequences[1]"), (#""system":7"#, "system"),
                (#""system":[{"type":"image"}]"#, "system[0].type"),
                (#""mcp_servers":[{}]"#, "mcp_servers"), (#""container":"c""#, "container"),
                (#""tools":{}"#, "tools"), (#""tools":[1]"#, "tools[0]"),
                (#""tools":[{"name":"f"}]"#, "tools[0].input_schema"),
                (#""tools":[{"name":"a b","input_schema":{}}]"#, "tools[0].name"),
                (#""tools":[{"type":"web_search_20250305","name":"w"}]"#, "tools[0].type"),
                (
                    #""tools":[{"name":"f","input_schema":{}},{"name":"f","input_schema":{}}]"#,
                    "tools[1].name"
                ), (#""tool_choice":"auto""#, "tool_choice"),
                (#""tool_choice":{"type":"any"}"#, "tool_choice"),
                (#""tool_choice":{"type":"tool","name":"g"}"#, "tool_choice.name"),
                (#""tool_choice":{"type":"some"}"#, "tool_choice.type"),
                (#""output_config":{"format":{"type":"xml"}}"#, "output_config.format.type"),
                (
                    #""output_config":{"format":{"type":"json_schema"}}"#,
                    "output_config.format.schema"
                ),
                (#""thinking":true"#, "thinking"), (#""thinking":{}"#, "thinking.type"),
                (#""thinking":{"type":"enabled"}"#, "thinking.budget_tokens"),
                (
                    #""thinking":{"type":"enabled","budget_tokens":1023}"#,
                    "thinking.budget_tokens"
                ), (#""cache_control":{"type":"lasting"}"#, "cache_control.type"),
                (
                    #""system":[{"type":"text","text":"x","#
                        + #""cache_control":{"type":"ephemeral","ttl":"1d"}}]"#,
                    "system[0].cache_control.ttl"
                ),
                (#""messages":[]"#, "messages"), (#""messages":"Hi""#, "messages"),
                (#""messages":[{"content":"x"}]"#, "messages[0].role"),
                (#""messages":[{"role":"wizard","content":"x"}]"#, "messages[0].role"),
                (#""messages":[{"role":"user"}]"#, "messages[0].content"),
                (#""messages":[{"role":"user","content":7}]"#, "messages[0].content"),
                (#""messages":[{"role":"user","content":[]}]"#, "messages[0].content"),
                (#""messages":[{"role":"user","content":["x"]}]"#, "messages[0].content[0]"),
                (
                    #""messages":[{"role":"user","content":[{"type":"text","text":5}]}]"#,
                    "messages[0].content[0].text"
                ),
                (
                    #""messages":[{"role":"user","content":[{"type":"document"}]}]"#,
                    "messages[0].content[0].type"
                ),
                (
                    #""messages":[{"role":"assistant","content":[{"type":"image"}]}]"#,
                    "messages[0].content[0].type"
                ),
                (
                    #""messages":[{"role":"user","content":[{"type":"image","source":{"type":"#
                        + #""base64","media_type":"image/tiff","data":"AAAA"}}]}]"#,
                    "messages[0].content[0].source.data"
                ),
                (
                    #""messages":[{"role":"user","content":[{"type":"image","source":{"type":"#
                        + #""url","url":"http://127.0.0.1/a.png"}}]}]"#,
                    "messages[0].content[0].source.url"
                ),
                (
                    #""messages":[{"role":"user","content":[{"type":"tool_result","#
                        + #""tool_use_id":"t"}]}]"#, "messages[0].content[0].tool_use_id"
                ),
                (
                    #""messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","#
                        + #""name":"f","input":"{}"}]}]"#, "messages[0].content[0].input"
                ),
                (#""messages":[{"role":"assistant","content":"The answer is"}]"#, "messages"),
                (#""max_tokens":0"#, "max_tokens"), (#""max_tokens":null"#, "max_tokens"),
            ])
        func refused(field: String, name: String) async throws {
            try await TestServer.run { server in
                let json =
                    field.hasPrefix("\"messages\"")
                    ? #"{"model":"tiny","max_tokens":5,\#(field)}"#
                    : field.hasPrefix("\"max_tokens\"")
                        ? #"{"model":"tiny","messages":[{"role":"user","content":"Hi"}],\#(field)}"#
                        : Self.json(field)
                let response = try await Self.asAlice(server, json: json)
                let error = try response.json(AnthropicError.self).error
                #expect(response.status == 400 && error.type == "invalid_request_error")
                #expect(error.message.contains("`\(name)`"), "\(error.message)")
                #expect(server.layers.with { $0.chatRequests.isEmpty })
            }
        }

        @Test(
            "A body that is no object is refused as such",
            arguments: ["", "[]", "{", "7", "{\"a\":1,\"a\":2}"])
        func noObject(json: String) async throws {
            try await TestServer.run { server in
                let response = try await Self.asAlice(server, json: json)
                #expect(response.status == 400)
                #expect(
                    try response.json(AnthropicError.self).error.type == "invalid_request_error")
            }
        }
    }
}
