import Core
import Foundation
import HTTPTypes
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct ExplainRouteTests {
        @Test(
            "An explanation needs something to explain, within bounds",
            arguments: [
                "{}", #"{"question":"  "}"#, #"{"question":"Why?","limit":0}"#,
                #"{"question":"Why?","limit":101}"#, #"{"turnID":"x"}"#,
                #"{"question":"Why?","documentID":7}"#, #"{"question":"Why?","tags":"a"}"#,
            ])
        func refused(body: String) async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice("POST", "/api/search/explain", json: body)
                #expect(response.status == 400, "\(response.text)")
                #expect(server.layers.with { $0.explanations.count } == 0)
            }
        }

        @Test(
            "What is asked reaches the assistant as it was asked, and its answer comes back whole")
        func passedOn() async throws {
            try await TestServer.run { server in
                let (turn, document) = (ScriptedLayers.turn, ScriptedLayers.document)
                let response = try await server.asAlice(
                    "POST", "/api/search/explain",
                    json: #"{"turnID":"\#(turn)","documentID":"\#(document)","collectionIDs":[],"#
                        + #""passagesMax":9,"limit":100,"model":"tiny","tags":["a","b"]}"#)
                #expect(response.status == 200)
                let request = try #require(server.layers.with { $0.explanations.last })
                #expect(request.turnID == turn && request.documentID == document)
                #expect(request.collectionIDs == [] && request.passagesMax == 9)
                #expect(request.question == nil && request.limit == 100)
                let tags: JSONValue = ["type": "in", "key": "$tag", "value": ["a", "b"]]
                #expect(request.filter == ["type": "and", "filters": [tags]])
                let answer = try response.json(AnswerExplanation.self)
                #expect(answer.findings == ScriptedLayers.explanation.findings)
                #expect(answer.expected?.missingWords == ["there"])
            }
        }

        @Test("A chat's passages are set, left to the configuration again, and set from its start")
        func passages() async throws {
            try await TestServer.run { server in
                let path = "/api/chats/\(ScriptedLayers.chat)"
                for body in [#"{"passagesMax":7}"#, #"{"passagesMax":null}"#] {
                    #expect(try await server.asAlice("PATCH", path, json: body).status == 204)
                }
                let made = try await server.asAlice(
                    "POST", "/api/chats", json: #"{"title":"t","passagesMax":12}"#)
                #expect(made.status == 201)
                #expect(try made.json(ChatSummary.self).passagesMax == 12)
                #expect(server.layers.with { $0.passages } == [7, nil, 12])
            }
        }
    }
}
