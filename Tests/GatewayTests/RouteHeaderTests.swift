import Core
import OrderedJSON
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    /// What clients are told of how their answer came about.
    @Suite struct RouteHeaderTests {
        private static let path = "/v1/chat/completions"

        private static func json(stream: Bool) -> String {
            #"{"model":"tiny","messages":[{"role":"user","content":"Hi"}],"stream":\#(stream)}"#
        }

        @Test("A header says who answers and why, streamed or not", arguments: [true, false])
        func route(isStreamed: Bool) async throws {
            try await TestServer.run { server in
                server.layers.with {
                    $0.decision = "fallback far/gr\u{fc}n (near/a: broken)\r\nx: y"
                }
                let response = try await server.asAlice(
                    "POST", Self.path, json: Self.json(stream: isStreamed))
                #expect(response.status == 200)
                #expect(
                    response.headers["x-heptad-route"] == "fallback far/gr?n (near/a: broken)??x: y"
                )
                #expect(response.headers["x"] == nil)
                server.layers.with { $0.decision = String(repeating: "x", count: 4000) }
                let long = try await server.asAlice(
                    "POST", Self.path, json: Self.json(stream: isStreamed))
                #expect(long.headers["x-heptad-route"]?.count == 500)
            }
        }

        @Test(
            "After our own attempts a client is told not to multiply them",
            arguments: [true, false])
        func shouldRetry(hasBeenRetried: Bool) async throws {
            try await TestServer.run { server in
                server.layers.with {
                    var failure = Failure(.unavailable, "Down.", retryAfter: .seconds(3))
                    failure.hasBeenRetried = hasBeenRetried
                    $0.openFailure = failure
                }
                let response = try await server.asAlice(
                    "POST", Self.path, json: Self.json(stream: false))
                #expect(response.status == 503 && response.headers["retry-after"] == "3")
                #expect(response.headers["x-should-retry"] == (hasBeenRetried ? "false" : nil))
            }
        }

        @Test("A stream says where another candidate goes on, in a chunk that clients pass over")
        func switched() async throws {
            try await TestServer.run { server in
                server.layers.with {
                    $0.change = CandidateSwitch(
                        from: "far/a", usage: TokenUsage(freshInput: 1), to: "near/b",
                        isContinued: true)
                }
                let response = try await server.asAlice(
                    "POST", Self.path, json: Self.json(stream: true))
                let chunks = response.text.split(separator: "\n\n").compactMap { event in
                    try? JSONValue(parsing: event.dropFirst("data: ".count).utf8)
                }
                let choice = chunks.compactMap { $0["choices"]?.array?.first }
                    .first { $0["heptad_switched"] != nil }
                #expect(choice?["heptad_switched"]?["from"] == "far/a")
                #expect(choice?["heptad_switched"]?["to"] == "near/b")
                #expect(choice?["delta"] == [:])

                let responses = try await server.asAlice(
                    "POST", "/v1/responses",
                    json: #"{"model":"tiny","input":"Hi","stream":true}"#)
                let comment =
                    #": heptad_switched {"from":"far/a","to":"near/b","is_continued":true}"#
                #expect(responses.text.contains("\n\n\(comment)\n\n"))
            }
        }
    }
}
