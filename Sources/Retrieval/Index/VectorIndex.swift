import COpenBLAS
import Core
import Foundation
import Logging
import Synchronization

/// Nearest neighbours among all vectors of `knowledge.db`, on a thread of its own: exact while there
/// are few, and by lists once there are many.
///
/// The database is the truth; the files beside it only save reading it again. Before each search the
/// index looks whether the database has changed, also by another process, and follows. Rows that are
/// new are compared one by one, until new files are written behind the searches' back.
final class VectorIndex: Sendable {
    private let store: VectorStore
    private let folder: String
    private let limits: Limits
    private let queue = WorkQueue("index")
    private let building = WorkQueue("index-building")
    private let models = Mutex<[String: Model]>([:])
    private let pending = Mutex<[Question]>([])
    private let log = Logger(label: "heptad.retrieval")

    struct Limits {
        /// Rows kept in memory before a new file is written, or an eighth of the rows if that is more.
        var tailRowsMax = 2048
        /// From so many rows on there are lists. Below, reading all finds all and is soon done; where
        /// exactly lists begin to pay has not been measured.
        var listedRowsMin = 20_000
    }

    private struct Model {
        var rows: VectorRows
        var build = Build.none
    }

    /// New files on their way.
    private enum Build {
        case none
        case running
        case ready(MatrixFile, ListFile?)
        /// Not tried again before then: a full disk is full for a while.
        case failed(times: Int, until: Timestamp)
    }

    private struct Question: Sendable {
        let vector: Vector
        let scope: SearchScope
        let limit: Int
        let answer: CheckedContinuation<[VectorRows.Neighbour], any Error>
    }

    /// A change of embedding model leaves the old one's rows here; a third pushes them out.
    private static let modelsMax = 2
    /// Questions that are answered together, reading the rows once for four of them.
    private static let questionsMax = 32

    /// One BLAS call runs on one thread, ours: a second one would be taken from those who serve.
    private static let isSingleThreaded: Bool = {
        openblas_set_num_threads(1)
        return true
    }()

    init(store: VectorStore, folder: String, limits: Limits = Limits()) {
        self.store = store
        self.folder = folder
        self.limits = limits
        WholeFile.removeAbandoned(in: folder, prefix: Self.prefix)
    }

    /// What names of the index's files begin with.
    private static let prefix = "vectors-"

    /// The passages of the scope nearest to `vector`, best first, with their cosines.
    @concurrent
    func nearest(
        to vector: Vector, in scope: SearchScope, limit: Int
    ) async throws -> [VectorRows.Neighbour] {
        try await withCheckedThrowingContinuation { continuation in
            let question = Question(
                vector: vector, scope: scope, limit: limit, answer: continuation)
            pending.withLock { $0.append(question) }
            // Whoever comes first also takes those that came while another search was running.
            queue.start { [self] in answerPending() }
        }
    }

    /// Reads the rows of the model of `vector` now rather than with its first search.
    func prepare(_ vector: Vector) async throws {
        let nowhere = SearchScope(
            collections: [], documents: nil, settings: nil, canExpire: false)
        _ = try await nearest(to: vector, in: nowhere, limit: 1)
    }

    /// Lets go of the rows and the files of a model that nobody searches by any more.
    func forget(_ model: EmbeddingModel) {
        let files = Files(folder: folder, model.candidate, model.dimensions)
        models.withLock { $0["\(model.candidate) \(model.dimensions)"] = nil }
        // After a build that may be on its way.
        building.start {
            for path in [files.matrix, files.lists] {
                try? FileManager.default.removeItem(atPath: path)
            }
        }
    }

    /// Returns once no files are being written. For tests.
    func settle() async throws { try await building.run {} }

    // MARK: On the index's thread

    private func answerPending() {
        let questions = pending.withLock { pending in
            let taken = Array(pending.prefix(Self.questionsMax))
            pending.removeFirst(taken.count)
            return taken
        }
        let groups = Dictionary(grouping: questions) { question in
            Group(
                candidate: question.vector.candidate, dimensions: question.vector.elements.count,
                scope: question.scope, limit: question.limit)
        }
        for (group, questions) in groups {
            do {
                let rows = try current(group.candidate, group.dimensions)
                let answers = rows.nearest(
                    to: questions.map(\.vector.elements), in: Set(group.scope.collections),
                    of: group.scope.documents, limit: group.limit)
                for (question, answer) in zip(questions, answers) {
                    question.answer.resume(returning: answer)
                }
            } catch {
                for question in questions { question.answer.resume(throwing: error) }
            }
        }
    }

    /// Questions that can be answered together.
    private struct Group: Hashable {
        let candidate: String
        let dimensions: Int
        let scope: SearchScope
        let limit: Int
    }

    private func current(_ candidate: String, _ dimensions: Int) throws -> VectorRows {
        let key = "\(candidate) \(dimensions)"
        let known = models.withLock { $0[key] }
        if let known, case .none = known.build, try store.generation() == known.rows.generation {
            return known.rows
        }
        let files = Files(folder: folder, candidate, dimensions)
        var rows = known?.rows ?? opened(files, dimensions)
        if case .ready(let matrix, let lists) = known?.build {
            rows = rows.moved(to: matrix, lists) ?? rows
            models.withLock { $0[key] = Model(rows: rows) }
        }
        if try store.generation() != rows.generation || known == nil {
            rows = try store.read(candidate: candidate, dimensions: dimensions) { moment in
                try followed(rows, moment)
            }
        }
        var failures = 0
        let needsBuild = models.withLock { models in
            if models[key] == nil, models.count >= Self.modelsMax { models.removeAll() }
            models[key, default: Model(rows: rows)].rows = rows
            guard isBuildDue(models[key]) else { return false }
            if case .failed(let times, _) = models[key]?.build { failures = times }
            models[key]?.build = .running
            return true
        }
        if needsBuild { build(rows, key, files, failures: failures) }
        return rows
    }

    private func opened(_ files: Files, _ dimensions: Int) -> VectorRows {
        let matrix = MatrixFile(path: files.matrix, dimensions: dimensions)
        if matrix == nil, FileManager.default.fileExists(atPath: files.matrix) {
            log.notice(
                "A file of the vector index is damaged or another machine's; it is made again.",
                metadata: ["file": "\(files.matrix)"])
        }
        let lists = matrix.flatMap { matrix in
            matrix.keys.count < limits.listedRowsMin
                ? nil : ListFile(path: files.lists, of: matrix)
        }
        return VectorRows(dimensions: dimensions, file: matrix, lists: lists)
    }

    private func followed(_ known: VectorRows, _ moment: VectorStore.Moment) throws -> VectorRows {
        var rows = known
        if try rows.follow(moment) { return rows }
        log.notice("The vector index is made again from the database.")
        rows = VectorRows(dimensions: known.dimensions, file: nil)
        _ = try rows.follow(moment)
        return rows
    }

    private func isBuildDue(_ model: Model?) -> Bool {
        guard let model else { return false }
        switch model.build {
        case .running, .ready: return false
        case .failed(_, let until) where store.environment.now() < until: return false
        case .none, .failed: break
        }
        return isFileDue(model.rows) || isListingDue(model.rows)
    }

    private func isFileDue(_ rows: VectorRows) -> Bool {
        rows.tailCount > max(limits.tailRowsMax, rows.fileCount / 8)
            || rows.deadCount > max(limits.tailRowsMax, rows.count / 4)
    }

    private func isListingDue(_ rows: VectorRows) -> Bool {
        rows.fileCount >= limits.listedRowsMin && rows.lists == nil
    }

    // MARK: Building

    private func build(_ rows: VectorRows, _ key: String, _ files: Files, failures: Int) {
        building.start { [self] in
            precondition(Self.isSingleThreaded)
            let build: Build
            do {
                build = try built(rows, files)
                if failures > 0 { log.notice("The vector index is written again.") }
            } catch {
                // On a full disk the rows stay in memory, and searching goes on.
                let wait = min(Self.waitMin * Double(1 << min(failures, 16)), Self.waitMax)
                log.log(
                    level: failures == 0 ? .warning : .debug,
                    "The vector index was not written; it is tried again from time to time.",
                    metadata: ["error": "\(error)", "times": "\(failures + 1)"])
                build = .failed(
                    times: failures + 1, until: store.environment.now() + .seconds(wait))
            }
            models.withLock { $0[key]?.build = build }
        }
    }

    // In seconds; each failure doubles the wait.
    private static let waitMin = 60.0
    private static let waitMax = 3600.0

    private func built(_ rows: VectorRows, _ files: Files) throws -> Build {
        var matrix = rows.file
        if isFileDue(rows) || matrix == nil {
            try rows.write(to: files.matrix)
            matrix = MatrixFile(path: files.matrix, dimensions: rows.dimensions)
        }
        guard let matrix else { throw Failure(.internalError, "The index was not written whole.") }
        guard matrix.keys.count >= limits.listedRowsMin else {
            try? FileManager.default.removeItem(atPath: files.lists)
            return .ready(matrix, nil)
        }
        try ListTrainer(matrix).write(to: files.lists)
        guard let lists = ListFile(path: files.lists, of: matrix) else {
            throw Failure(.internalError, "The lists were not written whole.")
        }
        return .ready(matrix, lists)
    }

    /// The files of one model, named by what is safe in a file name of the model's.
    private struct Files {
        let matrix: String
        let lists: String

        init(folder: String, _ candidate: String, _ dimensions: Int) {
            let name = candidate.unicodeScalars.map { scalar in
                scalar.isASCII
                    && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
                    ? Character(scalar) : "-"
            }
            let path = "\(folder)/\(VectorIndex.prefix)\(String(name.prefix(80)))-\(dimensions)"
            matrix = path + ".f32"
            lists = path + ".ivf"
        }
    }
}
