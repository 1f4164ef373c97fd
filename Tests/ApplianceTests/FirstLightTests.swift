import Foundation
import TestSupport
import Testing

/// The whole binary, on its own models: from a document to a cited answer with its cost and trace.
@Suite(
    .enabled(if: HeptadBinary.hasModels, "The models are missing; `make models` fetches them."),
    .serialized)
struct FirstLightTests {
    private static let handbook = """
        # Lighthouse handbook

        ## The lamp

        The lamp of the Skerry lighthouse is lit at sunset and turned off at sunrise. Its keeper
        cleans the lens every Tuesday with vinegar.

        ## Visitors

        Three rules keep visitors safe:

        - Hold the railing on the stairs.
        - Never touch the lens.
        - Leave before the horn sounds.

        ## Supplies

        The supply boat is called Petrel and comes on the first Monday of the month.
        """

    @Test("A question about a document is answered with a citation, a cost, and a trace")
    func firstLight() async throws {
        let folder = try TemporaryFolder()
        let server = try await ServerUnderTest(in: folder)
        let document = try await server.ingest("handbook.md", Self.handbook)
        #expect(document.state == "completed")

        let chat = try await server.call("POST", "/api/chats", json: [:]).json["id"] as? String
        let events = try await server.events(
            "POST", "/api/chats/\(chat ?? "")/turns",
            json: ["question": "Which three rules keep visitors safe?"])
        let ended = events.last?.data ?? [:]
        let citations = ended["citations"] as? [[String: Any]] ?? []
        let passage = citations.first?["passage"] as? [String: Any] ?? [:]

        #expect(events.first?.name == "started")
        #expect(events.contains { $0.name == "text" })
        #expect(ended["state"] as? String == "completed")
        #expect((ended["text"] as? String)?.contains("[1]") == true, "\(ended)")
        #expect(passage["documentID"] as? String == document.document)
        #expect((passage["text"] as? String)?.contains("railing") == true)

        let spans = try await self.spans(of: ended["traceID"] as? String ?? "", server)
        let names = spans.compactMap { $0["name"] as? String }
        #expect(names.contains { $0.hasPrefix("retrieval") }, "\(names)")
        #expect(names.contains { $0.hasPrefix("chat ") }, "\(names)")
        let spend = try await server.call("GET", "/api/spend").json
        #expect((spend["lines"] as? [Any])?.isEmpty == false)
        #expect(spend["total"] as? Int == 0)

        // The log of the turn can be read again, and from its middle.
        let turn = events.first?.data["turnID"] as? String ?? ""
        let again = try await server.events("GET", "/api/turns/\(turn)/events")
        let rest = try await server.events(
            "GET", "/api/turns/\(turn)/events", headers: ["Last-Event-ID": again[1].id])
        #expect(again.map(\.id) == (1...again.count).map(String.init))
        #expect(rest.count == again.count - 2)
        try await server.stop()
    }

    /// The trace's spans, once the request's own has arrived.
    private func spans(of trace: String, _ server: ServerUnderTest) async throws
        -> [[String: Any]]
    {
        for _ in 0..<50 {
            let answer = try await server.call("GET", "/api/traces/\(trace)")
            let spans = answer.json["spans"] as? [[String: Any]] ?? []
            if spans.count >= 4 { return spans }
            try await Task.sleep(for: .milliseconds(100))
        }
        return []
    }

    @Test("After kill -9 in the middle of an answer, what was written is there, and marked so")
    func killed() async throws {
        let folder = try TemporaryFolder()
        // Long enough that no machine is done before it is killed.
        try "orchestration: {local: {output_tokens_max: 4000, ends_loops: false}}".write(
            toFile: folder.path + "/heptad.yaml", atomically: true, encoding: .utf8)
        let server = try await ServerUnderTest(in: folder)
        let chat =
            try await server.call("POST", "/api/chats", json: [:]).json["id"] as? String ?? ""
        let begun = try await server.call(
            "POST", "/api/chats/\(chat)/turns",
            json: [
                "question": "Tell me a long story about the sea.", "collectionIDs": [String](),
            ])
        #expect(begun.status == 201, "\(begun.text)")
        var before = ""
        for _ in 0..<600 where before.count < 40 {
            try await Task.sleep(for: .milliseconds(50))
            before = try await answer(in: chat, server)["text"] as? String ?? ""
        }
        try await Task.sleep(for: .milliseconds(300))
        try await server.stop(signal: SIGKILL)

        let second = try await ServerUnderTest(in: folder)
        let entry = try await answer(in: chat, second)
        #expect(entry["turnState"] as? String == "interrupted", "\(entry)")
        #expect((entry["text"] as? String)?.hasPrefix(before) == true, "\(before) / \(entry)")
        #expect(before.count >= 40)
        try await second.stop()
    }

    private func answer(in chat: String, _ server: ServerUnderTest) async throws -> [String: Any] {
        let entries = try await server.call("GET", "/api/chats/\(chat)").json["entries"]
        return (entries as? [[String: Any]])?.last ?? [:]
    }

    @Test("ingest and ask work with no server, and through one", arguments: [false, true])
    func commandLine(isServing: Bool) async throws {
        let folder = try TemporaryFolder()
        try Self.handbook.write(
            toFile: folder.path + "/handbook.md", atomically: true, encoding: .utf8)
        let server = isServing ? try await ServerUnderTest(in: folder) : nil

        let ingest = try await HeptadBinary.run(["ingest", "handbook.md"], in: folder)
        #expect(ingest.exitCode == 0, "\(ingest.errors)")
        let ask = try await HeptadBinary.run(
            ["ask", "What is the supply boat called?"], in: folder)
        #expect(ask.exitCode == 0, "\(ask.errors)")
        #expect(ask.output.contains("Petrel"), "\(ask.output)")
        #expect(ask.output.contains("[1] handbook.md"), "\(ask.output)")
        #expect(ask.output.contains(/free · [\d.]+ s · trace [0-9a-f]{32}/), "\(ask.output)")
        try await server?.stop()
    }

    @Test("What a second user may not see answers 404")
    func foreign() async throws {
        let folder = try TemporaryFolder()
        let server = try await ServerUnderTest(in: folder)
        let document = try await server.ingest("handbook.md", Self.handbook).document
        let chat =
            try await server.call("POST", "/api/chats", json: [:]).json["id"] as? String ?? ""
        let made = try await HeptadBinary.run(
            ["user", "add", "mallory"], in: folder, input: "a long enough password\n")
        #expect(made.exitCode == 0, "\(made.errors)")
        let created = try await HeptadBinary.run(
            ["key", "create", "k", "--user", "mallory"], in: folder)
        let key = created.output.firstMatch(of: /hp_\S+/).map { String($0.0) } ?? ""

        for path in ["/api/documents/\(document)", "/api/chats/\(chat)"] {
            #expect(try await server.call("GET", path, key: key).status == 404)
            #expect(try await server.call("DELETE", path, key: key).status == 404)
        }
        let found = try await server.call(
            "POST", "/api/search", json: ["text": "supply boat"], key: key)
        #expect((found.json["hits"] as? [Any])?.isEmpty == true)
        try await server.stop()
    }
}
