import CKernels

/// The vectors of one model as they were at one generation of the database, ready to be compared: a
/// mapped file, its lists where it is large, the rows that came after, and for each row whose it is.
struct VectorRows: Sendable {
    let dimensions: Int
    private(set) var generation: Int64 = 0
    let file: MatrixFile?
    let lists: ListFile?
    private var tail: [Float] = []
    /// Of all rows that are in no list.
    private var codes: RowCodes
    private var keys: [MatrixFile.Key] = []
    private var passages: [Int64] = []
    private var owners: RowOwners
    /// False while the rows of a file have not been held against the database.
    private var isChecked = false

    /// `lists` are those of `file`.
    init(dimensions: Int, file: MatrixFile?, lists: ListFile? = nil) {
        self.dimensions = dimensions
        self.file = file
        self.lists = lists
        keys = file?.keys ?? []
        passages = Array(repeating: 0, count: keys.count)
        owners = RowOwners(unknown: keys.count)
        codes = RowCodes(dimensions: dimensions)
        if lists == nil { file?.withRows { codes.append($0) } }
    }

    /// The rows of a file as if row r, which is passage r + 1, were of collection `collection(r)`.
    init(file: MatrixFile, lists: ListFile? = nil, collection: (Int) -> Int64) {
        self.init(dimensions: file.dimensions, file: file, lists: lists)
        passages = keys.map(\.number)
        for row in keys.indices { owners.set(row, collection(row)) }
    }

    var count: Int { keys.count }
    var fileCount: Int { file?.keys.count ?? 0 }
    /// Rows that are not in the file.
    var tailCount: Int { count - fileCount }
    /// Rows that take part in no search.
    var deadCount: Int { owners.goneCount }

    // MARK: Following the database

    /// Brings the rows up to a moment of the database, reading only the vectors that are new. False
    /// where that cannot be done in place, because the file tells another history: start over.
    mutating func follow(_ moment: VectorStore.Moment) throws -> Bool {
        let fresh = try moment.entries(after: keys.last?.number ?? 0)
        // Where the count is right nothing is gone, and the rows that are known need no look.
        if keys.count - deadCount + fresh.count == moment.count, isChecked {
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
        append(
            .init(number: entry.number, stamp: entry.stamp),
            try moment.elements(of: entry, dimensions: dimensions), passage: entry.passage)
        owners.append(entry.collection)
    }

    private mutating func append(_ key: MatrixFile.Key, _ elements: [Float], passage: Int64) {
        tail += elements
        elements.withUnsafeBufferPointer { codes.append($0) }
        keys.append(key)
        passages.append(passage)
    }

    /// Goes through all rows and all entries side by side: both are in the order of their numbers.
    private mutating func compare(
        _ entries: [VectorStore.Entry], _ moment: VectorStore.Moment
    ) throws -> Bool {
        var place = 0
        for entry in entries {
            while place < keys.count, keys[place].number < entry.number { forget(&place) }
            if place == keys.count {
                try append(entry, moment)
            } else {
                guard keys[place].number == entry.number, keys[place].stamp == entry.stamp else {
                    return false
                }
                passages[place] = entry.passage
                owners.set(place, entry.collection)
            }
            place += 1
        }
        while place < keys.count { forget(&place) }
        return true
    }

    private mutating func forget(_ place: inout Int) {
        owners.forget(place)
        place += 1
    }

    /// Writes the live rows to a new file at `path`.
    func write(to path: String) throws {
        let live = keys.indices.filter { !owners.isGone($0) }
        try MatrixFile.write(
            to: path, dimensions: dimensions, keys: live.map { keys[$0] },
            row: { row(live[$0]) })
    }

    /// The same rows with a new file, which was written from these as they were before, below them.
    /// Nil where it does not fit.
    func moved(to file: MatrixFile, _ lists: ListFile?) -> VectorRows? {
        var moved = VectorRows(dimensions: dimensions, file: file, lists: lists)
        var place = 0
        var taken: [Int] = []
        for row in keys.indices {
            if place < moved.fileCount, moved.keys[place] == keys[row] {
                moved.passages[place] = passages[row]
                place += 1
            } else if place == moved.fileCount {
                moved.append(keys[row], self.row(row), passage: passages[row])
            } else if owners.isGone(row) {
                continue
            } else {
                return nil
            }
            taken.append(row)
        }
        guard place == moved.fileCount else { return nil }
        moved.owners = owners.taking(taken)
        moved.generation = generation
        moved.isChecked = isChecked
        return moved
    }

    private func row(_ index: Int) -> [Float] {
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

    /// A search of at most so many rows reads them all, which is as fast as lists are and finds all.
    static let exactRowsMax = 20_000

    /// The rows of these collections nearest to `query`, best first. Exact where there are no lists,
    /// or where few rows are asked for; otherwise the lists that hold nearly all of the nearest are read.
    func nearest(to query: [Float], in scope: Set<Int64>, limit: Int) -> [Neighbour] {
        nearest(to: [query], in: scope, limit: limit)[0]
    }

    /// The same for several queries, among documents one by one where these are named.
    func nearest(
        to queries: [[Float]], in scope: Set<Int64>, of documents: SearchScope.Documents?,
        limit: Int
    ) -> [[Neighbour]] {
        guard let documents else { return nearest(to: queries, in: scope, limit: limit) }
        return nearest(
            to: queries, among: owners.allowed { documents.holds(passages[$0]) }, limit: limit)
    }

    /// The same for several queries, which share what is read.
    func nearest(
        to queries: [[Float]], in scope: Set<Int64>, limit: Int
    ) -> [[Neighbour]] {
        nearest(to: queries, among: owners.allowed(scope), limit: limit)
    }

    private func nearest(
        to queries: [[Float]], among allowed: RowOwners.Allowed, limit: Int
    ) -> [[Neighbour]] {
        guard limit > 0, allowed.count > 0, queries.allSatisfy({ $0.count == dimensions }) else {
            return queries.map { _ in [] }
        }
        let bounds = [codes.bounds] + (lists.map { [$0.bounds] } ?? [])
        var sieves = queries.map { Sieve($0, bounds: bounds, limit: limit) }
        if let lists { search(lists, allowed, &sieves, limit: limit) }
        searchLoose(allowed, &sieves)
        return withPointers { row in
            sieves.map { sieve in
                sieve.best(row).map { .init(passage: passages[$0.index], similarity: $0.score) }
            }
        }
    }

    /// Rows that are in no list: all are compared.
    private func searchLoose(_ allowed: RowOwners.Allowed, _ sieves: inout [Sieve]) {
        let first = lists?.rowCount ?? 0
        codes.withView { view in
            for run in owners.runs(allowed, in: first..<count) {
                view.scan(run.lowerBound - first..<run.upperBound - first, &sieves) { _, place in
                    // A run may hold a few rows of others: they are never offered.
                    owners.isAllowed(first + place, allowed) ? first + place : nil
                }
            }
        }
    }

    private func search(
        _ lists: ListFile, _ allowed: RowOwners.Allowed, _ sieves: inout [Sieve], limit: Int
    ) {
        let share = Double(allowed.count) / Double(max(1, count - deadCount))
        let probes = lists.probeCount(limit: limit, share: share)
        lists.withView { view in
            if allowed.count > Self.exactRowsMax, let probes, probes < lists.listCount / 2 {
                for index in sieves.indices {
                    probe(lists, view, allowed, &sieves[index], probes)
                }
            } else {
                readAll(lists, view, allowed, &sieves)
            }
        }
    }

    /// Reads lists, nearest first, until `probes` of them held something that is allowed.
    private func probe(
        _ lists: ListFile, _ view: ListFile.View, _ allowed: RowOwners.Allowed,
        _ sieve: inout Sieve, _ probes: Int
    ) {
        // Where a filter goes with the lists, more of them are passed on the way.
        let order = lists.nearestLists(
            to: sieve.query, limit: allowed.isEverything ? probes : lists.listCount)
        var remaining = probes
        var one = [sieve]
        for list in order {
            let places = view.places(of: list)
            guard
                allowed.isEverything
                    || places.contains(where: { owners.isAllowed(Int(view.rows[$0]), allowed) })
            else { continue }
            view.codes.scan(places, &one) { _, place in
                let row = Int(view.rows[place])
                return owners.isAllowed(row, allowed) ? row : nil
            }
            remaining -= 1
            if remaining == 0 { break }
        }
        sieve = one[0]
    }

    /// Every row of the lists that is allowed.
    private func readAll(
        _ lists: ListFile, _ view: ListFile.View, _ allowed: RowOwners.Allowed,
        _ sieves: inout [Sieve]
    ) {
        let row = { (place: Int) -> Int? in
            let row = Int(view.rows[place])
            return owners.isAllowed(row, allowed) ? row : nil
        }
        if allowed.isEverything {
            return view.codes.scan(0..<lists.rowCount, &sieves) { _, place in row(place) }
        }
        for run in owners.runs(allowed, in: 0..<lists.rowCount) {
            lists.places.withUnsafeBufferPointer { places in
                view.codes.scan(run, at: places.baseAddress, &sieves) { _, place in row(place) }
            }
        }
    }

    /// Lends out where each row lies, in the file or in memory.
    private func withPointers<Result>(
        _ use: ((Int) -> UnsafePointer<Float>?) -> Result
    ) -> Result {
        tail.withUnsafeBufferPointer { tail in
            let inTail = { (row: Int) in
                tail.baseAddress.map { $0 + (row - fileCount) * dimensions }
            }
            guard let file else { return use(inTail) }
            return file.withRows { rows in
                use { row in
                    row < file.keys.count
                        ? rows.baseAddress.map { $0 + row * dimensions } : inTail(row)
                }
            }
        }
    }
}
