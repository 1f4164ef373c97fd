import Core
import Foundation
import OrderedJSON
import TestSupport
import Testing

@testable import Inference

/// Keys of providers that administrators set while the server runs.
@Suite struct SealedKeysTests {
    private static let key = "sk-page-0123456789-abcd"

    /// Answers, and keeps with which keys it was asked.
    private func makeServer() throws -> ScriptedServer {
        try ScriptedServer { _ in Wire.stream(Wire.hello) }
    }

    private func keys(_ server: ScriptedServer) -> [String] {
        server.requests.map { $0.headers["authorization"] ?? "none" }
    }

    private func states(_ router: ModelRouter) async throws -> [JSONValue] {
        try await router.overview(for: .owner)["providers"]?.array?
            .first { $0["name"]?.string == "p0" }?["keys"]?.array ?? []
    }

    private func id(_ key: JSONValue) throws -> Identifier {
        try #require(key["id"]?.string.flatMap { Identifier($0) })
    }

    @Test(
        "A key is used from the next call on, in place of the configuration's, and after a restart")
    func used() async throws {
        let folder = try TemporaryFolder()
        let server = try makeServer()
        let clock = ManualClock()
        func start() throws -> ModelRouter {
            try .hosted([server], environment: .manual(clock), dataFolder: folder.path)
        }
        let router = try start()
        _ = try await router.answer()
        let made = try await router.setKey(
            " \(Self.key)\n", replacing: nil, of: "p0", for: .owner)
        _ = try await router.answer()
        _ = try await start().answer()
        let old = "Bearer sk-secret-key-123"
        #expect(keys(server) == [old, "Bearer \(Self.key)", "Bearer \(Self.key)"])
        #expect(
            made["hint"]?.string == "abcd" && made["setBy"]?.string == "Owner"
                && made["source"]?.string == "page")
        #expect(made["setAt"]?.string == clock.now.description)

        let second = "sk-page-second-9876543210"
        let replaced = try await router.setKey(
            second, replacing: id(made), of: "p0", for: .owner)
        #expect(replaced["id"] == made["id"])
        _ = try await router.answer()
        try await router.removeKey(id(made), of: "p0", for: .owner)
        _ = try await router.answer()
        _ = try await start().answer()
        #expect(keys(server).suffix(3) == ["Bearer \(second)", old, old])
    }

    @Test("Neither the file, nor the overview, nor a failure has a key")
    func notShown() async throws {
        let folder = try TemporaryFolder()
        let server = try ScriptedServer { request in
            Wire.failure(400, message: "bad \(request.headers["authorization"] ?? "")")
        }
        let router = try ModelRouter.hosted([server], dataFolder: folder.path)
        let made = try await router.setKey(Self.key, replacing: nil, of: "p0", for: .owner)
        let failure = await #expect(throws: Failure.self) { try await router.answer() }
        var shown = [made.text, "\(failure?.description ?? "")"]
        shown.append(try await router.overview(for: .owner).text)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let path = folder.path + "/" + name
            shown.append(try String(contentsOfFile: path, encoding: .utf8))
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        }
        #expect(shown.count == 5)
        for text in shown { #expect(!text.contains("sk-page") && !text.contains("sk-secret")) }
        #expect(failure?.message.contains("bad") == true)
    }

    @Test(
        "Several keys of a provider take turns as the configuration's do, and say what they rest for"
    )
    func rotation() async throws {
        let folder = try TemporaryFolder()
        let server = try ScriptedServer { request in
            request.headers["authorization"] == "Bearer \(Self.key)"
                ? Wire.failure(429, headers: ["Retry-After: 60"]) : Wire.stream(Wire.hello)
        }
        let clock = ManualClock()
        let router = try ModelRouter.hosted(
            [server], environment: .manual(clock), dataFolder: folder.path)
        for key in [Self.key, "sk-other-0123456789"] {
            _ = try await router.setKey(key, replacing: nil, of: "p0", for: .owner)
        }
        _ = try await router.answer()
        let found = try await states(router)
        #expect(found.map { $0["source"]?.string } == ["page", "page", "configuration"])
        #expect(found.map { $0["isUsed"]?.bool } == [true, true, false])
        let rest = found[0]["rests"]?.array?.first
        #expect(rest?["model"]?.string == "model" && rest?["reason"]?.string == "throttled")
        #expect(rest?["until"]?.string == (clock.now + .seconds(60)).description)
        #expect(found[1]["rests"]?.array == [])
    }

    @Test(
        "A key that was changed or whose master key is gone fails its calls in words, and others not"
    )
    func tampered() async throws {
        for breaks in ["line", "master"] {
            let folder = try TemporaryFolder()
            let servers = [try makeServer(), try makeServer()]
            let router = try ModelRouter.hosted([servers[0]], dataFolder: folder.path)
            _ = try await router.setKey(Self.key, replacing: nil, of: "p0", for: .owner)
            let path = folder.path + (breaks == "line" ? "/provider-keys.json" : "/master.key")
            if breaks == "line" {
                let text = try String(contentsOfFile: path, encoding: .utf8)
                // As when someone gives the key of one provider to another.
                try text.replacing("\"p0\"", with: "\"p1\"").write(
                    toFile: path, atomically: true, encoding: .utf8)
            } else {
                try FileManager.default.removeItem(atPath: path)
            }
            let broken = breaks == "line" ? "p1" : "p0"
            let after = try ModelRouter.hosted(servers, dataFolder: folder.path) {
                $0.models["m"]?.candidates = ["\(broken)/model"]
                $0.models["two"] = $0.models["m"]
                $0.models["two"]?.candidates += [broken == "p0" ? "p1/model" : "p0/model"]
            }
            let failure = await #expect(throws: Failure.self) { try await after.answer() }
            #expect(failure?.code == .unavailable)
            #expect(failure?.message.contains("cannot be opened") == true)
            #expect(try await after.answer(.hello("two")).0 == ["Hel", "lo"])
            // Setting it again makes it good.
            if breaks == "line" {
                let used = try await after.overview(for: .owner)["providers"]?.array?
                    .first { $0["name"]?.string == "p1" }?["keys"]?.array?.first
                #expect(used?["isUsed"]?.bool == false)
                _ = try await after.setKey(
                    Self.key, replacing: id(try #require(used)), of: "p1", for: .owner)
                #expect(try await after.answer().0 == ["Hel", "lo"])
            }
        }
    }

    @Test("A file that cannot be read is told, left as it is, and stops nothing")
    func unreadable() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/provider-keys.json"
        try "{".write(toFile: path, atomically: true, encoding: .utf8)
        let router = try ModelRouter.hosted([try makeServer()], dataFolder: folder.path)
        #expect(try await router.answer().0 == ["Hel", "lo"])
        let problems = try await router.overview(for: .owner)["problems"]?.array ?? []
        #expect(problems.contains { $0.string?.contains("provider-keys.json") == true })
        let failure = await #expect(throws: Failure.self) {
            try await router.setKey(Self.key, replacing: nil, of: "p0", for: .owner)
        }
        #expect(failure?.code == .unavailable)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "{")
    }

    @Test("Members see and change nothing; what is no key, no provider or too many is refused")
    func refused() async throws {
        let folder = try TemporaryFolder()
        let router = try ModelRouter.hosted([try makeServer()], dataFolder: folder.path)
        let made = try await router.setKey(Self.key, replacing: nil, of: "p0", for: .owner)
        let some = try id(made)
        func code(_ work: () async throws -> Void) async -> Failure.Code? {
            do {
                try await work()
                return nil
            } catch { return Failure(error).code }
        }
        func set(
            _ key: String = Self.key, _ id: Identifier? = nil, _ provider: String = "p0",
            _ principal: Principal = .owner
        ) async -> Failure.Code? {
            await code {
                _ = try await router.setKey(key, replacing: id, of: provider, for: principal)
            }
        }
        let no = Environment.manual(seed: 9).identifier()
        #expect(await code { _ = try await router.overview(for: .alice) } == .forbidden)
        #expect(await set(Self.key, nil, "p0", .alice) == .forbidden)
        #expect(
            await code { try await router.removeKey(some, of: "p0", for: .alice) } == .forbidden)
        #expect(await set(Self.key, nil, "nobody") == .notFound)
        #expect(await set(Self.key, nil, "local") == .invalid)
        #expect(await set(Self.key, no) == .notFound)
        #expect(await code { try await router.removeKey(no, of: "p0", for: .owner) } == .notFound)
        for key in ["", "short", "with a space", "line\r\nX-Other: header", "schlüssel-lang"] {
            #expect(await set(key) == .invalid, "\(key)")
        }
        #expect(await set(String(repeating: "x", count: 5000)) == .invalid)
        for _ in 1..<SealedKeys.keysMax { #expect(await set() == nil) }
        #expect(await set() == .conflict)
        #expect(await set(Self.key, some) == nil)
    }
}
