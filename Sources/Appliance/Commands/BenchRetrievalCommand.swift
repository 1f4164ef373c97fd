import ArgumentParser
import Core
import Foundation
import Inference
import LocalModels
import Retrieval

/// What `make bench` asks of a library.
struct BenchRetrievalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-retrieval",
        abstract: "Time a whole search and an upload; prints one JSON line for each request.",
        discussion:
            "Every line on standard input is a request: `fill PASSAGES`, `embed QUESTIONS`,"
            + " `search QUESTIONS` or `ingest DOCUMENTS`.",
        shouldDisplay: false)

    @OptionGroup var common: CommonOptions

    @Option(help: "The folder of the library, made where it is missing.") var folder: String
    @Option(help: "The embedding model, one of the models folder.") var model = "all-MiniLM-L6-v2"
    @Option(help: "Threads; 0 is one for each core.") var threads = 0

    func validate() throws {
        guard (0...1024).contains(threads), !model.contains("/") else {
            throw ValidationError("--threads is 0 to 1024, and --model a name.")
        }
    }

    private struct Filled: Encodable { let passages: Int, seconds: Double }
    private struct Searched: Encodable { let milliseconds: [Double] }

    func run() async throws {
        let settings = try common.settings().root
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let embedder = DirectEmbedder(
            embedder: try LocalEmbedder(
                folder: common.library.path(of: model), threads: threads))
        let benchmark = try RetrievalBenchmark(
            settings.retrieval, folder: folder, embedder: embedder)
        // Each request has texts of its own, and so has each process.
        var seed = UInt64(ProcessInfo.processInfo.processIdentifier.magnitude) << 16
        while let line = readLine() {
            let words = line.split(separator: " ")
            guard words.count == 2, let count = Int(words[1]), (1...10_000_000).contains(count)
            else { throw ValidationError("A request is `fill N`, `search N` or `ingest N`.") }
            seed += 1
            let began = ContinuousClock.now
            switch words[0] {
            case "fill":
                try await benchmark.fill(passages: count, seed: seed)
                let seconds = (ContinuousClock.now - began).milliseconds / 1000
                try say(Filled(passages: count, seconds: seconds))
            case "search":
                try say(
                    Searched(
                        milliseconds: try await benchmark.search(questions: count, seed: seed)))
            case "embed":
                try await benchmark.embed(questions: count, seed: seed)
                try say(Searched(milliseconds: []))
            case "ingest": try say(try await benchmark.ingest(documents: count, seed: seed))
            default: throw ValidationError("There is no request \(words[0]).")
            }
        }
    }

    private func say(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        Terminal.say(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}
