import Foundation
import TestSupport
import Testing

/// The binary that was built beside the tests, and where its models are.
enum HeptadBinary {
    static let root: URL = {
        var folder = URL(fileURLWithPath: #filePath)
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let manifest = folder.appendingPathComponent("Package.swift").path
            if FileManager.default.fileExists(atPath: manifest) { break }
        }
        return folder
    }()

    /// The tests' own build folder holds it, whatever the configuration.
    static let path: String = {
        let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let beside = folder.appendingPathComponent("heptad").path
        let usual = root.appendingPathComponent(".build/debug/heptad").path
        return FileManager.default.isExecutableFile(atPath: beside) ? beside : usual
    }()

    static let models =
        ProcessInfo.processInfo.environment["HEPTAD_MODELS"]
        ?? root.appendingPathComponent("models").path

    static let hasModels = FileManager.default.fileExists(
        atPath: models + "/SmolLM2-135M-Instruct.Q4_1.gguf")

    struct Result: Sendable {
        let exitCode: Int32
        let output: String
        let errors: String
    }

    /// Runs a command to its end; one that takes longer than `seconds` is killed.
    static func run(
        _ arguments: [String], in folder: TemporaryFolder, input: String = "",
        environment: [String: String] = [:], seconds: Double = 120
    ) async throws -> Result {
        let process = make(arguments, in: folder, environment: environment)
        // Files, not pipes: nothing to drain while it runs.
        let name = UUID().uuidString
        let output = try file(folder, "\(name).out")
        let errors = try file(folder, "\(name).err")
        let given = try file(folder, "\(name).in", content: input)
        process.standardOutput = output.handle
        process.standardError = errors.handle
        process.standardInput = given.handle
        try process.run()
        let deadline = ContinuousClock.now + .seconds(seconds)
        while process.isRunning {
            if ContinuousClock.now > deadline { kill(process.processIdentifier, SIGKILL) }
            try await Task.sleep(for: .milliseconds(20))
        }
        return Result(
            exitCode: process.terminationStatus,
            output: try String(contentsOfFile: output.path, encoding: .utf8),
            errors: try String(contentsOfFile: errors.path, encoding: .utf8))
    }

    static func make(
        _ arguments: [String], in folder: TemporaryFolder, environment: [String: String]
    ) -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        var variables = ["PATH": "/usr/bin:/bin", "HOME": folder.path, "HEPTAD_MODELS": models]
        variables.merge(environment) { $1 }
        process.environment = variables
        return process
    }

    private static func file(_ folder: TemporaryFolder, _ name: String, content: String = "")
        throws -> (path: String, handle: FileHandle)
    {
        let path = folder.path + "/" + name
        try Data(content.utf8).write(to: URL(fileURLWithPath: path))
        return (path, try FileHandle(forUpdating: URL(fileURLWithPath: path)))
    }
}
