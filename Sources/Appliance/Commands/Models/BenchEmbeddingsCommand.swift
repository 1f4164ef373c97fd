import ArgumentParser
import Core
import Foundation
import Inference
import LocalModels

/// What `make bench-local` asks of the embedding model: each line of standard input is a job, each
/// line of standard output its figure.
struct BenchEmbeddingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-embeddings",
        abstract: "Time embeddings in this process, as other engines are timed in theirs.",
        shouldDisplay: false)

    @OptionGroup var common: CommonOptions

    @Argument var model: String
    @Option var threads = 0
    @Option(help: "auto or float32.") var precision = EmbeddingPrecision.auto.rawValue

    private struct Job: Decodable {
        let texts: [String]
        let seconds: Double
    }

    func run() async throws {
        guard let precision = EmbeddingPrecision(rawValue: precision) else {
            throw Failure(.invalid, "--precision is auto or float32.")
        }
        let embedder = try LocalEmbedder(
            folder: common.library.path(of: model), threads: threads, precision: precision)
        // Nothing else runs in this process, so waiting for a line keeps nobody from a thread.
        while let line = readLine() {
            guard let job = try? JSONDecoder().decode(Job.self, from: Data(line.utf8)),
                !job.texts.isEmpty, (0...600).contains(job.seconds)
            else { throw Failure(.invalid, "A line must be {\"texts\": [...], \"seconds\": ...}.") }
            let clock = ContinuousClock()
            let began = clock.now
            var (count, tokens) = (0, 0)
            while count == 0 || clock.now - began < .seconds(job.seconds) {
                tokens = try await embedder.embed(job.texts).tokens
                count += job.texts.count
            }
            let rate = Double(count) / ((clock.now - began) / .seconds(1))
            Terminal.say("{\"sentences_per_s\": \(rate), \"tokens\": \(tokens)}")
        }
    }
}
