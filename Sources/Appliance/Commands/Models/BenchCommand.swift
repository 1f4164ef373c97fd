import ArgumentParser
import Core
import Egress
import Foundation
import Inference
import LocalModels

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure what this machine does with a local model.",
        discussion: """
            Speed of reading and writing, time to the first token, memory; for an embedding model, \
            sentences a second. Best with nothing else running.

            heptad bench
            heptad bench all-MiniLM-L6-v2 --json
            heptad bench ~/Downloads/some-model.gguf --threads 2 --seconds 30
            """)

    @OptionGroup var common: CommonOptions

    @Argument(
        help: "A model of the models folder, or the path of a file. Default: the first chat model.")
    var model: String?

    @Option(name: .long, help: "Threads; 0 is one for each core. Default: inference.local.threads.")
    var threads: Int?

    @Option(name: .long, help: "About how long it may take.")
    var seconds = 12.0

    @Flag(name: .long, help: "Print JSON for other programs.")
    var json = false

    func validate() throws {
        guard (0...1024).contains(threads ?? 0), (0.1...3600).contains(seconds) else {
            throw ValidationError("--threads is 0 to 1024, and --seconds 0.1 to 3600.")
        }
    }

    func run() async throws {
        let threads = try threads ?? common.settings().root.inference.local.threads
        let (summary, path) = try chosen()
        if let refusal = summary.refusal { throw Failure(.unsupported, refusal) }
        let benchmark = ModelBenchmark(threads: threads, seconds: seconds) { step in
            if Terminal.showsProgress {
                Terminal.progress(Terminal.harmless(step))
            } else {
                Terminal.note(Terminal.harmless(step))
            }
        }
        let figures = try await benchmark.run(summary, at: path)
        Terminal.endProgress()
        if json { return Terminal.say(try JSONOutput.text(of: figures)) }
        for line in Self.lines(of: figures, summary) { Terminal.say(Terminal.harmless(line)) }
    }

    private func chosen() throws -> (ModelSummary, path: String) {
        let library = common.library
        if let model, model.contains("/") { return (try ModelLibrary.summary(at: model), model) }
        if let model { return (try library.summary(of: model), try library.path(of: model)) }
        let usable = try library.entries().compactMap { entry -> ModelSummary? in
            guard case .model(let summary) = entry, summary.refusal == nil else { return nil }
            return summary
        }
        guard
            let first = usable.first(where: { $0.kind == .chat })
                ?? usable.first(where: { $0.kind == .embedding })
        else {
            throw Failure(
                .notFound,
                "There is no model in \(library.folder) that can be run. `heptad models list` says"
                    + " more.")
        }
        return (first, try library.path(of: first.name))
    }

    private static func lines(of figures: ModelBenchmark.Figures, _ summary: ModelSummary)
        -> [String]
    {
        var rows: [[String]] = []
        let cores = ProcessInfo.processInfo.activeProcessorCount
        rows.append([
            "machine",
            "\(figures.threads) thread\(figures.threads == 1 ? "" : "s") on \(cores) cores,"
                + " \(figures.kernels) kernels",
        ])
        rows.append(["load", time(figures.loadSeconds)])
        if let chat = figures.chat {
            rows += [
                [
                    "first token",
                    time(chat.firstTokenSeconds)
                        + " after a question of \(chat.questionTokens) tokens",
                ],
                [
                    "reads",
                    "\(rate(chat.promptTokensPerSecond)) tokens/s of a prompt of \(chat.promptTokens)",
                ],
                [
                    "writes",
                    "\(rate(chat.decodeTokensPerSecond)) tokens/s of a story, which takes"
                        + " \(ByteCount(Int(chat.decodeBytesPerSecond)))/s of weights",
                ],
                [
                    "drafting",
                    "\(rate(chat.draftedTokensPerSecond)) tokens/s of the same story;"
                        + " \(rate(chat.quoteDraftedTokensPerSecond)) tokens/s, not"
                        + " \(rate(chat.quoteTokensPerSecond)), where it repeats a passage of its"
                        + " prompt (\(Int(100 * chat.quoteDraftsAccepted)) % of the drafts right)",
                ],
                [
                    "\(chat.streams) streams",
                    "\(rate(chat.streamsTokensPerSecond)) tokens/s together",
                ],
            ]
        }
        if let embedding = figures.embedding {
            rows += [
                [
                    "one by one",
                    "\(rate(embedding.oneByOneSentencesPerSecond)) sentences/s of"
                        + " \(Int(embedding.tokensPerSentence.rounded())) tokens",
                ],
                [
                    "batches of \(embedding.batch)",
                    "\(rate(embedding.batchSentencesPerSecond)) sentences/s",
                ],
            ]
        }
        let memory = figures.memory
        rows.append([
            "memory",
            "\(ByteCount(memory.peak)) at peak, \(ByteCount(memory.afterLoad)) after load;"
                + " at the end \(ByteCount(memory.files)) of files and \(ByteCount(memory.own)) of its"
                + " own",
        ])
        let parts = [
            summary.parameters.map { "\(shortCount($0)) parameters" }, summary.quantization,
            "\(ByteCount(summary.bytes))",
        ].compactMap { $0 }
        return ["\(figures.model): \(parts.joined(separator: ", "))"] + TextTable(rows: rows).lines
    }

    private static func time(_ seconds: Double) -> String {
        seconds < 1
            ? String(format: "%.0f ms", seconds * 1000) : String(format: "%.1f s", seconds)
    }

    private static func rate(_ value: Double) -> String {
        String(format: value < 99.95 ? "%.1f" : "%.0f", value)
    }
}
