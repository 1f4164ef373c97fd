import CKernels
import Foundation
import Testing

@testable import LocalModels

@Suite("Kernels of the encoder")
struct EmbeddingKernelsTests {
    static let sets = EmbeddingSamples.kernels.keys.sorted()

    @Test("Every processor has a set, and the best is one of them")
    func best() throws {
        #expect(Self.sets.contains("plain"))
        #expect(Self.sets.contains(String(cString: encoder_kernels_best().pointee.name)))
    }

    @Test(
        "A product is that of the numbers, to the precision of its format, whatever the shape",
        arguments: sets, [PackedMatrix.Format.floats, .words, .bytes])
    func products(set: String, format: PackedMatrix.Format) throws {
        let kernels = try #require(EmbeddingSamples.kernels[set])
        // Numbers of one row and one output are at most 1, so a rounded one is off by this at most,
        // and errors add up like steps of a random walk.
        let steps: [PackedMatrix.Format: Double] = [.floats: 1e-6, .words: 5e-4, .bytes: 8e-3]
        let step = try #require(steps[format])
        for (inputs, outputs, rows) in [
            (1, 1, 1), (3, 2, 2), (24, 48, 5), (64, 16, 7), (65, 17, 13), (191, 50, 6),
            (385, 33, 9), (400, 100, 3), (1536, 24, 4),
        ] {
            let weights = numbers(inputs * outputs, 1)
            let bias = numbers(outputs, 2)
            let x = numbers(inputs * rows, 3)
            let found = product(kernels, format, weights, bias, x, rows)
            let most: Double = step * 4 * (Double(inputs).squareRoot() + 1)
            for row in 0..<rows {
                for output in 0..<outputs {
                    let exact =
                        Double(bias[output])
                        + dot(
                            x[row * inputs..<(row + 1) * inputs],
                            weights[output * inputs..<(output + 1) * inputs])
                    let error: Double = abs(Double(found[row * outputs + output]) - exact)
                    #expect(error < most)
                }
            }
        }
    }

    @Test("Outputs past the last are not written", arguments: sets)
    func bounds(set: String) throws {
        let kernels = try #require(EmbeddingSamples.kernels[set])
        for format in [PackedMatrix.Format.floats, .words, .bytes] {
            let found = product(
                kernels, format, numbers(7 * 5, 1), numbers(5, 2), numbers(7 * 3, 3), 3, stride: 9)
            for row in 0..<3 { #expect(found[row * 9 + 5..<row * 9 + 9].allSatisfy { $0 == 777 }) }
        }
    }

    @Test("Rows of zeros, and weights of zero, give the bias", arguments: sets)
    func zeros(set: String) throws {
        let kernels = try #require(EmbeddingSamples.kernels[set])
        for format in [PackedMatrix.Format.floats, .words, .bytes] {
            let (some, none) = (numbers(70 * 20, 1), [Float](repeating: 0, count: 70 * 20))
            let bias = numbers(20, 2)
            for (weights, x) in [(none, some), (some, none)] {
                let found = product(kernels, format, weights, bias, Array(x[..<70]), 1)
                #expect(found == bias)
            }
        }
    }

    @Test(
        "What is not finite stays so, in its row or its output",
        arguments: sets, [Float.nan, .infinity])
    func unsound(set: String, value: Float) throws {
        let kernels = try #require(EmbeddingSamples.kernels[set])
        for format in [PackedMatrix.Format.floats, .words, .bytes] {
            var x = numbers(30 * 2, 3)
            x[37] = value
            let rows = product(kernels, format, numbers(30 * 4, 1), numbers(4, 2), x, 2)
            #expect(rows.map(\.isFinite) == [true, true, true, true, false, false, false, false])
            var weights = numbers(30 * 4, 1)
            weights[61] = value
            let outputs = product(kernels, format, weights, numbers(4, 2), numbers(30, 3), 1)
            #expect(outputs.map(\.isFinite) == [true, true, false, true])
        }
    }

    @Test(
        "The activation is the exact one, to single precision, and survives any number",
        arguments: sets)
    func activation(set: String) throws {
        let kernels = try #require(EmbeddingSamples.kernels[set])
        let inputs: [Float] =
            (-1200...1200).map { Float($0) / 100 } + [-1e30, 1e30, -0.0, 1e-30]
        let outputs = product(
            kernels, .floats, [1], [0], inputs, inputs.count, activates: true)
        for (input, output) in zip(inputs, outputs) {
            let exact = Double(input) * (1 + erf(Double(input) / 2.0.squareRoot())) / 2
            #expect(abs(Double(output) - exact) < 1e-6 * max(1, abs(exact)), "\(input)")
        }
    }

    @Test(
        "Attention is the mean of the values, weighted by the exponentials of the products",
        arguments: sets,
        [
            (1, 1, 1), (2, 1, 2), (2, 5, 5), (31, 3, 17), (32, 16, 16), (32, 33, 70), (64, 48, 49),
            (5, 9, 9),
        ])
    func attention(set: String, shape: (width: Int, count: Int, length: Int)) throws {
        let kernels = try #require(EmbeddingSamples.kernels[set])
        let (width, count, length) = shape
        let stride = 3 * width + 3
        let x = numbers(length * stride, 5).map { $0 * 3 }
        var scratch = [Float](
            repeating: .nan, count: kernels.pointee.attend_scratch(length, width))
        var found = [Float](repeating: 777, count: count * (width + 1))
        x.withUnsafeBufferPointer { x in
            guard let start = x.baseAddress else { return }
            kernels.pointee.attend(
                start, start + width, start + 2 * width, stride, count, length, width, 0.5,
                &scratch, &found, width + 1)
        }
        for query in 0..<count {
            let asked = x[query * stride..<query * stride + width]
            let products: [Double] = (0..<length).map { key in
                let start = key * stride + width
                return dot(asked, x[start..<start + width]) * 0.5
            }
            let largest = products.max() ?? 0
            let scores = products.map { exp($0 - largest) }
            let sum = scores.reduce(0, +)
            for column in 0..<width {
                var exact = 0.0
                for key in 0..<length {
                    exact += scores[key] / sum * Double(x[key * stride + 2 * width + column])
                }
                let error: Double = abs(Double(found[query * (width + 1) + column]) - exact)
                #expect(error < 1e-3)
            }
            #expect(found[query * (width + 1) + width] == 777)
        }
    }

    @Test(
        "Rows are added, centred and scaled", arguments: sets, [1, 7, 8, 16, 24, 31, 384])
    func normalising(set: String, columns: Int) throws {
        let kernels = try #require(EmbeddingSamples.kernels[set])
        let rows = 3
        var x = numbers(rows * columns, 1)
        let (before, residual) = (x, numbers(rows * columns, 2))
        let (weight, shift) = (numbers(columns, 4), numbers(columns, 5))
        kernels.pointee.add_normalise(&x, residual, weight, shift, 1e-3, rows, columns)
        for row in 0..<rows {
            let sums = (0..<columns).map {
                Double(before[row * columns + $0]) + Double(residual[row * columns + $0])
            }
            let mean = sums.reduce(0, +) / Double(columns)
            let variance = sums.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(columns)
            for column in 0..<columns {
                let centred = (sums[column] - mean) / (variance + 1e-3).squareRoot()
                let exact = centred * Double(weight[column]) + Double(shift[column])
                let error: Double = abs(Double(x[row * columns + column]) - exact)
                #expect(error < 1e-4)
            }
        }
    }

    @Test("The mean has length 1, unless it has none", arguments: sets)
    func pooling(set: String) throws {
        let pool = try #require(EmbeddingSamples.kernels[set]).pointee.pool
        var out: [Float] = [0, 0]
        #expect(pool?([1, 0, 5, 8], 2, 2, &out) == 5)
        #expect(out == [0.6, 0.8])
        #expect(pool?([1, 0, -1, 0], 2, 2, &out) == 0)
        #expect(pool?([.nan, 0], 1, 2, &out).isNaN == true)
    }

    private func dot(_ left: ArraySlice<Float>, _ right: ArraySlice<Float>) -> Double {
        var sum = 0.0
        for (left, right) in zip(left, right) { sum += Double(left) * Double(right) }
        return sum
    }

    /// Never the same, between -1 and 1.
    private func numbers(_ count: Int, _ seed: Int) -> [Float] {
        (0..<count).map { sin(Float($0 * 7 + seed * 13) * 0.77 + Float($0 % 97)) }
    }

    private func product(
        _ kernels: EncoderKernels, _ format: PackedMatrix.Format, _ weights: [Float],
        _ bias: [Float], _ x: [Float], _ rows: Int, stride: Int? = nil, activates: Bool = false
    ) -> [Float] {
        let (inputs, outputs) = (x.count / rows, bias.count)
        let stride = stride ?? outputs
        var found = [Float](repeating: 777, count: rows * stride)
        weights.withUnsafeBufferPointer { weights in
            bias.withUnsafeBufferPointer { bias in
                guard let weight = weights.baseAddress, let bias = bias.baseAddress else { return }
                let linear = BertEncoder.Linear(
                    weight: weight, bias: bias, inputs: inputs, outputs: outputs)
                let matrix = PackedMatrix(kernels, format, [linear])
                for part in matrix.parts.reversed() { part.pack() }
                let scratch = UnsafeMutableRawPointer.allocate(
                    byteCount: rows * matrix.rowBytes, alignment: 64)
                defer { scratch.deallocate() }
                matrix.multiply(
                    x, rows, scratch: scratch, &found, stride: stride, activates: activates)
            }
        }
        return found
    }
}
