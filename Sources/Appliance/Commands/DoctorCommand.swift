import ArgumentParser
import Core
import Egress
import Foundation
import Inference

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check configuration, folders, models and the server, and say what to do.")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        var checks = Checks()
        let configuration = checks.check("configuration") {
            let settings = try common.settings()
            let changed = settings.origins.count
            return (settings.root, changed == 0 ? "all defaults" : "\(changed) settings changed")
        }
        checks.check("data") { try dataFolder() }
        checks.check("memory") { Self.memory() }
        if let configuration {
            checks.check("models") {
                let router = try ModelRouter(
                    configuration.inference, modelsFolder: common.modelsPath,
                    client: HTTPClient(configuration.egress), environment: .system)
                let inventory = router.inventory
                let lines = inventory.lines.joined(separator: "\n               ")
                guard inventory.problems.isEmpty else { throw Failure(.unavailable, lines) }
                return lines
            }
        }
        await checks.check("server") { try await server() }
        guard checks.failed == 0 else { throw ExitCode(1) }
    }

    /// What is wrong is counted, so that every check is made and shown.
    private struct Checks {
        var failed = 0

        @discardableResult
        mutating func check<Value>(_ name: String, _ work: () throws -> (Value, String)) -> Value? {
            do {
                let (value, sentence) = try work()
                show("✓", name, sentence)
                return value
            } catch {
                failed += 1
                show("✗", name, Failure(error).message)
                return nil
            }
        }

        mutating func check(_ name: String, _ work: () throws -> String) {
            check(name) { ((), try work()) }
        }

        mutating func check(_ name: String, _ work: () async throws -> String) async {
            let result: Result<String, any Error>
            do { result = .success(try await work()) } catch { result = .failure(error) }
            check(name) { try result.get() }
        }

        private func show(_ mark: String, _ name: String, _ sentence: String) {
            let padded = name.padding(toLength: 13, withPad: " ", startingAt: 0)
            Terminal.say("\(mark) \(padded) \(sentence)")
        }
    }

    private func dataFolder() throws -> String {
        let folder = try DataFolder(path: common.dataPath)
        let probe = folder.path + "/run/probe"
        guard FileManager.default.createFile(atPath: probe, contents: Data("x".utf8)) else {
            throw Failure(
                .unavailable, "\(folder.path) is not writable; choose another with --data.")
        }
        try FileManager.default.removeItem(atPath: probe)
        let place = URL(fileURLWithPath: folder.path).standardizedFileURL.path
        let values = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
        let free = (values[.systemFreeSize] as? NSNumber)?.int64Value ?? 0
        let size = String(format: "%.1f GB free", Double(free) / 1e9)
        guard free > Self.freeBytesMin else {
            throw Failure(.unavailable, "\(place) has only \(size); make room.")
        }
        return "\(place), \(size)"
    }

    // Below this a single upload with its index may fill the disk.
    private static let freeBytesMin: Int64 = 200 << 20

    private static func memory() -> String {
        let gigabytes = Double(ProcessInfo.processInfo.physicalMemory) / 1e9
        return String(
            format: "%.1f GB, %d cores", gigabytes, ProcessInfo.processInfo.activeProcessorCount)
    }

    private func server() async throws -> String {
        let folder = try DataFolder(path: common.dataPath)
        guard try !folder.acquire() else {
            return "not running; `heptad serve` starts it"
        }
        return try await ServerConnection.running(in: folder, as: nil) { server in
            try await server.check("/readyz")
            return "running at \(server.address)"
        }
    }
}

struct HealthcheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "healthcheck",
        abstract: "Exit 0 when the server of the data folder is ready, 1 when it is not.",
        shouldDisplay: false)

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let folder = try DataFolder(path: common.dataPath)
        guard try !folder.acquire() else {
            throw Failure(.unavailable, "No server runs in \(folder.path).")
        }
        try await ServerConnection.running(in: folder, as: nil) { try await $0.check("/readyz") }
    }
}
