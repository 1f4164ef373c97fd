import CKernels

/// One question on its way through the codes: keeps every row that may yet be among the best, and
/// names these for certain once it has compared them as they are.
struct Sieve {
    let query: [Float]
    private let codes: [Int16]
    private let scale: Float
    /// Twice as far as a score of codes can be from the true one.
    private let margin: Float
    private var top: TopRows
    private var candidates: [TopRows.Row] = []
    private let limit: Int

    /// Queries that go through the codes together.
    static let groupMax = 4
    /// Candidates held at first before those that fell behind are dropped.
    private static let candidatesMax = 4096
    private var candidatesMax: Int

    /// `bounds` are those of all the codes that will be seen.
    init(_ query: [Float], bounds: [vector_bounds], limit: Int) {
        self.query = query
        self.limit = limit
        top = TopRows(limit: limit)
        candidatesMax = max(Self.candidatesMax, 4 * limit)
        let stride = vector_stride(query.count)
        // The sum of all products must fit in 31 bits.
        let codeMax = Float(min(32767, Int(Int32.max) / (128 * max(1, stride))))
        let greatest = query.reduce(Float(0)) { max($0, abs($1)) }
        let scale = greatest / codeMax
        let inverse = scale > 0 && scale.isFinite ? 1 / scale : 0
        var codes = [Int16](repeating: 0, count: stride)
        var (error, square) = (Float(0), Float(0))
        for (place, element) in query.enumerated() {
            let code = (element * inverse).rounded()
            guard abs(code) <= codeMax else { continue }
            codes[place] = Int16(code)
            error += (element - code * scale) * (element - code * scale)
            square += element * element
        }
        self.codes = codes
        self.scale = scale
        let length = square.squareRoot()
        let rowError = bounds.reduce(0) { max($0, $1.error) }
        let rowLength = bounds.reduce(0) { max($0, $1.length) } + rowError
        // The last term is for the rounding of sums of floats.
        let rounding = 4e-6 * length * rowLength
        margin = 2 * (length * rowError + error.squareRoot() * rowLength + rounding)
    }

    /// What a score of codes must reach for its row to matter.
    private var cut: Float { top.threshold.map { $0 - margin } ?? -.greatestFiniteMagnitude }

    /// The places of the scores that matter; returns how many there are.
    func collect(
        _ scores: UnsafePointer<Float>, _ count: Int, into places: UnsafeMutablePointer<Int32>
    ) -> Int {
        vector_kernels_best().pointee.collect(scores, count, cut, places)
    }

    mutating func offer(_ row: Int, score: Float) {
        guard score >= cut else { return }
        top.offer(row, score: score)
        candidates.append(.init(index: row, score: score))
        guard candidates.count >= candidatesMax else { return }
        let cut = cut
        candidates.removeAll { $0.score < cut }
        candidatesMax = max(candidatesMax, 2 * candidates.count)
    }

    /// The best as far as codes can tell.
    var roughlyBest: [TopRows.Row] { top.sorted }

    /// The best of the rows that were offered, best first, by what `row` says they are.
    func best(_ row: (Int) -> UnsafePointer<Float>?) -> [TopRows.Row] {
        let dot = vector_kernels_best().pointee.dot
        var best = TopRows(limit: limit)
        let cut = cut
        for candidate in candidates where candidate.score >= cut {
            guard let elements = row(candidate.index) else { continue }
            best.offer(candidate.index, score: dot?(elements, query, query.count) ?? .nan)
        }
        return best.sorted
    }

    /// Lends out the codes of at most `groupMax` queries.
    static func withQueries(
        _ sieves: ArraySlice<Sieve>,
        _ use: (UnsafePointer<UnsafePointer<Int16>?>, UnsafePointer<Float>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: UnsafePointer<Int16>?.self, capacity: groupMax) { codes in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: groupMax) { scales in
                lend(sieves, codes, scales, 0, use)
            }
        }
    }

    private static func lend(
        _ sieves: ArraySlice<Sieve>,
        _ codes: UnsafeMutableBufferPointer<UnsafePointer<Int16>?>,
        _ scales: UnsafeMutableBufferPointer<Float>, _ place: Int,
        _ use: (UnsafePointer<UnsafePointer<Int16>?>, UnsafePointer<Float>) -> Void
    ) {
        guard let sieve = sieves.first else {
            guard let codes = codes.baseAddress, let scales = scales.baseAddress else { return }
            return use(codes, scales)
        }
        sieve.codes.withUnsafeBufferPointer { pointer in
            codes[place] = pointer.baseAddress
            scales[place] = sieve.scale
            lend(sieves.dropFirst(), codes, scales, place + 1, use)
        }
    }
}
