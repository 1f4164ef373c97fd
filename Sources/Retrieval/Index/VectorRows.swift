import COpenBLAS

/// The vectors of one model as they were at one generation of the database, ready to be compared: a
/// mapped file, the rows that came after it, and for each row whose it is.
struct VectorRows: Sendable {
    let dimensions: Int
    private(set) var generation: Int64 = 0
    private var file: MatrixFile?
    private var tail: [Float] = []
    private var keys: [MatrixFile.Key] = []
    private var passages: [Int64] = []
    /// Zero for a row that is gone: real collections count from one.
    private var collections: [Int64] = []
    private var goneCount = 0
    /// False while the rows of a file have not been held against the database.
    private var isChecked = false

    init(dimensions: Int, file: MatrixFile?) {
        self.dimensions = dimensions
        self.file = file
        keys = file?.keys ?? []
        passages = Array(repeating: 0, count: keys.count)
        collections = passages
    }

    /// The rows of a file as if all were of one collection, each a passage of its own.
    init(file: MatrixFile, collection: Int64) {
        self.init(dimensions: file.dimensions, file: file)
        passages = keys.map(\.number)
        collections = Array(repeating: collection, count: keys.count)
    }

    var count: Int { keys.count }
    /// Rows that are not in the file.
    var tailCount: Int { dimensions == 0 ? 0 : tail.count / dimensions }
    /// Rows that take part in no search.
    var deadCount: Int { goneCount }

    // MARK: Following the database

    /// Brings the rows up to a moment of the database, reading only the vectors that are new. False
    /// where that cannot be done in place, because the file tells another history: start over.
    mutating func follow(_ moment: VectorStore.Moment) throws -> Bool {
        let fresh = try moment.entries(after: keys.last?.number ?? 0)
        // Where the count is right nothing is gone, and the rows that are known need no look.
        if keys.count - goneCount + fresh.count == moment.count, isChecked {
            for entry in fresh { try append(entry, moment) }
        } else {
            guard try compare(try moment.entries(after: 0), moment) else { return false }
        }
        isChecked = true
        generation = moment.generation
        return true
    }

    private mutating func append(
        _ entry: VectorStore.Entry, _ moment: VectorStore.Moment
    ) throws {
        tail += try moment.elements(of: entry, dimensions: dimensions)
        keys.append(.init(number: entry.number, stamp: entry.stamp))
        passages.append(entry.passage)
        collections.append(entry.collection)
    }

    /// Goes through all rows and all entries side by side: both are in the order of their numbers.
    private mutating func compare(
        _ entries: [VectorStore.Entry], _ moment: VectorStore.Moment
    ) throws -> Bool {
        var place = 0
        goneCount = 0
        for entry in entries {
            while place < keys.count, keys[place].number < entry.number { forget(&place) }
            if place == keys.count {
                try append(entry, moment)
            } else {
                guard keys[place].number == entry.number, keys[place].stamp == entry.stamp else {
                    return false
                }
                passages[place] = entry.passage
                collections[place] = entry.collection
            }
            place += 1
        }
        while place < keys.count { forget(&place) }
        return true
    }

    private mutating func forget(_ place: inout Int) {
        collections[place] = 0
        goneCount += 1
        place += 1
    }

    /// Writes the live rows to a new file at `path`.
    func write(to path: String) throws {
        let live = keys.indices.filter { collections[$0] != 0 }
        try MatrixFile.write(
            to: path, dimensions: dimensions, keys: live.map { keys[$0] },
            row: { row(live[$0]) })
    }

    private func row(_ index: Int) -> [Float] {
        let fileCount = file?.keys.count ?? 0
        if index >= fileCount {
            let start = (index - fileCount) * dimensions
            return Array(tail[start..<start + dimensions])
        }
        return file?.withRows { Array($0[index * dimensions..<(index + 1) * dimensions]) } ?? []
    }

    // MARK: Searching

    struct Neighbour: Equatable, Sendable {
        let passage: Int64
        let similarity: Float
    }

    /// The rows of these collections nearest to `query`, best first: exact, every row is compared.
    func nearest(to query: [Float], in scope: Set<Int64>, limit: Int) -> [Neighbour] {
        guard query.count == dimensions, limit > 0 else { return [] }
        var top = TopRows(limit: limit)
        let runs = runs(of: scope)
        let fileCount = file?.keys.count ?? 0
        file?.withRows { matrix in
            compare(query, matrix, first: 0, runs: runs, within: 0..<fileCount, scope, &top)
        }
        tail.withUnsafeBufferPointer { matrix in
            compare(
                query, matrix, first: fileCount, runs: runs, within: fileCount..<count, scope, &top)
        }
        return top.sorted.map { Neighbour(passage: passages[$0.index], similarity: $0.score) }
    }

    /// Multiplied at once: enough to be fast, few enough that the scores stay in the first cache.
    private static let blockRows = 1024
    /// A gap this small is cheaper to multiply through than to go around.
    private static let gapMax = 16

    /// The stretches of rows that hold something of the scope. Documents are added whole, so an
    /// owner's rows lie together, and another's are mostly not even read.
    private func runs(of scope: Set<Int64>) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var last: Int64 = 0
        var isWanted = false
        for (place, collection) in collections.enumerated() {
            if collection != last {
                last = collection
                isWanted = collection != 0 && scope.contains(collection)
            }
            guard isWanted else { continue }
            if let run = runs.last, place - run.upperBound <= Self.gapMax {
                runs[runs.count - 1] = run.lowerBound..<place + 1
            } else {
                runs.append(place..<place + 1)
            }
        }
        return runs
    }

    /// Offers the rows of `runs` that lie in `matrix`, whose first row is row `first`.
    private func compare(
        _ query: [Float], _ matrix: UnsafeBufferPointer<Float>, first: Int, runs: [Range<Int>],
        within bounds: Range<Int>, _ scope: Set<Int64>, _ top: inout TopRows
    ) {
        guard let base = matrix.baseAddress else { return }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: Self.blockRows) { scores in
            for run in runs {
                var start = max(run.lowerBound, bounds.lowerBound)
                let end = min(run.upperBound, bounds.upperBound)
                while start < end {
                    let rows = min(Self.blockRows, end - start)
                    cblas_sgemv(
                        CblasRowMajor, CblasNoTrans, blasint(rows), blasint(dimensions), 1,
                        base + (start - first) * dimensions, blasint(dimensions), query, 1, 0,
                        scores.baseAddress, 1)
                    offer(scores, rows: rows, from: start, scope, &top)
                    start += rows
                }
            }
        }
    }

    private func offer(
        _ scores: UnsafeMutableBufferPointer<Float>, rows: Int, from start: Int,
        _ scope: Set<Int64>, _ top: inout TopRows
    ) {
        for row in 0..<rows {
            if let threshold = top.threshold, scores[row] <= threshold { continue }
            // A run may hold a few rows of others: they are never offered.
            guard scope.contains(collections[start + row]) else { continue }
            top.offer(start + row, score: scores[row])
        }
    }
}
