import Egress
import Foundation
import TestSupport
import Testing

/// `heptad models`, from the command line to the file on disk.
@Suite struct ModelsCommandTests {
    static let model = "SmolLM2-135M-Instruct.Q4_1"

    @Test(
        "A model is pulled by its hub name, listed, described and removed",
        .enabled(if: HeptadBinary.hasModels))
    func life() async throws {
        let content = try Data(
            contentsOf: URL(fileURLWithPath: "\(HeptadBinary.models)/\(Self.model).gguf"))
        let server = try ScriptedServer { _ in
            [
                ScriptedServer.head(
                    type: "application/octet-stream",
                    headers: [
                        "Content-Length: \(content.count)",
                        "X-Linked-ETag: \"b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53\"",
                    ]), .send([UInt8](content)),
            ]
        }
        let folder = try TemporaryFolder()
        let pulled = try await models(
            ["pull", "hf:owner/repo/m.gguf", "--hub", server.url, "--name", "small"], folder,
            ["HF_TOKEN": "hf_secret"])
        #expect(pulled.exitCode == 0, "\(pulled.errors)")
        #expect(pulled.output.contains("llama"))
        #expect(pulled.errors.contains("100 %"))
        #expect(server.requests.map(\.path) == ["/owner/repo/resolve/main/m.gguf"])
        #expect(server.requests.first?.headers["authorization"] == "Bearer hf_secret")
        #expect(try names(folder) == ["small.gguf"])

        let again = try await models(
            ["pull", "hf:owner/repo/m.gguf", "--hub", server.url, "--name", "small"], folder)
        #expect(again.exitCode == 1 && again.errors.contains("--force"))

        let listed = try await models(["list", "--json"], folder)
        let rows =
            try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [[String: Any]]
        #expect(rows?.count == 1)
        #expect(rows?.first?["name"] as? String == "small")
        #expect(rows?.first?["isUsable"] as? Bool == true)
        #expect(rows?.first?["bytes"] as? Int == content.count)
        #expect(rows?.first?["quantization"] as? String == "Q4_1")

        let info = try await models(["info", "small"], folder)
        for part in ["apache-2.0", "8192 tokens", "mapped", "for each 1,000 tokens", "Q8_0"] {
            #expect(info.output.contains(part), "\(part)")
        }

        let unsure = try await models(["remove", "small"], folder)
        #expect(unsure.exitCode == 1 && unsure.errors.contains("--yes"))
        let removed = try await models(["remove", "small", "--yes"], folder)
        #expect(removed.exitCode == 0 && removed.output.contains("started again"))
        #expect(try names(folder) == [])
    }

    @Test("Ctrl-C leaves a part that the same command completes")
    func interrupted() async throws {
        let content = Self.unsupported + [UInt8](repeating: 0, count: 300_000)
        let server = try ScriptedServer { request in
            let from = request.headers["range"].flatMap { Int($0.dropFirst(6).dropLast()) } ?? 0
            var headers = ["ETag: \"v1\"", "Content-Length: \(content.count - from)"]
            if from > 0 {
                headers.append("Content-Range: bytes \(from)-\(content.count - 1)/\(content.count)")
                return [ScriptedServer.head(206, headers: headers), .send(Array(content[from...]))]
            }
            return [
                ScriptedServer.head(headers: headers), .send(Array(content[..<100_000])),
                .untilClosed,
            ]
        }
        let folder = try TemporaryFolder()
        let path = folder.path + "/m.gguf.part"
        let process = HeptadBinary.make(
            ["models", "pull", "\(server.url)/m.gguf", "--force", "--models", folder.path],
            in: folder, environment: ["HEPTAD_EGRESS_ALLOWED_TARGETS": "127.0.0.1"])
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        #expect(
            await eventually {
                FileManager.default.contents(atPath: path)?.count == 100_000
            })
        kill(process.processIdentifier, SIGINT)
        #expect(await eventually { !process.isRunning })
        #expect(process.terminationStatus == 130)

        let listed = try await models(["list"], folder)
        #expect(listed.output.contains("incomplete download"))
        let second = try await models(["pull", "\(server.url)/m.gguf", "--force"], folder)
        #expect(second.exitCode == 0, "\(second.errors)")
        #expect(server.requests.last?.headers["range"] == "bytes=100000-")
        #expect(
            try [UInt8](Data(contentsOf: URL(fileURLWithPath: folder.path + "/m.gguf"))) == content)
    }

    @Test("A model that cannot be run stays a part, unless it is wanted all the same")
    func unsupported() async throws {
        let server = try ScriptedServer { request in
            guard request.headers["range"] == nil else {
                return ScriptedServer.answer(
                    "", status: 416,
                    headers: ["Content-Range: bytes */\(Self.unsupported.count)", "ETag: \"v1\""])
            }
            return [
                ScriptedServer.head(
                    headers: ["ETag: \"v1\"", "Content-Length: \(Self.unsupported.count)"]),
                .send(Self.unsupported),
            ]
        }
        let folder = try TemporaryFolder()
        let refused = try await models(["pull", "\(server.url)/m.gguf"], folder)
        #expect(refused.exitCode == 1)
        #expect(refused.errors.contains("mamba"), "\(refused.errors)")
        #expect(try names(folder) == ["m.gguf.part", "m.gguf.part.json"])
        let kept = try await models(["pull", "\(server.url)/m.gguf", "--force"], folder)
        #expect(kept.exitCode == 0, "\(kept.errors)")
        #expect(try names(folder) == ["m.gguf"])
        let listed = try await models(["list"], folder)
        #expect(listed.output.contains("no, see below") && listed.output.contains("mamba"))
    }

    @Test("A damaged model, a web page and a folder elsewhere are refused and leave nothing")
    func refusals() async throws {
        let damaged = try ScriptedServer(ScriptedServer.answer("GGUF\u{3}\u{0}\u{0}\u{0}?"))
        let page = try ScriptedServer(ScriptedServer.answer("<html>", type: "text/html"))
        let folder = try TemporaryFolder()
        for (server, words) in [(damaged, "damaged"), (page, "web page")] {
            let result = try await models(["pull", "\(server.url)/m.gguf"], folder)
            #expect(result.exitCode == 1 && result.errors.contains(words), "\(result.errors)")
        }
        #expect(try names(folder) == [])
        let outside = try await models(["remove", "/etc/passwd", "--yes"], folder)
        #expect(outside.exitCode == 1 && outside.errors.contains("is not in the models folder"))
        let up = try await models(["remove", "../x.gguf", "--yes"], folder)
        #expect(up.exitCode == 1)
        let missing = try await models(["info", "nobody"], folder)
        #expect(missing.exitCode == 1 && missing.errors.contains("There is no model nobody"))
    }

    @Test("Addresses of this machine are refused unless the operator listed them")
    func policy() async throws {
        let server = try ScriptedServer(ScriptedServer.answer("GGUF"))
        let folder = try TemporaryFolder()
        let result = try await HeptadBinary.run(
            ["models", "pull", "\(server.url)/m.gguf", "--models", folder.path], in: folder)
        #expect(result.exitCode == 1 && result.errors.contains("egress.allowed_targets"))
        #expect(server.requests.isEmpty)
    }

    /// A sound file of an architecture that nobody here runs.
    private static let unsupported: [UInt8] = {
        func number(_ value: some FixedWidthInteger) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { [UInt8]($0) }
        }
        func text(_ text: String) -> [UInt8] { number(UInt64(text.utf8.count)) + Array(text.utf8) }
        return Array("GGUF".utf8) + number(UInt32(3)) + number(UInt64(0)) + number(UInt64(1))
            + text("general.architecture") + number(UInt32(8)) + text("mamba")
    }()

    private func models(
        _ arguments: [String], _ folder: TemporaryFolder, _ environment: [String: String] = [:]
    ) async throws -> HeptadBinary.Result {
        // Beside the folder with models, so that what the test runner writes is not in it.
        try await HeptadBinary.run(
            ["models"] + arguments + ["--models", folder.path], in: TemporaryFolder(),
            environment: environment.merging(["HEPTAD_EGRESS_ALLOWED_TARGETS": "127.0.0.1"]) { $1 })
    }

    private func names(_ folder: TemporaryFolder) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }
}
