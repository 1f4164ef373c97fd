import ArgumentParser
import Core
import Egress
import Foundation
import Inference
import UnixSignals

struct ModelsPullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Fetch a model into the models folder.",
        discussion: """
            What breaks or is interrupted goes on where it ended when the command is run again. The \
            file becomes a model when it is complete, its checksum is right, and this engine can run it.

            heptad models pull hf:owner/repository/file.gguf
            heptad models pull hf:owner/repository@v1.0/file.gguf --name small
            heptad models pull https://example.com/model.gguf --sha256 b179c952...

            A model that its maker gives only to some wants a token of yours in HF_TOKEN, which is \
            sent to the hub and nobody else. Private addresses are refused unless \
            egress.allowed_targets lists them.
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "An https:// address, or hf:OWNER/REPOSITORY[@REVISION]/FILE.gguf.")
    var source: String

    @Option(name: .long, help: "What the model will be called. Default: as its file.")
    var name: String?

    @Option(name: .long, help: "The SHA-256 that the file must have. Default: what the hub says.")
    var sha256: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The hub behind hf:, or a mirror. Default: $HF_ENDPOINT or \(ModelSource.hub).",
            valueName: "url"))
    var hub: String?

    @Flag(
        name: .long,
        help: "Replace a model of the same name, and keep one that cannot be run here.")
    var force = false

    func validate() throws {
        guard let sha256 else { return }
        let isSum = sha256.utf8.count == 64 && sha256.allSatisfy { $0.isASCII && $0.isHexDigit }
        guard isSum else {
            throw ValidationError("--sha256 wants the 64 hexadecimal digits of a SHA-256.")
        }
    }

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let source = try ModelSource(
            source, name: name, hub: hub ?? environment["HF_ENDPOINT"] ?? ModelSource.hub,
            isChecked: sha256 != nil)
        let client = HTTPClient(try common.settings().root.egress)
        let library = common.library
        Terminal.note("\(source.url) -> \(library.folder)/\(source.fileName)")
        let wasInterrupted: Bool
        do {
            wasInterrupted = try await Self.untilInterrupted {
                var progress = DownloadProgress()
                defer { progress.end() }
                let summary = try await library.pull(
                    source, sha256: sha256?.lowercased(), token: environment["HF_TOKEN"],
                    force: force, client: client
                ) { progress.show($0) }
                progress.end()
                for line in ModelsInfoCommand.lines(of: summary) {
                    Terminal.say(Terminal.harmless(line))
                }
                Terminal.note("A server that runs has it when it is started again.")
            }
        } catch {
            await client.shutDown()
            let part = "\(library.folder)/\(source.fileName).part"
            if [.upstream, .timeout, .unavailable].contains(Failure(error).code),
                FileManager.default.fileExists(atPath: part)
            {
                Terminal.note(Self.goesOn)
            }
            throw error
        }
        await client.shutDown()
        guard !wasInterrupted else {
            Terminal.note("Interrupted. \(Self.goesOn)")
            throw ExitCode(130)
        }
    }

    private static let goesOn = "The same command goes on where this one ended."

    /// Whether Ctrl-C or a stop came before the work was done, which is then cancelled.
    private static func untilInterrupted(_ work: @escaping @Sendable () async throws -> Void)
        async throws -> Bool
    {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await work()
                return false
            }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
                    return true
                }
                // The group was cancelled: the work is done.
                return false
            }
            defer { group.cancelAll() }
            let isInterrupted = try await group.next() ?? false
            group.cancelAll()
            do {
                while try await group.next() != nil {}
            } catch is CancellationError {
                // The work, which was told to stop.
            }
            return isInterrupted
        }
    }
}
