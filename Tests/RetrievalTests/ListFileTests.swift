import Core
import Foundation
import TestSupport
import Testing

@testable import Retrieval

@Suite struct ListFileTests {
    private let clusters: Clusters
    private let exact: VectorRows
    private let listed: VectorRows

    init() throws {
        clusters = try Clusters(Clusters.trained.get())
        exact = VectorRows(file: clusters.matrix) { Int64($0 % 4 / 3 + 1) }
        let lists = try #require(
            ListFile(path: clusters.path + ".ivf", of: clusters.matrix))
        listed = VectorRows(file: clusters.matrix, lists: lists) { Int64($0 % 4 / 3 + 1) }
    }

    private func recall(_ limit: Int, in scope: Set<Int64>, _ rows: VectorRows) -> Double {
        var found = 0
        for number in 0..<40 {
            let query = clusters.vector(number * 13)
            let truth = exact.nearest(to: query, in: scope, limit: limit).map(\.passage)
            let answer = rows.nearest(to: query, in: scope, limit: limit).map(\.passage)
            found += Set(truth).intersection(answer).count
        }
        return Double(found) / Double(40 * limit)
    }

    @Test("Lists find nearly all, reading a few of them", arguments: [10, 100])
    func recall(limit: Int) throws {
        let probes = try #require(listed.lists?.probeCount(limit: limit, share: 1))

        #expect(recall(limit, in: [1, 2], listed) >= 0.99)
        #expect(probes < 100)
    }

    @Test("A filter costs no recall: rows outside it are passed over", arguments: [Int64(1), 2])
    func filter(collection: Int64) {
        let found = listed.nearest(to: clusters.vector(3), in: [collection], limit: 50)

        #expect(found.allSatisfy { ($0.passage - 1) % 4 / 3 + 1 == collection })
        #expect(recall(10, in: [collection], listed) >= 0.99)
    }

    @Test("More is asked of the lists the fewer rows are allowed, until all are read")
    func probes() throws {
        let lists = try #require(listed.lists)
        let counts = [(10, 1.0), (10, 0.3), (100, 1.0), (100, 0.2), (1000, 1.0)].map {
            lists.probeCount(limit: $0.0, share: $0.1) ?? 0
        }

        #expect(counts == counts.sorted() && counts[0] > 0)
        #expect(lists.probeCount(limit: 10, share: 0.001) == nil)
        #expect(lists.probeCount(limit: 1001, share: 1) == nil)
    }

    @Test("Several questions at once are answered as each alone")
    func batch() {
        let queries = (0..<9).map { clusters.vector($0 * 31) }
        for rows in [exact, listed] {
            let together = rows.nearest(to: queries, in: [1], limit: 12)
            #expect(together == queries.map { rows.nearest(to: $0, in: [1], limit: 12) })
        }
    }

    @Test(
        "A file of lists that is cut off, damaged or another's is refused",
        arguments: ["missing", "short", "header", "middles", "lists", "codes", "garbage", "other"])
    func refused(damage: String) throws {
        let path = clusters.path + ".ivf"
        var matrix = clusters.matrix
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        switch damage {
        case "missing": data = Data()
        case "short": data = data.dropLast(32)
        case "header": data[72] ^= 1
        case "middles": data[5000] ^= 1
        case "lists": data[data.count / 4] ^= 1
        case "codes": data[data.count - 5] ^= 1
        case "garbage": data = Data(repeating: 0xA5, count: data.count)
        default: matrix = try Clusters(stamp: 9).matrix
        }
        try data.write(to: URL(fileURLWithPath: path), options: .atomic)

        #expect(ListFile(path: path, of: matrix) == nil)
    }

    @Test("Rows that are no numbers spoil neither the lists nor the answers")
    func noNumbers() throws {
        let path = clusters.path + ".odd"
        let keys = (1...300).map { MatrixFile.Key(number: Int64($0), stamp: 1) }
        try MatrixFile.write(to: path, dimensions: 32, keys: keys) { row in
            switch row % 5 {
            case 0: [Float](repeating: .nan, count: 32)
            case 1: [Float](repeating: 0, count: 32)
            case 2: [Float](repeating: .infinity, count: 32)
            default: clusters.vector(row)
            }
        }
        let matrix = try #require(MatrixFile(path: path, dimensions: 32))
        try ListTrainer(matrix).write(to: path + ".ivf")
        let lists = try #require(ListFile(path: path + ".ivf", of: matrix))
        let found = VectorRows(file: matrix, lists: lists) { _ in 1 }.nearest(
            to: clusters.vector(3), in: [1], limit: 200)

        #expect(found.count == 180 && found[0].passage == 4)
    }

    @Test("The benchmark answers as the index does")
    func benchmark() throws {
        let path = clusters.path + ".raw"
        let floats = clusters.matrix.withRows { Data(buffer: $0) }
        try floats.write(to: URL(fileURLWithPath: path))
        try floats.prefix(32 * 4 * 5).write(to: URL(fileURLWithPath: path + "q"))
        for hasLists in [true, false] {
            let benchmark = try VectorBenchmark(
                rowsPath: path, queriesPath: path + "q", dimensions: 32, hasLists: hasLists)
            let round = benchmark.round(batch: 2, limit: 3, isFiltered: false)
            #expect(round.nearest.map { $0.first } == [0, 1, 2, 3, 4])
            #expect(round.seconds > 0 && benchmark.buildSeconds > 0)
            #expect((benchmark.probes != nil) == hasLists)
        }
    }
}

/// Unit vectors around a few middles, the same ones every time; enough of them that a search reads
/// lists and not all rows.
private struct Clusters {
    /// What the two files hold. Making them takes seconds.
    struct Files {
        var rows: Data
        var lists: Data
    }

    static let trained = Result {
        let clusters = try Clusters(stamp: 1)
        try ListTrainer(clusters.matrix).write(to: clusters.path + ".ivf")
        return Files(
            rows: try Data(contentsOf: URL(fileURLWithPath: clusters.path)),
            lists: try Data(contentsOf: URL(fileURLWithPath: clusters.path + ".ivf")))
    }

    private static let dimensions = 32
    let matrix: MatrixFile
    let path: String
    private let folder: TemporaryFolder

    /// The same files once more, in a folder of their own.
    init(_ files: Files) throws {
        folder = try TemporaryFolder()
        path = folder.path + "/m.f32"
        try files.rows.write(to: URL(fileURLWithPath: path))
        try files.lists.write(to: URL(fileURLWithPath: path + ".ivf"))
        matrix = try #require(MatrixFile(path: path, dimensions: Self.dimensions))
    }

    init(stamp: Int64) throws {
        folder = try TemporaryFolder()
        path = folder.path + "/m.f32"
        var state: UInt64 = 5
        func random() -> Float {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(state >> 40) / Float(1 << 23) - 1
        }
        let dimensions = Self.dimensions
        let middles = (0..<150).map { _ in (0..<dimensions).map { _ in random() } }
        let keys = (1...24_000).map { MatrixFile.Key(number: Int64($0), stamp: stamp) }
        try MatrixFile.write(to: path, dimensions: dimensions, keys: keys) { row in
            var vector = middles[Int(state >> 33) % 150]
            var square: Float = 0
            for column in 0..<dimensions {
                vector[column] += 0.7 * random()
                square += vector[column] * vector[column]
            }
            let length = square.squareRoot()
            for column in 0..<dimensions { vector[column] /= length }
            return vector
        }
        matrix = try #require(MatrixFile(path: path, dimensions: dimensions))
    }

    func vector(_ row: Int) -> [Float] {
        matrix.withRows { rows in
            Array(rows[row * matrix.dimensions..<(row + 1) * matrix.dimensions])
        }
    }
}
