import COpenBLAS
import Core
import Foundation
import Logging
import Synchronization

/// Exact nearest neighbours among all vectors of `knowledge.db`, on a thread of its own.
///
/// The database is the truth; the matrix file beside it only saves reading it again. Before each
/// search the index looks whether the database has changed, also by another process, and follows.
final class VectorIndex: Sendable {
    private let store: VectorStore
    private let folder: String
    /// Rows kept in memory before a new file is written.
    private let tailRowsMax: Int
    private let queue = WorkQueue("index")
    private let models = Mutex<[String: VectorRows]>([:])
    private let log = Logger(label: "heptad.retrieval")

    /// A change of embedding model leaves the old one's rows here; a third pushes them out.
    private static let modelsMax = 2

    /// One BLAS call runs on one thread, ours: a second one would be taken from those who serve.
    private static let isSingleThreaded: Bool = {
        openblas_set_num_threads(1)
        return true
    }()

    init(store: VectorStore, folder: String, tailRowsMax: Int = 2048) {
        self.store = store
        self.folder = folder
        self.tailRowsMax = tailRowsMax
    }

    /// The passages of these collections nearest to `vector`, best first, with their cosines.
    func nearest(
        to vector: Vector, in collections: [Int64], limit: Int
    ) async throws -> [VectorRows.Neighbour] {
        try await queue.run { [self] in
            precondition(Self.isSingleThreaded)
            let rows = try current(vector.candidate, vector.elements.count)
            return rows.nearest(to: vector.elements, in: Set(collections), limit: limit)
        }
    }

    // MARK: On the index's thread

    private func current(_ candidate: String, _ dimensions: Int) throws -> VectorRows {
        let key = "\(candidate) \(dimensions)"
        let known = models.withLock { $0[key] }
        if let known, try store.generation() == known.generation { return known }
        let rows = try store.read(candidate: candidate, dimensions: dimensions) { moment in
            try follow(moment, known, path: path(candidate, dimensions), dimensions)
        }
        models.withLock { models in
            if models[key] == nil, models.count >= Self.modelsMax { models.removeAll() }
            models[key] = rows
        }
        return rows
    }

    private func follow(
        _ moment: VectorStore.Moment, _ known: VectorRows?, path: String, _ dimensions: Int
    ) throws -> VectorRows {
        var rows =
            known
            ?? VectorRows(
                dimensions: dimensions, file: MatrixFile(path: path, dimensions: dimensions))
        if try !rows.follow(moment) {
            log.notice("The vector index is made again from the database.")
            rows = VectorRows(dimensions: dimensions, file: nil)
            _ = try rows.follow(moment)
        }
        let isWasteful = rows.deadCount > max(tailRowsMax, rows.count / 4)
        guard rows.tailCount > tailRowsMax || isWasteful else { return rows }
        do {
            try rows.write(to: path)
            var fresh = VectorRows(
                dimensions: dimensions, file: MatrixFile(path: path, dimensions: dimensions))
            return try fresh.follow(moment) ? fresh : rows
        } catch {
            // On a full disk the rows stay in memory, and searching goes on.
            log.warning("The vector index was not written.", metadata: ["error": "\(error)"])
            return rows
        }
    }

    /// One file for each model, named by what is safe in a file name of the model's.
    private func path(_ candidate: String, _ dimensions: Int) -> String {
        let name = candidate.unicodeScalars.map { scalar in
            scalar.isASCII
                && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
                ? Character(scalar) : "-"
        }
        return "\(folder)/vectors-\(String(name.prefix(80)))-\(dimensions).f32"
    }
}
