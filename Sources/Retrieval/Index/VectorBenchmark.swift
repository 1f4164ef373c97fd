import Core
import Foundation

/// Times the vector index itself: what a search does once its question is embedded.
package final class VectorBenchmark {
    /// From the rows as they come to an index that is written and can be searched.
    package let buildSeconds: Double
    /// What a search reads of lists; nil where there are none and all rows are read.
    package let probes: Int?
    private let rows: VectorRows
    private let queries: [[Float]]
    private let folder: String

    package struct Round: Sendable {
        package let seconds: Double
        /// For each query its nearest rows, counted from zero.
        package let nearest: [[Int]]
    }

    /// Both files hold 32-bit floats, `dimensions` for each row and nothing else. The index goes to a
    /// temporary folder, which is gone when this ends.
    package init(
        rowsPath: String, queriesPath: String, dimensions: Int, hasLists: Bool
    ) throws {
        let vectors = try Self.floats(rowsPath, dimensions)
        queries = try Self.floats(queriesPath, dimensions).rows(dimensions)
        folder = NSTemporaryDirectory() + "heptad-vectors-\(Environment.system.identifier())"
        let clock = ContinuousClock()
        let began = clock.now
        do {
            rows = try Self.built(vectors, dimensions, folder, hasLists: hasLists)
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
        buildSeconds = (clock.now - began).milliseconds / 1000
        probes = rows.lists?.probes.first
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Asks all queries, `batch` of them at once, for the nearest `limit` rows; or for those of the one
    /// in ten whose number ends with a zero.
    package func round(batch: Int, limit: Int, isFiltered: Bool) -> Round {
        let clock = ContinuousClock()
        var nearest: [[Int]] = []
        let began = clock.now
        for start in stride(from: 0, to: queries.count, by: max(1, batch)) {
            let some = Array(queries[start..<min(start + max(1, batch), queries.count)])
            let scope: Set<Int64> = isFiltered ? [1] : [1, 2]
            for found in rows.nearest(to: some, in: scope, limit: limit) {
                nearest.append(found.map { Int($0.passage) - 1 })
            }
        }
        return Round(seconds: (clock.now - began).milliseconds / 1000, nearest: nearest)
    }

    private static func floats(_ path: String, _ dimensions: Int) throws -> Data {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        guard dimensions > 0, data.count > 0, data.count % (dimensions * 4) == 0 else {
            throw Failure(.invalid, "\(path) does not hold rows of \(dimensions) floats.")
        }
        return data
    }

    private static func built(
        _ vectors: Data, _ dimensions: Int, _ folder: String, hasLists: Bool
    ) throws -> VectorRows {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let count = vectors.count / dimensions / 4
        let keys = (0..<count).map { MatrixFile.Key(number: Int64($0 + 1), stamp: 0) }
        let path = folder + "/vectors.f32"
        try MatrixFile.write(to: path, dimensions: dimensions, keys: keys) { row in
            vectors.row(row, dimensions)
        }
        guard let matrix = MatrixFile(path: path, dimensions: dimensions) else {
            throw Failure(.internalError, "The file was not written whole.")
        }
        var lists: ListFile?
        if hasLists {
            try ListTrainer(matrix).write(to: folder + "/vectors.ivf")
            lists = ListFile(path: folder + "/vectors.ivf", of: matrix)
        }
        // One row in ten is of another collection.
        return VectorRows(file: matrix, lists: lists) { $0 % 10 == 0 ? 1 : 2 }
    }
}

extension Data {
    fileprivate func row(_ row: Int, _ dimensions: Int) -> [Float] {
        withUnsafeBytes { bytes in
            let floats = bytes.assumingMemoryBound(to: Float.self)
            return Array(floats[row * dimensions..<(row + 1) * dimensions])
        }
    }

    fileprivate func rows(_ dimensions: Int) -> [[Float]] {
        (0..<count / dimensions / 4).map { row($0, dimensions) }
    }
}
