import Foundation
import TestSupport
import Testing

@Suite struct CommandLineTests {
    @Test("The version and the help are there for a newcomer")
    func help() async throws {
        let folder = try TemporaryFolder()
        let version = try await HeptadBinary.run(["version"], in: folder)
        #expect(version.exitCode == 0 && version.output.hasPrefix("heptad "))
        let help = try await HeptadBinary.run(["--help"], in: folder)
        let commands = [
            "serve", "ask", "search", "ingest", "user", "key", "models", "bench", "eval", "config",
            "doctor", "version",
        ]
        for command in commands {
            #expect(help.output.contains("  \(command) "), "\(command)")
        }
    }

    @Test("An unknown key stops every command with its line and the nearest key")
    func unknownKey() async throws {
        let folder = try TemporaryFolder()
        try "gateway:\n  prot: 8081\n".write(
            toFile: folder.path + "/heptad.yaml", atomically: true, encoding: .utf8)
        for command in [["config", "check"], ["serve"], ["ask", "x"]] {
            let result = try await HeptadBinary.run(command, in: folder)
            #expect(result.exitCode == 1)
            #expect(result.errors.contains("heptad.yaml, line 2"))
            #expect(result.errors.contains("Did you mean `port`?"))
        }
    }

    @Test("Without models the server starts and the banner names the command that fetches them")
    func noModels() async throws {
        let folder = try TemporaryFolder()
        let server = try await ServerUnderTest(in: folder, models: false)
        let chat = try await server.call("POST", "/api/chats", json: [:]).json["id"] as? String
        let refused = try await server.call(
            "POST", "/api/chats/\(chat ?? "")/turns", json: ["question": "Hello?"])
        #expect(refused.status >= 400 && refused.text.contains("make models"), "\(refused.text)")
        try await server.stop()
    }

    @Test("Users and keys are made beside a running server, and a revoked key stops at once")
    func keys() async throws {
        let folder = try TemporaryFolder()
        let server = try await ServerUnderTest(in: folder, models: false)
        let added = try await HeptadBinary.run(
            ["user", "add", "erin"], in: folder, input: "correct horse battery\n")
        #expect(added.exitCode == 0, "\(added.errors)")
        let created = try await HeptadBinary.run(
            ["key", "create", "laptop", "--user", "erin"], in: folder)
        let key = created.output.firstMatch(of: /hp_\S+/).map { String($0.0) } ?? ""
        #expect(try await server.call("GET", "/api/session", key: key).status == 200)

        let listed = try await HeptadBinary.run(["key", "list", "--user", "erin"], in: folder)
        #expect(listed.output.contains("laptop") && !listed.output.contains(key))
        let id =
            listed.output.firstMatch(of: /[0-9a-f]{8}-[0-9a-f-]{27}/).map { String($0.0) } ?? ""
        let revoked = try await HeptadBinary.run(
            ["key", "revoke", id, "--user", "erin"], in: folder)
        #expect(revoked.exitCode == 0, "\(revoked.errors)")
        #expect(try await server.call("GET", "/api/session", key: key).status == 401)
        try await server.stop()
    }

    @Test("A search says what became of a document, beside a running server and without one")
    func explainedSearch() async throws {
        let folder = try TemporaryFolder()
        let file = folder.path + "/handbook.txt"
        try "A lost oar costs 18 euros.".write(toFile: file, atomically: true, encoding: .utf8)
        let environment = ["HEPTAD_MODELS": folder.path + "/none"]
        let ingested = try await HeptadBinary.run(
            ["ingest", file], in: folder, environment: environment)
        #expect(ingested.exitCode == 0, "\(ingested.errors)")
        func search(_ options: String...) async throws -> HeptadBinary.Result {
            try await HeptadBinary.run(
                ["search", "price of an oar"] + options, in: folder, environment: environment)
        }
        func check() async throws {
            let explained = try await search("--expect", "handbook.txt")
            #expect(explained.exitCode == 0, "\(explained.errors)")
            #expect(explained.output.contains("It was found: its best passage is at rank 1"))
            #expect(explained.output.contains("does not hold: price"))
            #expect(explained.output.contains("words #1 (BM25"))
            let json = try await search("--explain", "--json")
            #expect(json.output.contains("\"fate\""))
            let missing = try await search("--expect", "other.txt")
            #expect(missing.exitCode != 0 && missing.errors.contains("no document “other.txt”"))
        }
        try await check()
        let server = try await ServerUnderTest(in: folder, models: false)
        try await check()
        try await server.stop()
    }

    @Test("Pruning removes documents whose file is gone from a named folder, and no others")
    func prune() async throws {
        let folder = try TemporaryFolder()
        let environment = ["HEPTAD_MODELS": folder.path + "/none"]
        let (kept, other) = (folder.path + "/notes", folder.path + "/notes-2024")
        for path in [kept, other] {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        }
        let texts = [
            "\(kept)/oars.txt": "Oars row.", "\(kept)/sails.txt": "Sails sail.",
            "\(other)/boats.txt": "Boats float.",
        ]
        for (path, text) in texts {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
        func ingest(_ arguments: String...) async throws -> String {
            let result = try await HeptadBinary.run(
                ["ingest"] + arguments, in: folder, environment: environment)
            #expect(result.exitCode == 0, "\(result.errors)")
            return result.output
        }
        func finds(_ word: String) async throws -> Bool {
            let result = try await HeptadBinary.run(
                ["search", word, "--json"], in: folder, environment: environment)
            return result.output.contains(".txt")
        }
        _ = try await ingest(kept, other)
        for path in texts.keys.filter({ !$0.hasSuffix("/oars.txt") }) {
            try FileManager.default.removeItem(atPath: path)
        }
        let without = try await ingest(kept)
        let isThere = try await finds("sails")
        let pruned = try await ingest(kept, "--prune")

        #expect(!without.contains("removed") && isThere)
        #expect(pruned.contains("sails.txt: removed") && pruned.contains("oars.txt: unchanged"))
        #expect(try await finds("oars"))
        #expect(try await finds("sails") == false)
        // Another folder's, though its name begins alike and its file is gone as well.
        #expect(try await finds("boats"))
    }

    @Test("Two servers never share a data folder")
    func oneServer() async throws {
        let folder = try TemporaryFolder()
        let server = try await ServerUnderTest(in: folder, models: false)
        let second = try await HeptadBinary.run(["serve", "--port", "0"], in: folder)
        #expect(second.exitCode == 1)
        #expect(second.errors.contains(server.address))
        try await server.stop()
    }

    @Test("The doctor and the health check tell a running server from none")
    func health() async throws {
        let folder = try TemporaryFolder()
        #expect(try await HeptadBinary.run(["healthcheck"], in: folder).exitCode == 1)
        let server = try await ServerUnderTest(in: folder, models: false)
        #expect(try await HeptadBinary.run(["healthcheck"], in: folder).exitCode == 0)
        let doctor = try await HeptadBinary.run(["doctor"], in: folder)
        #expect(doctor.output.contains(server.address), "\(doctor.output)\(doctor.errors)")
        try await server.stop()
    }

    @Test("SIGHUP takes over what can change, names what cannot, and refuses what is wrong")
    func reload() async throws {
        let folder = try TemporaryFolder()
        let server = try await ServerUnderTest(in: folder, models: false)
        func write(_ yaml: String) throws {
            try yaml.write(
                toFile: folder.path + "/heptad.yaml", atomically: true, encoding: .utf8)
            kill(server.pid, SIGHUP)
        }

        try write("observability: {log_level: warning}\ngateway: {streams_max: 7}")
        #expect(await eventually { server.log.contains("gateway.streams_max") })
        #expect(!server.log.contains("gateway.port"))
        try write("observability: {log_levl: debug}")
        #expect(await eventually { server.log.contains("Did you mean `log_level`?") })
        #expect(try await server.call("GET", "/healthz").status == 200)
        try await server.stop()
    }
}
