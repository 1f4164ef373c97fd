import CKernels
import COpenBLAS

/// Sorts the rows of a matrix into lists: k-means by cosine on a sample, then every row to the list
/// with the nearest middle, both as products of matrices.
struct ListTrainer {
    private let matrix: MatrixFile
    private let dimensions: Int
    private let listCount: Int

    /// Lists for each square root of the rows: more make a search read fewer rows, and training slower.
    private static let listsPerRoot = 3.0
    private static let listsMax = 8192
    private static let sampleRowsPerList = 32
    /// For each round of training the part of the sample that it sees, as one over this: the first
    /// rounds move the middles far, for which a few rows are enough.
    private static let rounds = [4, 4, 2, 2, 1, 1]
    /// Multiplied at once.
    private static let blockRows = 512
    /// Questions whose true neighbours say how many lists must be read, and the share of these to find.
    private static let questions = 200
    private static let recallAimed = 0.994

    init(_ matrix: MatrixFile) {
        self.matrix = matrix
        dimensions = matrix.dimensions
        let rows = matrix.keys.count
        let wanted = Int(Double(rows).squareRoot() * Self.listsPerRoot)
        listCount = max(1, min(wanted, Self.listsMax, rows))
    }

    /// Trains, sorts and measures; writes the file of lists to `path`.
    func write(to path: String) throws {
        let middles = train()
        let lists = matrix.withRows { nearest($0, middles) }
        let content = sorted(lists, middles)
        try ListFile.write(to: path, of: matrix, content) { view in
            probes(content, view)
        }
    }

    // MARK: k-means

    private func train() -> [Float] {
        let sample = sample()
        let count = sample.count / dimensions
        var middles = [Float](repeating: 0, count: listCount * dimensions)
        for list in 0..<listCount {
            copy(sample, list * count / listCount, to: &middles, list)
        }
        normalise(&middles)
        for part in Self.rounds {
            let seen = max(listCount, count / part) * dimensions
            let lists = sample.withUnsafeBufferPointer { sample in
                nearest(UnsafeBufferPointer(rebasing: sample[..<min(seen, sample.count)]), middles)
            }
            middles = means(sample, lists)
            normalise(&middles)
        }
        return middles
    }

    /// Rows from all over the matrix, in an order in which the first half of them, and of that the
    /// first half, are from all over it too.
    private func sample() -> [Float] {
        let rows = matrix.keys.count
        let count = min(rows, listCount * Self.sampleRowsPerList)
        var sample = [Float](repeating: 0, count: count * dimensions)
        matrix.withRows { matrix in
            let order = [(0, 4), (2, 4), (1, 2)].flatMap { stride(from: $0, to: count, by: $1) }
            for (place, number) in order.enumerated() {
                let start = number * rows / count * dimensions
                for column in 0..<dimensions {
                    let element = matrix[start + column]
                    // A row that holds no number must not spoil a middle.
                    sample[place * dimensions + column] = element.isFinite ? element : 0
                }
            }
        }
        return sample
    }

    /// The sums of the rows of each list. A list that got none takes a row of the largest.
    private func means(_ sample: [Float], _ lists: [UInt32]) -> [Float] {
        var sums = [Float](repeating: 0, count: listCount * dimensions)
        var counts = [Int](repeating: 0, count: listCount)
        for list in lists { counts[Int(list)] += 1 }
        sample.withUnsafeBufferPointer { rows in
            sums.withUnsafeMutableBufferPointer { sums in
                guard let rows = rows.baseAddress, let sums = sums.baseAddress else { return }
                for (row, list) in lists.enumerated() {
                    cblas_saxpy(
                        blasint(dimensions), 1, rows + row * dimensions, 1,
                        sums + Int(list) * dimensions, 1)
                }
            }
        }
        let largest = (0..<listCount).sorted { counts[$0] > counts[$1] }
        var donors = largest.makeIterator()
        for list in 0..<listCount where counts[list] == 0 {
            guard let donor = donors.next(), counts[donor] > 1,
                let row = lists.firstIndex(of: UInt32(donor))
            else { break }
            copy(sample, row, to: &sums, list)
        }
        return sums
    }

    private func copy(_ rows: [Float], _ row: Int, to middles: inout [Float], _ list: Int) {
        middles.replaceSubrange(
            list * dimensions..<(list + 1) * dimensions,
            with: rows[row * dimensions..<(row + 1) * dimensions])
    }

    private func normalise(_ middles: inout [Float]) {
        middles.withUnsafeMutableBufferPointer { middles in
            guard let base = middles.baseAddress else { return }
            for list in 0..<listCount {
                let middle = base + list * dimensions
                let length = cblas_snrm2(blasint(dimensions), middle, 1)
                if length > 0 { cblas_sscal(blasint(dimensions), 1 / length, middle, 1) }
            }
        }
    }

    // MARK: Sorting

    /// For each row the list whose middle is nearest.
    private func nearest(
        _ rows: UnsafeBufferPointer<Float>, _ middles: [Float]
    ) -> [UInt32] {
        let count = rows.count / dimensions
        var lists = [UInt32](repeating: 0, count: count)
        guard let base = rows.baseAddress else { return lists }
        let largest = vector_kernels_best().pointee.largest
        var scores = [Float](repeating: 0, count: Self.blockRows * listCount)
        var start = 0
        while start < count {
            let block = min(Self.blockRows, count - start)
            cblas_sgemm(
                CblasRowMajor, CblasNoTrans, CblasTrans, blasint(block), blasint(listCount),
                blasint(dimensions), 1, base + start * dimensions, blasint(dimensions), middles,
                blasint(dimensions), 0, &scores, blasint(listCount))
            scores.withUnsafeBufferPointer { scores in
                guard let scores = scores.baseAddress else { return }
                for row in 0..<block {
                    let list = largest?(scores + row * listCount, listCount) ?? 0
                    lists[start + row] = UInt32(list)
                }
            }
            start += block
        }
        return lists
    }

    private func sorted(_ lists: [UInt32], _ middles: [Float]) -> ListFile.Content {
        var starts = [UInt32](repeating: 0, count: listCount + 1)
        for list in lists { starts[Int(list) + 1] += 1 }
        for list in 0..<listCount { starts[list + 1] += starts[list] }
        var next = starts
        var rows = [UInt32](repeating: 0, count: lists.count)
        for (row, list) in lists.enumerated() {
            rows[Int(next[Int(list)])] = UInt32(row)
            next[Int(list)] += 1
        }
        return ListFile.Content(middles: middles, starts: starts, rows: rows)
    }

    // MARK: Measuring

    /// How many lists must be read to find nearly all of the nearest 10, 100 and 1000: measured on
    /// rows from all over the matrix, each a question about the others. Most of a small matrix was in
    /// the sample too, so questions that are no rows may find a little less.
    private func probes(_ content: ListFile.Content, _ view: ListFile.View) -> [Int] {
        let depths = ListFile.depths
        var found = depths.map { _ in [Int](repeating: 0, count: listCount) }
        for ranks in neighbourRanks(content, view) {
            for (depth, limit) in depths.enumerated() {
                for rank in ranks.prefix(limit) { found[depth][rank] += 1 }
            }
        }
        return found.map { counts in
            let wanted = Double(counts.reduce(0, +)) * Self.recallAimed
            var sum = 0
            let last = counts.firstIndex { count in
                sum += count
                return Double(sum) >= wanted
            }
            return (last ?? listCount - 1) + 1
        }
    }

    /// For each question, of its neighbours, nearest first, how many lists are nearer than theirs.
    private func neighbourRanks(
        _ content: ListFile.Content, _ view: ListFile.View
    ) -> [[Int]] {
        let rows = matrix.keys.count
        let count = min(Self.questions, rows)
        let listOfPlace = listOfPlace(view)
        var answers: [[Int]] = []
        for first in stride(from: 0, to: count, by: Sieve.groupMax) {
            let numbers = (first..<min(first + Sieve.groupMax, count)).map { number in
                min(rows - 1, number * rows / count + rows / count / 2)
            }
            var sieves = numbers.map { number in
                Sieve(row(number), bounds: [view.codes.bounds], limit: ListFile.depths[2] + 1)
            }
            view.codes.scan(0..<rows, &sieves) { _, place in place }
            for (sieve, number) in zip(sieves, numbers) {
                let ranks = ranks(of: sieve.query, content.middles)
                answers.append(
                    sieve.roughlyBest.filter { view.rows[$0.index] != number }.map {
                        ranks[listOfPlace[$0.index]]
                    })
            }
        }
        return answers
    }

    private func row(_ number: Int) -> [Float] {
        matrix.withRows { Array($0[number * dimensions..<(number + 1) * dimensions]) }
    }

    private func listOfPlace(_ view: ListFile.View) -> [Int] {
        (0..<listCount).flatMap { list in repeatElement(list, count: view.places(of: list).count) }
    }

    private func ranks(of query: [Float], _ middles: [Float]) -> [Int] {
        var scores = [Float](repeating: 0, count: listCount)
        cblas_sgemv(
            CblasRowMajor, CblasNoTrans, blasint(listCount), blasint(dimensions), 1, middles,
            blasint(dimensions), query, 1, 0, &scores, 1)
        var ranks = [Int](repeating: 0, count: listCount)
        let order = (0..<listCount).sorted { scores[$0] > scores[$1] }
        for (rank, list) in order.enumerated() { ranks[list] = rank }
        return ranks
    }
}
