import CKernels
import Foundation
import Testing

@Suite("Kernels of the encoder")
struct EmbeddingKernelsTests {
    @Test("The activation is the exact one, to single precision, and survives any number")
    func activation() {
        let inputs: [Float] =
            (-1200...1200).map { Float($0) / 100 } + [-1e30, 1e30, -0.0, 1e-30, -.infinity]
        var outputs = inputs
        encoder_add_bias_gelu(&outputs, [Float](repeating: 0, count: inputs.count), 1, inputs.count)
        for (input, output) in zip(inputs, outputs) where input.isFinite {
            let exact = Double(input) * (1 + erf(Double(input) / 2.0.squareRoot())) / 2
            #expect(abs(Double(output) - exact) < 1e-6 * max(1, abs(exact)), "\(input)")
        }
    }

    @Test(
        "Shares are those of the exponentials, whatever the length",
        arguments: [1, 2, 15, 16, 17, 33, 256])
    func shares(columns: Int) {
        let inputs = (0..<3 * columns).map { Float(($0 * 37) % 101) - 50 }
        var outputs = inputs
        encoder_softmax(&outputs, 0.5, 3, columns)
        for row in 0..<3 {
            let range = row * columns..<(row + 1) * columns
            let powers = inputs[range].map { exp(Double($0) / 2) }
            let sum = powers.reduce(0, +)
            let worst = zip(outputs[range], powers).map { abs(Double($0) - $1 / sum) }.max() ?? 1
            #expect(worst < 1e-6)
        }
    }

    @Test("Rows are added, centred and scaled", arguments: [1, 7, 16, 24, 384])
    func normalising(columns: Int) {
        let rows = 3
        func numbers(_ seed: Int, _ count: Int) -> [Float] {
            (0..<count).map { Float(($0 * 31 + seed * 17) % 23) / 7 - 1 }
        }
        var x = numbers(1, rows * columns)
        let (before, residual) = (x, numbers(2, rows * columns))
        let (bias, weight, shift) = (
            numbers(3, columns), numbers(4, columns), numbers(5, columns)
        )
        encoder_add_normalise(&x, bias, residual, weight, shift, 1e-6, rows, columns)
        for row in 0..<rows {
            let sums = (0..<columns).map {
                Double(before[row * columns + $0]) + Double(residual[row * columns + $0])
                    + Double(bias[$0])
            }
            let mean = sums.reduce(0, +) / Double(columns)
            let variance = sums.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(columns)
            for column in 0..<columns {
                let exact =
                    (sums[column] - mean) / (variance + 1e-6).squareRoot() * Double(weight[column])
                    + Double(shift[column])
                #expect(abs(Double(x[row * columns + column]) - exact) < 1e-4)
            }
        }
    }

    @Test("The mean has length 1, unless it has none")
    func pooling() {
        var out: [Float] = [0, 0]
        #expect(encoder_pool([1, 0, 5, 8], 2, 2, &out) == 5)
        #expect(out == [0.6, 0.8])
        #expect(encoder_pool([1, 0, -1, 0], 2, 2, &out) == 0)
        #expect(encoder_pool([.nan, 0], 1, 2, &out).isNaN)
    }
}
