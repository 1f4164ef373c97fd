import CKernels
import Testing

@testable import LocalModels

/// The kernels of every kind of processor that this one can run, against plain sums in double
/// precision.
@Suite("Kernels")
struct ChatKernelTests {
    static var sets: [kernel_set] {
        (0..<8).compactMap { kernel_set_at(Int32($0))?.pointee }
    }

    struct Case: CustomStringConvertible, Sendable {
        let set: Int
        let type: TensorType
        var description: String { "\(String(cString: sets[set].name)) \(type)" }
    }

    /// `FormatTests` has the others.
    static let types: [TensorType] = [.f32, .f16, .bf16, .q40, .q41, .q80]
    static let cases = sets.indices.flatMap { set in
        types.map { Case(set: set, type: $0) }
    }

    @Test("A processor has at least the plain set, and the best is the last")
    func choice() {
        #expect(String(cString: Self.sets[0].name) == "plain")
        #expect(
            Self.sets.last.map { String(cString: $0.name) }
                == String(cString: kernel_set_best().pointee.name))
    }

    /// Seven rows so that groups of two and four have a rest.
    @Test("Rows are widened exactly, and their dot products are right", arguments: cases)
    func rows(_ test: Case) {
        let set = Self.sets[test.set]
        let (columns, count) = (96, 7)
        var random = Random(state: 7)
        let weights = (0..<columns * count).map { _ in random.number() }
        let x = (0..<columns).map { _ in random.number() }
        let rows = TinyModel.encode(weights, test.type)
        let rowBytes = test.type.rowBytes(columns: columns)

        var wide = [Float](repeating: .nan, count: columns * count)
        set.rows_expand(
            Int32(test.type.rawValue), rows, rowBytes, columns, count, &wide)
        let exact = Self.decode(rows, test.type)
        #expect(zip(wide, exact).allSatisfy { abs(Double($0) - $1) < 1e-6 })
        // What was widened is what was stored, to the precision of the type.
        #expect(zip(wide, weights).allSatisfy { abs($0 - $1) < 0.16 })

        var dots = [Float](repeating: .nan, count: count)
        set.rows_dot(Int32(test.type.rawValue), rows, rowBytes, x, columns, count, &dots)
        for row in 0..<count {
            let sum = (0..<columns).reduce(0.0) {
                $0 + exact[row * columns + $1] * Double(x[$1])
            }
            #expect(abs(Double(dots[row]) - sum) < 1e-4)
        }
    }

    @Test("All halves are converted there and back", arguments: sets.indices)
    func halves(_ index: Int) {
        let set = Self.sets[index]
        let all = (0...UInt16.max).map { $0 }
        var floats = [Float](repeating: 0, count: all.count)
        set.floats_from_halves(all, all.count, &floats)
        for bits in all {
            let expected = Float(Float16(bitPattern: bits))
            let got = floats[Int(bits)]
            #expect(got == expected || (got.isNaN && expected.isNaN), "\(bits)")
        }
        let finite = all.filter { Float16(bitPattern: $0).isFinite }
        var back = [UInt16](repeating: 0, count: finite.count)
        set.halves_from_floats(finite.map { floats[Int($0)] }, finite.count, &back)
        #expect(back == finite)
        // Between two halves the nearer one, and past the last one the last one.
        let between: [Float] = [1.0003, 1.0007, -2.001, 1e-8, 5.9e-8, 70_000, -.infinity, 65_519]
        var rounded = [UInt16](repeating: 0, count: between.count)
        set.halves_from_floats(between, between.count, &rounded)
        let expected = between.map { Float16(max(-65_504, min(65_504, $0))).bitPattern }
        #expect(rounded == expected)
    }

    @Test("The small steps of a layer are right", arguments: sets.indices)
    func steps(_ index: Int) {
        let set = Self.sets[index]
        let count = 37
        var random = Random(state: 3)
        let x = (0..<count).map { _ in random.number() * 20 }
        let y = (0..<count).map { _ in random.number() }

        var normed = [Float](repeating: 0, count: count)
        set.rms_normalise(x, y, 1e-5, count, &normed)
        let square = x.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(count)
        let normedExact = zip(x, y).map { Double($0) / (square + 1e-5).squareRoot() * Double($1) }
        #expect(Self.areClose(normed, normedExact, 1e-5))

        var gate = x
        set.silu_multiply(&gate, y, count)
        let gateExact = zip(x, y).map { Double($0) / (1 + exponential(-Double($0))) * Double($1) }
        #expect(Self.areClose(gate, gateExact, 1e-5))

        var shares = x
        set.softmax(&shares, 0.5, count)
        let largest = Double(x.max() ?? 0)
        let parts = x.map { exponential((Double($0) - largest) * 0.5) }
        let whole = parts.reduce(0, +)
        #expect(Self.areClose(shares, parts.map { $0 / whole }, 1e-6))

        var sums = x
        set.add(&sums, y, count)
        #expect(sums == zip(x, y).map { $0 + $1 })

        var turned: [Float] = [1, 2, 3, 4]
        set.rotate(&turned, [0, 1, -1, 0], 2)
        #expect(turned == [-2, 1, -3, -4])
    }

    @Test("Attention weighs values by the likeness of query and key", arguments: sets.indices)
    func attention(_ index: Int) {
        let set = Self.sets[index]
        for width in [64, 80] {
            let positions = 5
            var random = Random(state: 5)
            let query = (0..<width).map { _ in random.number() }
            let keys = (0..<width * positions).map { _ in Float16(random.number()) }
            let values = (0..<width * positions).map { _ in Float16(random.number()) }
            var scores = [Float](repeating: 0, count: positions)
            var out = [Float](repeating: 0, count: width)
            set.attend(
                query, keys.map(\.bitPattern), values.map(\.bitPattern), positions, width, 0.5,
                &scores, &out)
            let weights = (0..<positions).map { position in
                exponential(
                    0.5
                        * (0..<width).reduce(0.0) {
                            $0 + Double(query[$1]) * Double(keys[position * width + $1])
                        })
            }
            let exact = (0..<width).map { place in
                (0..<positions).reduce(0.0) {
                    $0 + weights[$1] * Double(values[$1 * width + place])
                } / weights.reduce(0, +)
            }
            #expect(Self.areClose(out, exact, 1e-5))
        }
    }

    private static func areClose(_ left: [Float], _ right: [Double], _ tolerance: Double) -> Bool {
        zip(left, right).allSatisfy { abs(Double($0) - $1) <= tolerance * max(1, abs($1)) }
    }

    private func exponential(_ x: Double) -> Double { power(2.718281828459045, x) }

    private static func decode(_ bytes: [UInt8], _ type: TensorType) -> [Double] {
        func word(_ place: Int) -> UInt16 { UInt16(bytes[place]) | UInt16(bytes[place + 1]) << 8 }
        func half(_ place: Int) -> Double { Double(Float16(bitPattern: word(place))) }
        return stride(from: 0, to: bytes.count, by: type.block.bytes).flatMap { start -> [Double] in
            switch type {
            case .f32:
                let bits = UInt32(word(start)) | UInt32(word(start + 2)) << 16
                return [Double(Float(bitPattern: bits))]
            case .f16: return [half(start)]
            case .bf16: return [Double(Float(bitPattern: UInt32(word(start)) << 16))]
            case .q80:
                return (0..<32).map {
                    half(start) * Double(Int8(bitPattern: bytes[start + 2 + $0]))
                }
            case .q40, .q41:
                let offset = type == .q41 ? half(start + 2) : -8 * half(start)
                let first = start + (type == .q41 ? 4 : 2)
                let nibbles =
                    (0..<16).map { bytes[first + $0] & 15 }
                    + (0..<16).map { bytes[first + $0] >> 4 }
                return nibbles.map { half(start) * Double($0) + offset }
            default: return []
            }
        }
    }
}
