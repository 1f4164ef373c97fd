import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct ResponsesRequestTests {
        private static let path = "/v1/responses"

        private static func json(_ more: String) -> String {
            #"{"model":"tiny","input":"Hi",\#(more)}"#
        }

        @Test("The items of a conversation become its messages")
        func input() async throws {
            try await TestServer.run { server in
                let items =
                    #"""
                    [{"role":"developer","content":"Rules."},\#
                    {"type":"message","role":"user","content":[\#
                    {"type":"input_text","text":"Look:"},{"type":"input_image",\#
                    "image_url":"https://example.com/a.png","detail":"low"}]},\#
                    {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"},\#
                    {"type":"message","id":"msg_1","role":"assistant","status":"completed",\#
                    "content":[{"type":"output_text","text":"Wait.","annotations":[]}]},\#
                    {"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},\#
                    {"type":"function_call","call_id":"d","name":"g","arguments":"[]"},\#
                    {"type":"function_call_output","call_id":"c","output":"one"},\#
                    {"type":"function_call_output","call_id":"d","output":\#
                    [{"type":"input_text","text":"two"}]}]
                    """#
                let response = try await server.asAlice(
                    "POST", Self.path, json: #"{"input":\#(items)}"#)
                #expect(response.status == 200)
                let request = try #require(server.layers.with { $0.chatRequests.first })
                var said = ChatMessage(.assistant, "Wait.")
                said.toolCalls = [
                    ToolCall(id: "c", name: "f", arguments: "{}"),
                    ToolCall(id: "d", name: "g", arguments: "[]"),
                ]
                var (one, two) = (ChatMessage(.tool, "one"), ChatMessage(.tool, "two"))
                (one.toolCallID, one.name) = ("c", "f")
                (two.toolCallID, two.name) = ("d", "g")
                #expect(
                    request.messages == [
                        ChatMessage(.system, "Rules."),
                        ChatMessage(
                            .user,
                            [
                                .text("Look:"),
                                .image(
                                    ChatImage(.address("https://example.com/a.png"), detail: "low")),
                            ]), said, one, two,
                    ])
            }
        }

        @Test("Tools, choices and formats in their flat shape reach the model, and come back")
        func flat() async throws {
            try await TestServer.run { server in
                let schema = #"{"type":"object","properties":{"z":{"const":1.50},"a":{}}}"#
                let tools =
                    #""tools":[{"type":"function","name":"f","description":"d","strict":true,"#
                    + #""parameters":\#(schema)},{"type":"function","name":"g","parameters":null}]"#
                let response = try await server.asAlice(
                    "POST", Self.path,
                    json: Self.json(
                        tools + #"""
                            ,"tool_choice":{"type":"function","name":"g"},"include":\#
                            ["message.output_text.logprobs"],"top_logprobs":2,"text":{"format":\#
                            {"type":"json_schema","name":"n","strict":true,"schema":\#(schema)}}
                            """#
                    ))
                #expect(response.status == 200)
                let request = try #require(server.layers.with { $0.chatRequests.first })
                #expect(request.tools.map(\.name) == ["f", "g"])
                #expect(request.tools.map(\.parameters?.text) == [schema, nil])
                #expect(request.tools.map(\.isStrict) == [true, false])
                #expect(request.toolChoice == .named("g"))
                #expect(request.sampling.topLogprobs == 2)
                guard case .jsonSchema("n", let format, true) = request.responseFormat else {
                    Issue.record("\(request.responseFormat)")
                    return
                }
                #expect(format.text == schema)
                let body = try response.json(JSONValue.self)
                #expect(body["tool_choice"] == ["type": "function", "name": "g"])
                #expect(body["tools"]?.array?.first?["parameters"]?.text == schema)
                #expect(body["text"]?["format"]?["schema"]?.text == schema)
                let narrowed = try await server.asAlice(
                    "POST", Self.path,
                    json: Self.json(
                        tools + #","tool_choice":{"type":"allowed_tools","mode":"required","#
                            + #""tools":[{"type":"function","name":"g"}]}"#))
                #expect(narrowed.status == 200)
                let second = try #require(server.layers.with { $0.chatRequests.last })
                #expect(second.tools.map(\.name) == ["g"] && second.toolChoice == .required)
            }
        }

        @Test(
            "What would change the answer and is not spoken here is refused by name",
            arguments: [
                (#""previous_response_id":"resp_1""#, "previous_response_id"),
                (#""store":true"#, "store"), (#""background":true"#, "background"),
                (#""conversation":"conv_1""#, "conversation"), (#""prompt":{"id":"p"}"#, "prompt"),
                (#""truncation":"some""#, "truncation"), (#""metadata":{"a":1}"#, "metadata"),
                (#""metadata":[]"#, "metadata"), (#""temperature":3"#, "temperature"),
                (#""max_output_tokens":0"#, "max_output_tokens"),
                (#""temperature":"hot""#, "temperature"), (#""stream":1"#, "stream"),
                (#""instructions":[]"#, "instructions"), (#""include":"x""#, "include"),
                (#""reasoning":{"effort":"hard"}"#, "reasoning.effort"),
                (#""top_logprobs":21"#, "top_logprobs"), (#""tools":[{}]"#, "tools[0].type"),
                (#""tools":[{"type":"web_search"}]"#, "tools[0].type"),
                (#""tools":[{"type":"function","name":"a b"}]"#, "tools[0].name"),
                (
                    #""tools":[{"type":"function","name":"a","parameters":1}]"#,
                    "tools[0].parameters"
                ),
                (#""tool_choice":{"type":"function","name":"b"}"#, "tool_choice"),
                (#""tool_choice":{"type":"allowed_tools","mode":"auto"}"#, "tool_choice.tools"),
                (#""text":{"format":{"type":"xml"}}"#, "text.format.type"),
                (#""text":{"format":{"type":"json_schema","name":"a"}}"#, "text.format.schema"),
                (#""input":[]"#, "input"), (#""input":7"#, "input"),
                (#""input":[{"type":"reasoning"}]"#, "input"),
                (#""input":[{"role":"wizard","content":"x"}]"#, "input[0].role"),
                (#""input":[{"role":"user"}]"#, "input[0].content"),
                (#""input":[{"type":"item_reference","id":"x"}]"#, "input[0].type"),
                (#""input":[{"type":"web_search_call"}]"#, "input[0].type"),
                (
                    #""input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]"#,
                    "input[0].content[0].image_url"
                ),
                (
                    #""input":[{"role":"user","content":[{"type":"input_file"}]}]"#,
                    "input[0].content[0]"
                ),
                (
                    #""input":[{"type":"function_call","name":"f","arguments":"{}"}]"#,
                    "input[0].call_id"
                ),
                (
                    #""input":[{"type":"function_call","call_id":"c","name":"f"}]"#,
                    "input[0].arguments"
                ),
                (
                    #""input":[{"type":"function_call_output","call_id":"c","output":"x"}]"#,
                    "input[0].call_id"
                ),
            ])
        func unsupported(field: String, parameter: String) async throws {
            try await TestServer.run { server in
                let json =
                    field.hasPrefix("\"input\"")
                    ? #"{"model":"tiny",\#(field)}"# : Self.json(field)
                let response = try await server.asAlice("POST", Self.path, json: json)
                let error = try response.json(OpenAIError.self).error
                #expect(response.status == 400)
                #expect(error.param == parameter && error.type == "invalid_request_error")
                #expect(server.layers.with { $0.chatRequests.isEmpty })
            }
        }
    }
}
