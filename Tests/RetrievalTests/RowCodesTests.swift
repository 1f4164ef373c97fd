import CKernels
import Testing

@testable import Retrieval

@Suite struct RowCodesTests {
    /// Numbers that look random and are the same every time.
    private func floats(_ count: Int) -> [Float] {
        (0..<count).map { (index: Int) -> Float in
            let number = (index * 7919 + index * index * 31) % 2003
            return Float(number) / 1000 - 1
        }
    }

    @Test("Every set of kernels scores codes alike", arguments: [1, 7, 32, 100, 384], [1, 4, 6])
    func scan(columns: Int, queryCount: Int) throws {
        let count = 37
        let rows = floats(count * columns)
        let stride = vector_stride(columns)
        var codes = [Int8](repeating: 0, count: count * stride)
        var scales = [Float](repeating: 0, count: count)
        var bounds = vector_bounds()
        vector_kernels_best().pointee.quantise(rows, columns, count, &codes, &scales, &bounds)
        let queries = floats(queryCount * stride).map { Int16($0 * 30000) }
        let places = (0..<count).map { Int32(($0 * 5) % count) }
        let queryScales = (1...queryCount).map { Float($0) }
        for index in 0..<2 {
            guard let kernels = vector_kernels_at(Int32(index)) else { continue }
            var out = [Float](repeating: 0, count: queryCount * count)
            queries.withUnsafeBufferPointer { queries in
                let starts = (0..<queryCount).map { number in
                    queries.baseAddress.map { $0 + number * stride }
                }
                kernels.pointee.scan(
                    codes, scales, places, stride, count, starts, queryScales, queryCount, &out,
                    count)
            }
            let expected = (0..<queryCount).flatMap { query in
                places.map { place in
                    let sum = (0..<stride).reduce(0) { sum, column in
                        sum + Int(codes[Int(place) * stride + column])
                            * Int(queries[query * stride + column])
                    }
                    return Float(sum) * (scales[Int(place)] * queryScales[query])
                }
            }
            #expect(zip(out, expected).allSatisfy { abs($0 - $1) <= 1e-5 * abs($1) })
        }
    }

    @Test("Codes are as near to their row as the bounds say", arguments: [1, 24, 33, 384])
    func bounds(columns: Int) {
        let count = 50
        let rows = floats(count * columns)
        var codes = RowCodes(dimensions: columns)
        rows.withUnsafeBufferPointer { codes.append($0) }
        codes.withView { view in
            for row in 0..<count {
                let (errors, lengths) = (0..<columns).reduce((Float(0), Float(0))) { sums, column in
                    let said = Float(view.codes[row * view.rowBytes + column]) * view.scales[row]
                    let error = rows[row * columns + column] - said
                    return (sums.0 + error * error, sums.1 + said * said)
                }
                #expect(errors.squareRoot() <= view.bounds.error * 1.0001)
                #expect(lengths.squareRoot() <= view.bounds.length * 1.0001)
            }
            #expect(view.bounds.error < 0.005 * Float(columns).squareRoot())
        }
    }

    @Test("Every set of kernels picks the same scores")
    func picks() {
        let scores = floats(103)
        for index in 0..<2 {
            guard let kernels = vector_kernels_at(Int32(index))?.pointee else { continue }
            var places = [Int32](repeating: 0, count: 103)
            let found = kernels.collect(scores, 103, 0.5, &places)
            let dot = kernels.dot(scores, scores, 103)
            #expect(
                places.prefix(found).map { Int($0) } == scores.indices.filter { scores[$0] >= 0.5 })
            #expect(kernels.largest(scores, 103) == scores.firstIndex(of: scores.max() ?? 0))
            #expect(abs(dot - scores.reduce(0) { $0 + $1 * $1 }) < 1e-3)
        }
    }
}
