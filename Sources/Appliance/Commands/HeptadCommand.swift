package import ArgumentParser
import Core
import Foundation

/// `heptad`: the seven layers behind an AI app, in one binary.
package struct HeptadCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "heptad",
        abstract: "The seven layers behind an AI app, in one binary.",
        discussion: "Start with `heptad serve`, open the printed link, and add a document.",
        version: HeptadVersion.current,
        subcommands: [
            ServeCommand.self, AskCommand.self, SearchCommand.self, IngestCommand.self,
            UserCommand.self, TeamCommand.self,
            KeyCommand.self, ModelsCommand.self, BenchCommand.self, BenchSurpriseCommand.self,
            BenchEmbeddingsCommand.self, EvalCommand.self,
            ConfigCommand.self,
            DoctorCommand.self,
            HealthcheckCommand.self,
            BenchVectorsCommand.self, BenchRetrievalCommand.self, VersionCommand.self,
        ])

    package init() {}

    /// Runs the command line. A `Failure` is its sentence on standard error and exit code 1.
    package static func runMain() async {
        // What Heptad writes, databases above all, is nobody else's to read.
        umask(0o077)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            // What a file or a server said may be in the sentence.
            Terminal.note(Terminal.harmless("heptad: \(failure.message)"))
            HeptadCommand.exit(withError: ExitCode(1))
        } catch {
            HeptadCommand.exit(withError: error)
        }
    }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version.")

    func run() { Terminal.say("heptad \(HeptadVersion.current)") }
}
