import ArgumentParser
import Core
import Egress
import Inference
import LocalModels

struct ModelsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the models of this machine, and what of them cannot be used and why.")

    @OptionGroup var common: CommonOptions

    @Flag(name: .long, help: "Print JSON for other programs.")
    var json = false

    func run() async throws {
        let entries = try common.library.entries()
        if json { return Terminal.say(try JSONOutput.text(of: entries.map(Row.init))) }
        guard !entries.isEmpty else {
            return Terminal.say(
                "There is no model in \(common.modelsPath). `heptad models pull` fetches one.")
        }
        var table = TextTable(
            headings: [
                "NAME", "SIZE", "ARCHITECTURE", "PARAMETERS", "QUANTISATION", "CONTEXT", "USE",
            ])
        table.numbers = [1, 3, 5]
        table.rows = entries.map { Row($0).cells }
        for line in table.lines { Terminal.say(Terminal.harmless(line)) }
        for case .damaged(let name, _, let problem) in entries {
            Terminal.say(Terminal.harmless("\n\(name): \(problem)"))
        }
        for case .model(let summary) in entries {
            guard let refusal = summary.refusal else { continue }
            Terminal.say(Terminal.harmless("\n\(summary.name): \(refusal)"))
        }
    }

    /// One entry as JSON has it.
    private struct Row: Encodable {
        let name: String
        let bytes: Int
        var kind: String?
        var architecture: String?
        var parameters: Int?
        var quantization: String?
        var contextTokens: Int?
        var isUsable = false
        var problem: String?

        init(_ entry: ModelLibrary.Entry) {
            name = entry.name
            bytes = entry.bytes
            switch entry {
            case .model(let summary):
                kind = summary.kind.rawValue
                architecture = summary.architecture
                parameters = summary.parameters
                quantization = summary.quantization
                contextTokens = summary.contextTokens
                isUsable = summary.refusal == nil
                problem = summary.refusal
            case .damaged(_, _, let problem): self.problem = problem
            case .part:
                problem = "The download is not complete; pull it again to go on."
            }
        }

        var cells: [String] {
            let use =
                isUsable
                ? (kind == "chat" ? "chat" : "embeddings")
                : kind == nil && name.hasSuffix(".part") ? "incomplete download" : "no, see below"
            return [
                name, "\(ByteCount(bytes))", architecture ?? "-",
                parameters.map(shortCount) ?? "-", quantization ?? "-",
                contextTokens.map { "\($0)" } ?? "-", use,
            ]
        }
    }
}
