import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    /// The models as Anthropic's clients list them; OpenAI's are with the rest of that surface.
    @Suite struct ModelListTests {
        private static let header = ["anthropic-version": "2023-06-01"]

        @Test("Who sends anthropic-version is answered in Anthropic's shapes, refusals included")
        func shapes() async throws {
            try await TestServer.run { server in
                let list = try await server.asAlice("GET", "/v1/models", headers: Self.header)
                let model =
                    #"""
                    {"type":"model","id":"tiny","display_name":"tiny",\#
                    "created_at":"1970-01-01T00:00:00Z","max_input_tokens":2048,\#
                    "max_tokens":512}
                    """#
                #expect(
                    list.text
                        == #"{"data":[\#(model)],"has_more":false,"first_id":"tiny","#
                        + #""last_id":"tiny"}"#)
                let one = try await server.asAlice("GET", "/v1/models/tiny", headers: Self.header)
                #expect(one.text == model)
                for (path, status, type) in [
                    ("/v1/models/other", 404, "not_found_error"),
                    ("/v1/models?limit=0", 400, "invalid_request_error"),
                    ("/v1/models?after_id=other", 400, "invalid_request_error"),
                ] {
                    let refusal = try await server.asAlice("GET", path, headers: Self.header)
                    #expect(refusal.status == status)
                    #expect(try refusal.json(JSONValue.self)["error"]?["type"]?.string == type)
                }
                let other = try await server.asAlice("GET", "/v1/models")
                #expect(try other.json(JSONValue.self)["object"]?.string == "list")
            }
        }

        @Test(
            "Pages go forwards and backwards",
            arguments: [
                ("limit=2", ["a", "b"], true), ("limit=2&after_id=b", ["c", "d"], true),
                ("after_id=d", ["e"], false), ("limit=2&before_id=d", ["b", "c"], true),
                ("before_id=b", ["a"], false), ("after_id=e", [], false),
            ])
        func pages(query: String, names: [String], hasMore: Bool) throws {
            let cards = ["a", "b", "c", "d", "e"].map {
                ModelCard(
                    name: $0, candidates: ["p/\($0)"], contextTokens: 10, outputTokensMax: 5,
                    isLocal: false)
            }
            let page = try AnthropicModels.page(of: cards, QueryParameters(query))
            #expect(page["data"]?.array?.compactMap { $0["id"]?.string } == names)
            #expect(page["has_more"]?.bool == hasMore)
            #expect(page["first_id"]?.string == names.first)
            #expect(page["last_id"]?.string == names.last)
        }
    }
}
