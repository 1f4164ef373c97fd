import ArgumentParser
import Foundation
import Retrieval

/// What `make bench` asks of the vector index.
struct BenchVectorsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-vectors",
        abstract: "Time exact search over random unit vectors; prints one JSON line.",
        shouldDisplay: false)

    @Option var rows = 100_000
    @Option var dimensions = 384
    @Option var queries = 50

    func validate() throws {
        guard (1...10_000_000).contains(rows), (1...4096).contains(dimensions),
            (1...100_000).contains(queries)
        else { throw ValidationError("Rows, dimensions and queries must be positive and sane.") }
    }

    func run() throws {
        let figure = try VectorBenchmark.run(rows: rows, dimensions: dimensions, queries: queries)
        Terminal.say("{\"ms_per_query\": \(figure.millisecondsPerQuery)}")
    }
}
