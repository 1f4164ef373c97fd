import ArgumentParser
import Core
import Foundation
import Inference
import LocalModels
import Retrieval

struct EvalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Measure quality on questions with known answers.",
        subcommands: [EvalRetrievalCommand.self])
}

struct EvalRetrievalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retrieval", abstract: "Measure search: by words, by meaning, and by both.",
        discussion: """
            DATASET is a folder as BEIR lays it out, with corpus.jsonl, queries.jsonl and \
            qrels/test.tsv. It is indexed and searched as documents are, with the `retrieval` part of \
            the configuration, in a folder of its own that is gone afterwards. Vectors are kept in \
            DATASET/embeddings-MODEL.f32, so that the next run is quick; delete it when the model of \
            that name has become another.

            heptad eval retrieval data/scifact
            heptad eval retrieval data/scifact --json
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "The folder of the data set.")
    var dataset: String

    @Option(name: .long, help: "The judgements, qrels/SPLIT.tsv.")
    var split = "test"

    @Option(name: .long, help: "The embedding model, one of the models folder.")
    var model = "all-MiniLM-L6-v2"

    @Option(name: .long, help: "Threads; 0 is one for each core. Default: inference.local.threads.")
    var threads: Int?

    @Flag(name: .long, help: "Print JSON for other programs.")
    var json = false

    func validate() throws {
        guard (0...1024).contains(threads ?? 0) else {
            throw ValidationError("--threads is 0 to 1024.")
        }
        guard !split.contains("/"), !model.contains("/") else {
            throw ValidationError("--split and --model are names.")
        }
    }

    func run() async throws {
        let settings = try common.settings().root
        let set = try RetrievalDataset(folder: dataset, split: split)
        let embedder = try LocalEmbedder(
            folder: common.library.path(of: model),
            threads: threads ?? settings.inference.local.threads)
        let cache = EmbeddingFile(
            DirectEmbedder(embedder: embedder), candidate: "local/\(model)",
            dimensions: embedder.dimensions, path: "\(dataset)/embeddings-\(model).f32")
        let report = try await RetrievalEvaluation(settings.retrieval, embedder: cache).run(set) {
            Terminal.progress("\(set.name): \($0) \($1)/\($2)")
        }
        Terminal.endProgress()
        if json { return Terminal.say(try JSONOutput.text(of: report)) }
        for line in Self.lines(of: report) { Terminal.say(Terminal.harmless(line)) }
    }

    private static func lines(of report: RetrievalEvaluation.Report) -> [String] {
        let heads = ["nDCG@10", "R@5", "Pass@10", "R@100", "any@10", "MRR@10"]
        let rows = report.figures.map { figures in
            let all = figures.metrics
            let values = [
                all.nDCGAt10, all.recallAt5, all.recallAt10, all.recallAt100, all.successAt10,
                all.reciprocalRankAt10,
            ]
            return padded(figures.lane, -9)
                + values.map { padded(String(format: "%.4f", $0), 9) }.joined()
                + padded(String(format: "%.2f", figures.millisecondsPerQuery), 10)
        }
        return [
            "\(report.dataset): \(report.documents) documents in \(report.passages) passages, "
                + "\(report.queries) questions, \(report.model)",
            padded("", -9) + heads.map { padded($0, 9) }.joined() + padded("ms/query", 10),
        ] + rows
    }

    /// To the right, or to the left for a negative width.
    private static func padded(_ text: String, _ width: Int) -> String {
        let space = String(repeating: " ", count: max(0, abs(width) - text.count))
        return width < 0 ? text + space : space + text
    }
}
