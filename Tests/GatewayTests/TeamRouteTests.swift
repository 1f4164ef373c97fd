import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct TeamRouteTests {
        @Test("An administrator makes a team, puts users in and out, and takes it away")
        func teams() async throws {
            try await TestServer.run { server in
                let owner = server.bearer(TestServer.operatorToken)
                func asOwner(_ method: String, _ path: String, _ json: String? = nil) async throws
                    -> RawResponse
                {
                    try await server.request(method, path, headers: owner, json: json)
                }
                let made = try await asOwner("POST", "/api/admin/teams", #"{"name":"The crew"}"#)
                #expect(made.status == 201)
                let team = try made.json(JSONValue.self)
                #expect(team["members"] == [])
                let again = try await asOwner("POST", "/api/admin/teams", #"{"name":"the CREW"}"#)
                #expect(again.status == 409)
                let blank = try await asOwner("POST", "/api/admin/teams", #"{"name":" "}"#)
                #expect(blank.status == 400)
                let path = "/api/admin/teams/The%20crew"
                for user in ["alice", "mallory", "alice"] {
                    #expect(try await asOwner("PUT", "\(path)/members/\(user)").status == 204)
                }
                #expect(try await asOwner("PUT", "\(path)/members/nobody").status == 404)
                let listed = try await asOwner("GET", "/api/teams").json(JSONValue.self)
                #expect(listed["teams"]?.array?.first?["members"] == ["alice", "mallory"])
                // A member sees the teams it is in, from its next request on.
                let own = try await server.asAlice("GET", "/api/teams").json(JSONValue.self)
                #expect(own["teams"]?.array?.count == 1)
                #expect(try await asOwner("DELETE", "\(path)/members/alice").status == 204)
                let after = try await server.asAlice("GET", "/api/teams").json(JSONValue.self)
                #expect(after["teams"] == [])
                let users = try await asOwner("GET", "/api/admin/users").json(JSONValue.self)
                #expect(
                    users["users"]?.array?.compactMap { $0["name"]?.string }.contains("mallory")
                        == true)
                #expect(try await asOwner("DELETE", path).status == 204)
                #expect(try await asOwner("DELETE", path).status == 404)
            }
        }

        @Test("Members, and keys of some collections, make no teams and see no accounts")
        func refused() async throws {
            try await TestServer.run { server in
                let table = [
                    ("GET", "/api/admin/users", nil),
                    ("POST", "/api/admin/teams", #"{"name":"Crew"}"#),
                    ("DELETE", "/api/admin/teams/Crew", nil),
                    ("PUT", "/api/admin/teams/Crew/members/alice", nil),
                    ("DELETE", "/api/admin/teams/Crew/members/alice", nil),
                ]
                for (method, path, json) in table {
                    let response = try await server.asAlice(method, path, json: json)
                    #expect(response.status == 403, "\(method) \(path)")
                }
                let teams = try await server.identity.teams()
                #expect(teams.isEmpty)
            }
        }

        @Test("A chat keeps the collections it looks in, and what is not named stays as it is")
        func chatCollections() async throws {
            try await TestServer.run { server in
                let path = "/api/chats/\(ScriptedLayers.chat)"
                let id = ScriptedLayers.collection
                for body in [
                    #"{"collectionIDs":["\#(id)"]}"#, #"{"collectionIDs":null}"#,
                    #"{"collectionIDs":[],"passagesMax":5}"#, #"{"passagesMax":null}"#,
                ] {
                    #expect(try await server.asAlice("PATCH", path, json: body).status == 204)
                }
                let state = server.layers.with { ($0.chatCollections, $0.passages) }
                #expect(state.0 == [[id], nil, []])
                #expect(state.1 == [5, nil])
                for body in [#"{"collectionIDs":["x"]}"#, #"{"collectionIDs":5}"#, "[]"] {
                    #expect(try await server.asAlice("PATCH", path, json: body).status == 400)
                }
                let made = try await server.asAlice(
                    "POST", "/api/chats", json: #"{"title":"t","collectionIDs":["\#(id)"]}"#)
                let chat = try made.json(JSONValue.self)
                #expect(chat["collectionIDs"] == [.string(id.description)])
            }
        }

        @Test("A site is handed over with what was chosen for it; a wrong request is refused")
        func site() async throws {
            try await TestServer.run { server in
                let path = "/api/documents/from-sitemap"
                let taken = try await server.asAlice(
                    "POST", path,
                    json: #"{"url":"https://a.example","otherHosts":true,"removeVanished":true}"#)
                #expect(taken.status == 202)
                #expect(taken.headers["location"] == "/api/jobs/\(ScriptedLayers.job)")
                let site = try #require(server.layers.with { $0.sites.first })
                #expect(site.address == "https://a.example" && site.collectionID == nil)
                #expect(site.includesOtherHosts && site.removesVanished)
                let long = String(repeating: "a", count: 2000)
                for body in ["{}", #"{"url":"https://a.example/\#(long)"}"#, #"{"url":5}"#] {
                    #expect(try await server.asAlice("POST", path, json: body).status == 400)
                }
                let anothers = try await server.request(
                    "POST", path, headers: server.bearer(server.malloryKey),
                    json:
                        #"{"url":"https://a.example","collectionID":"\#(ScriptedLayers.collection)"}"#
                )
                #expect(anothers.status == 404)
            }
        }
    }
}
