import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

/// The keys of providers and the overview of the model gateway, through the binary.
@Suite struct ModelGatewayTests {
    private static let key = "sk-of-the-page-0123456789"

    private static let stream =
        #"data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}"#
        + "\n\ndata: [DONE]\n\n"

    @Test("A key that is set over HTTP is used at once and after a restart, and is shown nowhere")
    func key() async throws {
        let folder = try TemporaryFolder()
        let upstream = try ScriptedServer { _ in
            [ScriptedServer.head(), .text(Self.stream)]
        }
        try """
        inference:
          providers:
            far:
              base_url: \(upstream.url)/v1
          models:
            m:
              candidates: [far/model]
        accounting:
          prices:
            far/*: {}
        """.write(toFile: folder.path + "/heptad.yaml", atomically: true, encoding: .utf8)

        func ask(_ server: ServerUnderTest) async throws -> String? {
            let answer = try await server.call(
                "POST", "/v1/chat/completions",
                json: ["model": "m", "messages": [["role": "user", "content": "Hello?"]]])
            #expect(answer.status == 200, "\(answer.text)")
            return upstream.requests.last?.headers["authorization"]
        }

        var server = try await ServerUnderTest(in: folder, models: false)
        #expect(try await ask(server) == nil)
        let made = try await server.call(
            "POST", "/api/admin/providers/far/keys", json: ["key": Self.key])
        #expect(made.status == 201 && !made.text.contains(Self.key), "\(made.text)")
        #expect(try await ask(server) == "Bearer \(Self.key)")
        var shown = server.log
        try await server.stop()

        server = try await ServerUnderTest(in: folder, models: false)
        #expect(try await ask(server) == "Bearer \(Self.key)")
        let overview = try await server.call("GET", "/api/admin/models")
        #expect(overview.status == 200)
        let description = try JSONValue(
            parsing: try await server.call("GET", "/api/openapi.json").body)
        let schemas = description["components"]?["schemas"]?.members ?? []
        let check = SchemaCheck(
            Dictionary(schemas.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }))
        #expect(
            check.mismatch(try JSONValue(parsing: overview.body), "ModelsOverview") == nil)
        #expect(check.mismatch(try JSONValue(parsing: made.body), "ProviderKey") == nil)
        #expect(overview.text.contains(#""hint":"6789""#))

        let id = made.json["id"] as? String ?? ""
        let removed = try await server.call("DELETE", "/api/admin/providers/far/keys/\(id)")
        #expect(removed.status == 204)
        #expect(try await ask(server) == nil)
        shown += server.log + overview.text
        try await server.stop()
        #expect(shown.contains("a provider's key was set"))
        #expect(shown.contains("a provider's key was removed"))
        let data = folder.path + "/data"
        for name in try FileManager.default.contentsOfDirectory(atPath: data) {
            let file = FileManager.default.contents(atPath: data + "/" + name) ?? Data()
            shown += String(decoding: file, as: UTF8.self)
        }
        #expect(!shown.contains(Self.key))
    }
}
