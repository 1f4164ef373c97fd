import Core
import Foundation

/// Times the vector index itself: what a search does once its question is embedded.
package enum VectorBenchmark {
    package struct Figures: Sendable {
        /// The median of all queries.
        package let millisecondsPerQuery: Double
        package let millisecondsWorst: Double
        /// From an empty index to the first answer, the file written.
        package let buildSeconds: Double
    }

    /// Builds an index of random unit vectors in a temporary folder and asks it `queries` questions.
    package static func run(rows: Int, dimensions: Int, queries: Int) throws -> Figures {
        guard (1...5_000_000).contains(rows), (1...16384).contains(dimensions), queries > 0 else {
            throw Failure(.invalid, "The benchmark needs rows, dimensions and queries.")
        }
        let folder = NSTemporaryDirectory() + "heptad-vectors-\(Environment.system.identifier())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        var random = SplitMix(state: 7)
        let clock = ContinuousClock()
        let began = clock.now
        let index = try VectorRows.benchmark(
            rows: rows, dimensions: dimensions, path: folder + "/vectors.f32", &random)
        let built = clock.now
        let times = (0..<queries).map { _ in
            let query = random.unitVector(dimensions)
            let start = clock.now
            let nearest = index.nearest(to: query, in: [1], limit: 100)
            precondition(nearest.count == min(100, rows))
            return (clock.now - start).milliseconds
        }.sorted()
        return Figures(
            millisecondsPerQuery: times[times.count / 2], millisecondsWorst: times[times.count - 1],
            buildSeconds: (built - began).milliseconds / 1000)
    }
}

private struct SplitMix {
    var state: UInt64

    mutating func next() -> Float {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return Float((value ^ value >> 31) >> 40) / Float(1 << 23) - 1
    }

    mutating func unitVector(_ dimensions: Int) -> [Float] {
        let elements = (0..<dimensions).map { _ in next() }
        let length = elements.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return elements.map { $0 / length }
    }
}

extension VectorRows {
    fileprivate static func benchmark(
        rows: Int, dimensions: Int, path: String, _ random: inout SplitMix
    ) throws -> VectorRows {
        let keys = (1...rows).map { MatrixFile.Key(number: Int64($0), stamp: Int64($0)) }
        try MatrixFile.write(to: path, dimensions: dimensions, keys: keys) { _ in
            random.unitVector(dimensions)
        }
        let file = MatrixFile(path: path, dimensions: dimensions)
        guard let file else { throw Failure(.internalError, "The file was not written whole.") }
        return VectorRows(file: file, collection: 1)
    }
}
