import ArgumentParser
import Core
import Egress
import Foundation
import Inference
import LocalModels

struct ModelsInfoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show what a model's file says, and what memory the model takes.",
        discussion: """
            heptad models info SmolLM2-135M-Instruct.Q4_1
            heptad models info ~/Downloads/some-model.gguf --json
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "A model of the models folder, or the path of a file.")
    var model: String

    @Flag(name: .long, help: "Print JSON for other programs.")
    var json = false

    func run() async throws {
        let summary =
            model.contains("/")
            ? try ModelLibrary.summary(at: model) : try common.library.summary(of: model)
        if json { return Terminal.say(try JSONOutput.text(of: summary)) }
        for line in Self.lines(of: summary) { Terminal.say(Terminal.harmless(line)) }
    }

    static func lines(of summary: ModelSummary) -> [String] {
        var rows: [[String]] = []
        func add(_ name: String, _ value: String?) {
            if let value { rows.append([name, value.replacing("\n", with: " ")]) }
        }
        add("name", summary.name)
        add("title", summary.title)
        add(
            "made from",
            summary.baseModels.isEmpty ? nil : summary.baseModels.joined(separator: ", "))
        add("licence", summary.licence ?? "the file does not say")
        add("kind", summary.kind == .embedding ? "embeddings" : summary.kind.rawValue)
        add("architecture", summary.architecture)
        add("parameters", summary.parameters.map { "\(shortCount($0)) (\($0))" })
        add("quantisation", summary.quantization)
        for share in summary.types {
            add(
                "  \(share.type)",
                "\(share.tensors) tensors, \(shortCount(share.parameters)) parameters,"
                    + " \(ByteCount(share.bytes))")
        }
        add("context", summary.contextTokens.map { "\($0) tokens" })
        add("dimensions", summary.dimensions.map { "\($0)" })
        add("vocabulary", summary.vocabulary.map { "\($0) tokens" })
        if summary.kind == .chat {
            add(
                "chat template",
                summary.template.map {
                    $0.mentions.isEmpty ? "yes" : "yes, with " + $0.mentions.joined(separator: ", ")
                } ?? "none")
        }
        add("memory", "\(ByteCount(summary.memory.mapped)) mapped from the file")
        add(
            "",
            summary.memory.keysAndValuesPer1000Tokens.map {
                "\(ByteCount($0)) for each 1,000 tokens of a conversation"
            })
        add("can be used", summary.refusal.map { "no: \($0)" } ?? "yes")
        return TextTable(rows: rows).lines
    }
}
