import CKernels

/// Rows as whole numbers of 8 bits, a quarter of their bytes: what a search reads first. How far they
/// are from the rows at most is known, so that the best can be found for certain all the same.
struct RowCodes: Sendable {
    let dimensions: Int
    private(set) var scales: [Float] = []
    private(set) var bounds = vector_bounds()
    private var codes: [Int8] = []

    init(dimensions: Int) { self.dimensions = dimensions }

    /// Adds rows that lie one after the other.
    mutating func append(_ rows: UnsafeBufferPointer<Float>) {
        let count = rows.count / max(1, dimensions)
        guard count > 0 else { return }
        let first = scales.count
        let stride = vector_stride(dimensions)
        codes.append(contentsOf: repeatElement(0, count: count * stride))
        scales.append(contentsOf: repeatElement(0, count: count))
        codes.withUnsafeMutableBufferPointer { codes in
            scales.withUnsafeMutableBufferPointer { scales in
                guard let codes = codes.baseAddress, let scales = scales.baseAddress else { return }
                vector_kernels_best().pointee.quantise(
                    rows.baseAddress, dimensions, count, codes + first * stride, scales + first,
                    &bounds)
            }
        }
    }

    func withView<Result>(_ use: (CodeView) throws -> Result) rethrows -> Result {
        try codes.withUnsafeBufferPointer { codes in
            try scales.withUnsafeBufferPointer { scales in
                try use(
                    CodeView(
                        codes: codes, scales: scales, rowBytes: vector_stride(dimensions),
                        bounds: bounds))
            }
        }
    }
}

/// Codes wherever they lie, in memory or in a mapped file, while they are held there.
struct CodeView {
    let codes: UnsafeBufferPointer<Int8>
    let scales: UnsafeBufferPointer<Float>
    let rowBytes: Int
    let bounds: vector_bounds

    /// Scanned at once: few enough that scores of four queries stay in the first cache.
    private static let blockRows = 1024

    /// Shows the rows of `range`, or those at `places` of that range, to each of `sieves`. `row` is
    /// the number of the row at a place, or nil where that sieve must not have it.
    func scan(
        _ range: Range<Int>, at places: UnsafePointer<Int32>? = nil, _ sieves: inout [Sieve],
        row: (_ sieve: Int, _ place: Int) -> Int?
    ) {
        guard let codes = codes.baseAddress, let scales = scales.baseAddress else { return }
        let block = Self.blockRows
        let width = Sieve.groupMax
        withUnsafeTemporaryAllocation(of: Float.self, capacity: block * width) { scores in
            withUnsafeTemporaryAllocation(of: Int32.self, capacity: block) { kept in
                guard let scores = scores.baseAddress, let kept = kept.baseAddress else { return }
                var start = range.lowerBound
                while start < range.upperBound {
                    let count = min(block, range.upperBound - start)
                    let base = places == nil ? start : 0
                    for first in stride(from: 0, to: sieves.count, by: width) {
                        let group = first..<min(first + width, sieves.count)
                        Sieve.withQueries(sieves[group]) { queries, queryScales in
                            vector_kernels_best().pointee.scan(
                                codes + base * rowBytes, scales + base,
                                places.map { $0 + start }, rowBytes, count, queries,
                                queryScales, group.count, scores, block)
                        }
                        for sieve in group {
                            let found = sieves[sieve].collect(
                                scores + (sieve - first) * block, count, into: kept)
                            for index in 0..<found {
                                let offset = Int(kept[index])
                                let place = places.map { Int($0[start + offset]) } ?? start + offset
                                guard let row = row(sieve, place) else { continue }
                                sieves[sieve].offer(
                                    row, score: scores[(sieve - first) * block + offset])
                            }
                        }
                    }
                    start += count
                }
            }
        }
    }
}
