import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct FileSearchTests {
        private static let path = "/v1/responses"
        private static let store = OpenAIID.vectorStore.text(ScriptedLayers.collection)
        private static let file = OpenAIID.file.text(ScriptedLayers.document)

        private static func json(_ tool: String = "", _ more: String = "") -> String {
            #"{"model":"tiny","input":"When?","tools":[{"type":"file_search","vector_store_ids":["#
                + #""\#(store)"]\#(tool.isEmpty ? "" : ",\(tool)")}]"#
                + (more.isEmpty ? "}" : ",\(more)}")
        }

        private static func events(_ text: String) throws -> [JSONValue] {
            try text.components(separatedBy: "\n").filter { $0.hasPrefix("data: ") }.map {
                try JSONValue(parsing: $0.dropFirst(6).utf8)
            }
        }

        @Test("An answer from files has the search, its results where asked, and its citations")
        func whole() async throws {
            try await TestServer.run { server in
                server.layers.with {
                    $0.citations = [
                        TextCitation(offset: 5, number: 1), TextCitation(offset: 9, number: 7),
                    ]
                }
                let tool =
                    #""max_num_results":3,"filters":{"type":"eq","key":"a","value":"b"},"#
                    + #""ranking_options":{"ranker":"auto","score_threshold":0.2}"#
                let response = try await server.asAlice(
                    "POST", Self.path,
                    json: Self.json(tool, #""include":["file_search_call.results"]"#))
                #expect(response.status == 200, "\(response.text)")
                #expect(response.headers["x-heptad-cost"] == "1234")
                let body = try response.json(JSONValue.self)
                let output = try #require(body["output"]?.array)
                #expect(output.map { $0["type"]?.string } == ["file_search_call", "message"])
                #expect(output[0]["id"]?.string?.hasPrefix("fs_") == true)
                #expect(output[0]["status"] == "completed" && output[0]["queries"] == ["asked"])
                #expect(
                    output[0]["results"] == [
                        [
                            "file_id": .string(Self.file), "filename": "a.md",
                            "score": .number("0.5"),
                            "attributes": ["a": "b", "is": true, "n": .number("1.5")],
                            "text": "Text.",
                        ]
                    ])
                // The seventh of one passage is nothing.
                #expect(
                    output[1]["content"]?.array?.first?["annotations"] == [
                        [
                            "type": "file_citation", "index": 5, "file_id": .string(Self.file),
                            "filename": "a.md",
                        ]
                    ])
                let echoed = try #require(body["tools"]?.array?.first)
                #expect(echoed["type"] == "file_search" && echoed["max_num_results"] == 3)
                let search = try #require(server.layers.with { $0.searches.first })
                #expect(search.collectionIDs == [ScriptedLayers.collection] && search.limit == 3)
                #expect(search.filter?["key"] == "a")
                let request = try #require(server.layers.with { $0.chatRequests.first })
                #expect(request.tools.isEmpty && request.toolChoice == .auto)
                let plain = try await server.asAlice("POST", Self.path, json: Self.json())
                    .json(JSONValue.self)
                #expect(plain["output"]?.array?.first?["results"] == .null)
            }
        }

        @Test("A stream tells of the search before the text, and of citations before its end")
        func streamed() async throws {
            try await TestServer.run { server in
                server.layers.with { $0.citations = [TextCitation(offset: 12, number: 1)] }
                let response = try await server.asAlice(
                    "POST", Self.path, json: Self.json("", #""stream":true"#))
                let events = try Self.events(response.text)
                #expect(
                    events.map { $0["type"]?.string } == [
                        "response.created", "response.in_progress", "response.output_item.added",
                        "response.file_search_call.in_progress",
                        "response.file_search_call.searching",
                        "response.file_search_call.completed", "response.output_item.done",
                        "response.output_item.added", "response.content_part.added",
                        "response.output_text.delta", "response.output_text.delta",
                        "response.output_text.delta", "response.output_text.annotation.added",
                        "response.output_text.done", "response.content_part.done",
                        "response.output_item.done", "response.completed",
                    ])
                #expect(events.map { $0["sequence_number"]?.int } == Array(0..<events.count))
                #expect(events[2]["item"]?["status"] == "in_progress")
                let id = try #require(events[2]["item"]?["id"])
                for place in 3...5 {
                    #expect(events[place]["item_id"] == id && events[place]["output_index"] == 0)
                }
                let added = events[12]
                #expect(added["annotation_index"] == 0 && added["output_index"] == 1)
                #expect(added["annotation"]?["index"] == 12)
                let last = try #require(events.last?["response"]?["output"]?.array)
                #expect(last == [events[6], events[15]].compactMap { $0["item"] })
                let annotation = try #require(added["annotation"])
                #expect(last[1]["content"]?.array?.first?["annotations"] == .array([annotation]))
            }
        }

        @Test("What is chosen decides whether files are searched, and which functions are left")
        func choice() async throws {
            let function = #"{"type":"function","name":"f"}"#
            let search = #"{"type":"file_search","vector_store_ids":["\#(Self.store)"]}"#
            let rows: [(tools: String, choice: String, searches: Bool, left: ToolChoice)] = [
                (search, #""auto""#, true, .auto), (search, #""required""#, true, .auto),
                (search, #""none""#, false, .none),
                (search, #"{"type":"file_search"}"#, true, .auto),
                ("\(search),\(function)", #"{"type":"file_search"}"#, true, .auto),
                ("\(function),\(search)", #"{"type":"function","name":"f"}"#, false, .named("f")),
                (
                    "\(search),\(function)",
                    #"{"type":"allowed_tools","mode":"required","tools":[{"type":"file_search"}]}"#,
                    true, .none
                ),
                (
                    "\(search),\(function)",
                    #"{"type":"allowed_tools","mode":"auto","tools":[\#(function)]}"#, false, .auto
                ),
            ]
            try await TestServer.run { server in
                for row in rows {
                    server.layers.with { ($0.searches, $0.chatRequests) = ([], []) }
                    let response = try await server.asAlice(
                        "POST", Self.path,
                        json: #"{"model":"tiny","input":"When?","tools":[\#(row.tools)],"#
                            + #""tool_choice":\#(row.choice)}"#)
                    #expect(response.status == 200, "\(row.choice): \(response.text)")
                    let state = server.layers.with { ($0.searches.count, $0.chatRequests.first) }
                    #expect((state.0 == 1) == row.searches, "\(row.choice)")
                    #expect(state.1?.toolChoice == row.left, "\(row.choice)")
                }
            }
        }

        @Test("A search that cannot be is refused by the name of what is wrong with it")
        func refusals() async throws {
            let rows: [(tools: String, parameter: String)] = [
                (#"{"type":"file_search"}"#, "tools[0].vector_store_ids"),
                (
                    #"{"type":"file_search","vector_store_ids":[]}"#,
                    "tools[0].vector_store_ids"
                ),
                (
                    #"{"type":"file_search","vector_store_ids":["vs_1"],"max_num_results":51}"#, ""
                ),
                (
                    #"{"type":"file_search","vector_store_ids":["\#(Self.store)"],"#
                        + #""max_num_results":51}"#, "tools[0].max_num_results"
                ),
                (
                    #"{"type":"file_search","vector_store_ids":["\#(Self.store)"],"#
                        + #""ranking_options":{"score_threshold":2}}"#,
                    "tools[0].ranking_options.score_threshold"
                ),
                (
                    #"{"type":"file_search","vector_store_ids":["\#(Self.store)"]},"#
                        + #"{"type":"file_search","vector_store_ids":["\#(Self.store)"]}"#,
                    "tools[1]"
                ), (#"{"type":"web_search"}"#, "tools[0].type"),
            ]
            try await TestServer.run { server in
                for row in rows {
                    let response = try await server.asAlice(
                        "POST", Self.path,
                        json: #"{"model":"tiny","input":"When?","tools":[\#(row.tools)]}"#)
                    #expect(response.status == (row.parameter.isEmpty ? 404 : 400))
                    guard !row.parameter.isEmpty else { continue }
                    let error = try response.json(OpenAIError.self).error
                    #expect(error.param == row.parameter, "\(error.message)")
                }
                // Somebody else's vector store is not there.
                let anothers = try await server.request(
                    "POST", Self.path, headers: server.bearer(server.malloryKey),
                    json: Self.json())
                #expect(anothers.status == 404)
            }
        }

        @Test("A conversation may have the searches of earlier answers in it")
        func replayed() async throws {
            try await TestServer.run { server in
                let input =
                    #"""
                    [{"role":"user","content":"When?"},{"type":"file_search_call","id":"fs_1",\#
                    "status":"completed","queries":["When?"],"results":null},\#
                    {"type":"message","role":"assistant","content":[{"type":"output_text",\#
                    "text":"At nine.","annotations":[{"type":"file_citation","index":8,\#
                    "file_id":"file-1","filename":"a"}]}]},{"role":"user","content":"Why?"}]
                    """#
                let response = try await server.asAlice(
                    "POST", Self.path, json: #"{"model":"tiny","input":\#(input)}"#)
                #expect(response.status == 200, "\(response.text)")
                let request = try #require(server.layers.with { $0.chatRequests.first })
                #expect(request.messages.map(\.text) == ["When?", "At nine.", "Why?"])
            }
        }

        @Test("Batches of files are made of one list or the other, looked at and cancelled")
        func batches() async throws {
            try await TestServer.run { server in
                let path = "/v1/vector_stores/\(Self.store)/file_batches"
                let made = try await server.asAlice(
                    "POST", path,
                    json: #"{"file_ids":["\#(Self.file)"],"attributes":{"year":2024}}"#)
                let body = try made.json(JSONValue.self)
                #expect(made.status == 200 && body["object"] == "vector_store.files_batch")
                #expect(body["vector_store_id"] == .string(Self.store))
                #expect(
                    body["file_counts"] == [
                        "in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1,
                    ])
                let id = try #require(body["id"]?.string)
                let other = try await server.asAlice(
                    "POST", path,
                    json: #"{"files":[{"file_id":"\#(Self.file)","attributes":{"a":"b"}}]}"#)
                #expect(other.status == 200)
                #expect(
                    server.layers.with { $0.batches } == [
                        [ScriptedLayers.document: ["year": .number(2024)]],
                        [ScriptedLayers.document: ["a": .string("b")]],
                    ])
                let listed = try await server.asAlice("GET", "\(path)/\(id)/files")
                    .json(JSONValue.self)
                #expect(listed["data"]?.array?.first?["id"] == .string(Self.file))
                let none = try await server.asAlice("GET", "\(path)/\(id)/files?filter=failed")
                    .json(JSONValue.self)
                #expect(none["data"] == [])
                let cancelled = try await server.asAlice("POST", "\(path)/\(id)/cancel")
                    .json(JSONValue.self)
                #expect(cancelled["status"] == "cancelled")
                #expect(cancelled["file_counts"]?["cancelled"] == 1)
                for wrong in [
                    "{}", #"{"file_ids":[]}"#,
                    #"{"file_ids":["\#(Self.file)"],"files":[{"file_id":"\#(Self.file)"}]}"#,
                ] {
                    let refused = try await server.asAlice("POST", path, json: wrong)
                    #expect(refused.status == 400, "\(wrong)")
                }
            }
        }
    }
}
