import ArgumentParser
import Core
import Foundation
import Retrieval

/// What `make bench` asks of the vector index.
struct BenchVectorsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-vectors",
        abstract:
            "Time vector search; prints one JSON line when the index is built and one a round.",
        discussion:
            "Every line on standard input, `BATCH LIMIT` or `BATCH LIMIT filtered`, is a round.",
        shouldDisplay: false)

    @Option(help: "A file of 32-bit floats, row after row.") var rows: String
    @Option(help: "The same of questions.") var queries: String
    @Option var dimensions = 384
    @Flag(help: "Search by lists instead of exactly.") var lists = false

    func validate() throws {
        guard (1...16384).contains(dimensions) else {
            throw ValidationError("Dimensions must be between 1 and 16384.")
        }
    }

    private struct Built: Encodable {
        let buildSeconds: Double
        let probes: Int?
    }

    private struct Round: Encodable {
        let seconds: Double
        let nearest: [[Int]]
    }

    func run() throws {
        let benchmark = try VectorBenchmark(
            rowsPath: rows, queriesPath: queries, dimensions: dimensions, hasLists: lists)
        try say(Built(buildSeconds: benchmark.buildSeconds, probes: benchmark.probes))
        while let line = readLine() {
            let words = line.split(separator: " ")
            guard words.count >= 2, let batch = Int(words[0]), let limit = Int(words[1]) else {
                throw ValidationError("A round is `BATCH LIMIT` or `BATCH LIMIT filtered`.")
            }
            let round = benchmark.round(
                batch: batch, limit: limit, isFiltered: words.last == "filtered")
            try say(Round(seconds: round.seconds, nearest: round.nearest))
        }
    }

    private func say(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        Terminal.say(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}
