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
        let type: Int
        var description: String { "\(String(cString: sets[set].name)) \(type)" }
    }

    static func cases(_ types: [Int]) -> [Case] {
        sets.indices.flatMap { set in types.map { Case(set: set, type: $0) } }
    }

    static let packedTypes = [
        KERNEL_Q4_0, KERNEL_Q4_1, KERNEL_Q5_0, KERNEL_Q5_1, KERNEL_Q8_0, KERNEL_Q2_K, KERNEL_Q3_K,
        KERNEL_Q4_K, KERNEL_Q5_K, KERNEL_Q6_K, KERNEL_IQ4_NL, KERNEL_IQ4_XS,
    ].map { Int($0) }
    static let floatTypes = [KERNEL_F32, KERNEL_F16, KERNEL_BF16].map { Int($0) }

    @Test("A processor has at least the plain set, and the best is the last")
    func choice() {
        #expect(String(cString: Self.sets[0].name) == "plain")
        #expect(
            Self.sets.last.map { String(cString: $0.name) }
                == String(cString: kernel_set_best().pointee.name))
    }

    /// Against the weights as the file's format defines them and the activations as they were
    /// rounded: what is left are the halves of scales, and the order of sums. Rows that are no whole
    /// panels, and as many tokens as take every path.
    @Test("Products of packed weights are those of the weights", arguments: cases(packedTypes))
    func products(_ test: Case) {
        let set = Self.sets[test.set]
        let (columns, count) = (512, 37)
        let type = Int32(test.type)
        let format = kernel_format_of(type)
        let rowBytes = columns / Int(format.block_columns) * Int(format.block_bytes)
        var random = Random(state: UInt64(test.type))
        let rows = Self.rows(type, format, blocks: count * columns / Int(format.block_columns))
        let panels = (count + 15) / 16
        let packing = kernel_packing_of(type)
        #expect(packing >= 0)
        let room = kernel_packed_bytes(packing, count, columns)
        // Kernels ask for what comes after, which is not read.
        var packed = [UInt8](repeating: 0xFF, count: room)
        kernel_pack(packing, type, rows, rowBytes, count, columns, 0, panels, &packed)
        var wide = [Float](repeating: .nan, count: columns * count)
        for row in 0..<count {
            rows.withUnsafeBytes { bytes in
                wide.withUnsafeMutableBufferPointer { wide in
                    kernel_expand_row(
                        type, bytes.baseAddress.map { $0 + row * rowBytes }, columns,
                        wide.baseAddress.map { $0 + row * columns })
                }
            }
        }
        for tokens in [1, 2, 3, 4, 5, 8, 9, 13] {
            let x = (0..<columns * tokens).map { _ in random.number() }
            var codes: [Int8] = []
            var blocks: [kernel_block] = []
            var rounded: [Double] = []
            for token in 0..<tokens {
                let own = Array(x[token * columns..<(token + 1) * columns])
                let made = Self.quantise(own, set)
                codes += made.codes
                blocks += made.blocks
                rounded += made.values
            }
            #expect(zip(x, rounded).allSatisfy { abs(Double($0) - $1) < 0.004 })

            var out = [Float](repeating: 1, count: tokens * count)
            packed.withUnsafeBufferPointer { panelBytes in
                codes.withUnsafeBufferPointer { codes in
                    blocks.withUnsafeBufferPointer { blocks in
                        var weights = kernel_packed(
                            packing: packing, rows: count, columns: columns,
                            panels: panelBytes.baseAddress)
                        var input = kernel_rows(
                            codes: codes.baseAddress, blocks: blocks.baseAddress)
                        let scratch = UnsafeMutableRawPointer.allocate(
                            byteCount: kernel_product_scratch(columns), alignment: 64)
                        defer { scratch.deallocate() }
                        // The second adds to what the first left, panel by panel.
                        set.product(
                            &weights, 0, panels, &input, tokens, scratch, &out, count, false)
                        for panel in 0..<panels {
                            set.product(
                                &weights, panel, panel + 1, &input, tokens, scratch, &out, count,
                                true)
                        }
                    }
                }
            }
            var worst = 0.0
            for token in 0..<tokens {
                for row in 0..<count {
                    var (sum, size) = (0.0, 0.0)
                    for column in 0..<columns {
                        let part =
                            Double(wide[row * columns + column])
                            * rounded[token * columns + column]
                        sum += part
                        size += abs(part)
                    }
                    let got = Double(out[token * count + row])
                    worst = max(worst, abs(got - 2 * sum) / max(size, 1e-6))
                }
            }
            #expect(worst < 1e-3, "\(tokens) tokens")
        }
    }

    /// A row in blocks, and the values they stand for.
    static func quantise(_ x: [Float], _ set: kernel_set) -> (
        codes: [Int8], blocks: [kernel_block], values: [Double]
    ) {
        var codes = [Int8](repeating: 0, count: x.count)
        var blocks = [kernel_block](repeating: kernel_block(), count: x.count / 32)
        set.quantise(x, x.count, &codes, &blocks, nil, nil)
        let values = codes.indices.map { Double(codes[$0]) * Double(blocks[$0 / 32].scale) }
        return (codes, blocks, values)
    }

    @Test("A row and what its codes leave over have 15 bits", arguments: sets.indices)
    func quantisedPrecisely(_ index: Int) {
        let set = Self.sets[index]
        var random = Random(state: 3)
        var x = (0..<96).map { _ in random.number() }
        x[40] = 300  // An outlier: its block's scale is hundreds of times that of the others.
        var codes = [Int8](repeating: 0, count: 96)
        var blocks = [kernel_block](repeating: kernel_block(), count: 3)
        var (rest, restBlocks) = (codes, blocks)
        set.quantise(x, 96, &codes, &blocks, &rest, &restBlocks)
        for place in x.indices {
            let value =
                Double(codes[place]) * Double(blocks[place / 32].scale)
                + Double(rest[place]) * Double(restBlocks[place / 32].scale)
            let largest = Double(x[place / 32 * 32..<place / 32 * 32 + 32].map(abs).max() ?? 0)
            #expect(abs(value - Double(x[place])) <= largest / 127 / 254 * 0.51)
        }
    }

    /// Bytes by chance, with scales that are numbers.
    static func rows(_ type: Int32, _ format: kernel_format, blocks: Int) -> [UInt8] {
        var random = Random(state: 11)
        let size = Int(format.block_bytes)
        var bytes = (0..<blocks * size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        // Where the halves are in a block: scales, and minima.
        let halves: [Int] =
            switch type {
            case Int32(KERNEL_Q4_1), Int32(KERNEL_Q5_1), Int32(KERNEL_Q4_K), Int32(KERNEL_Q5_K):
                [0, 2]
            case Int32(KERNEL_Q2_K): [80, 82]
            case Int32(KERNEL_Q3_K): [108]
            case Int32(KERNEL_Q6_K): [208]
            default: [0]
            }
        for block in 0..<blocks {
            for place in halves {
                let bits = Float16(0.01 + 0.005 * random.number()).bitPattern
                bytes[block * size + place] = UInt8(truncatingIfNeeded: bits)
                bytes[block * size + place + 1] = UInt8(bits >> 8)
            }
        }
        return bytes
    }

    @Test("What is no number becomes codes all the same", arguments: sets.indices)
    func quantisedNonsense(_ index: Int) {
        let set = Self.sets[index]
        var x = [Float](repeating: 1, count: 96)
        x[3] = .nan
        x[40] = .infinity
        for place in 64..<96 { x[place] = 0 }
        var codes = [Int8](repeating: 0, count: 96)
        var blocks = [kernel_block](repeating: kernel_block(), count: 3)
        var (rest, restBlocks) = (codes, blocks)
        set.quantise(x, 96, &codes, &blocks, &rest, &restBlocks)
        #expect((codes + rest).allSatisfy { $0 >= -127 })
        #expect(codes[64...].allSatisfy { $0 == 0 } && blocks[2].scale == 0)
    }

    @Test("Dot products with rows of floats are right", arguments: cases(floatTypes))
    func rows(_ test: Case) {
        let set = Self.sets[test.set]
        let (columns, count) = (96, 7)
        let type = TensorType(rawValue: UInt32(test.type)) ?? .f32
        var random = Random(state: 7)
        let weights = (0..<columns * count).map { _ in random.number() }
        let x = (0..<columns).map { _ in random.number() }
        let rows = TinyModel.encode(weights, type)
        let rowBytes = type.rowBytes(columns: columns)
        var dots = [Float](repeating: .nan, count: count)
        set.rows_dot(Int32(test.type), rows, rowBytes, x, columns, count, &dots)
        for row in 0..<count {
            let sum = (0..<columns).reduce(0.0) {
                $0 + Double(weights[row * columns + $1]) * Double(x[$1])
            }
            #expect(abs(Double(dots[row]) - sum) < 0.05)
        }
    }

    @Test("Halves are the nearest ones", arguments: sets.indices)
    func halves(_ index: Int) {
        let set = Self.sets[index]
        let finite = (0...UInt16.max).filter { Float16(bitPattern: $0).isFinite }
        var back = [UInt16](repeating: 0, count: finite.count)
        set.halves_from_floats(
            finite.map { Float(Float16(bitPattern: $0)) }, finite.count, &back)
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

        var gelu = x
        set.gelu_multiply(&gelu, y, count)
        let geluExact = zip(x, y).map { x, y in
            let x = Double(x)
            let inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
            return x / (1 + exponential(-2 * inner)) * Double(y)
        }
        #expect(Self.areClose(gelu, geluExact, 1e-5))

        var sums = x
        set.add(&sums, y, count)
        #expect(sums == zip(x, y).map { $0 + $1 })

        var turned: [Float] = [1, 2, 3, 4]
        set.rotate(&turned, [0, 1, -1, 0], 2)
        #expect(turned == [-2, 1, -3, -4])
        turned = [1, 2, 3, 4]
        set.rotate_halves(&turned, [0, 1, -1, 0], 2)
        #expect(turned == [-3, -2, 1, -4])
    }

    /// Two full pages and a part of one, whose rest is no number; queries that see all, a window,
    /// or only the beginning.
    @Test("Attention weighs values by the likeness of query and key", arguments: sets.indices)
    func attention(_ index: Int) {
        let set = Self.sets[index]
        for (width, count) in [(64, 7), (80, 2), (96, 13)] {
            let (pages, positions) = (3, 75)
            var random = Random(state: 5)
            func numbers(_ count: Int) -> [Float] { (0..<count).map { _ in random.number() } }
            let queries = numbers(width * count)
            let keys = numbers(width * positions).map { Float16($0) }
            let values = numbers(width * positions).map { Float16($0) }
            var memory = [UInt16](
                repeating: Float16.nan.bitPattern, count: pages * 64 * width)
            for position in 0..<positions {
                let (page, place) = position.quotientAndRemainder(dividingBy: 32)
                for i in 0..<width {
                    memory[page * 64 * width + i * 32 + place] =
                        keys[position * width + i].bitPattern
                    memory[page * 64 * width + 32 * width + place * width + i] =
                        values[position * width + i].bitPattern
                }
            }
            let first: [Int32] = (0..<count).map { $0 % 3 == 1 ? 40 : 0 }
            let end: [Int32] = (0..<count).map {
                $0 % 3 == 2 ? 5 : Int32(positions - count + 1 + $0)
            }
            var out = [Float](repeating: .nan, count: width * count)
            attend(
                set, queries, memory, first, end, &out, width: width, pages: pages, scale: 0.5)
            for query in 0..<count {
                let seen = Int(first[query])..<Int(end[query])
                let weights = seen.map { position in
                    exponential(
                        0.5
                            * (0..<width).reduce(0.0) {
                                $0 + Double(queries[query * width + $1])
                                    * Double(keys[position * width + $1])
                            })
                }
                let total = weights.reduce(0, +)
                let exact = (0..<width).map { place in
                    zip(seen, weights).reduce(0.0) {
                        $0 + $1.1 * Double(values[$1.0 * width + place])
                    } / total
                }
                let own = Array(out[query * width..<(query + 1) * width])
                #expect(Self.areClose(own, exact, 1e-5), "query \(query) of width \(width)")
            }
        }
    }

    private func attend(
        _ set: kernel_set, _ queries: [Float], _ memory: [UInt16], _ first: [Int32],
        _ end: [Int32], _ out: inout [Float], width: Int, pages: Int, scale: Float
    ) {
        var scratch = [Float](repeating: .nan, count: kernel_attention_scratch(width))
        queries.withUnsafeBufferPointer { queries in
            memory.withUnsafeBufferPointer { memory in
                out.withUnsafeMutableBufferPointer { out in
                    let count = first.count
                    let places = (0..<pages).map { page in
                        memory.baseAddress.map { $0 + page * 64 * width }
                    }
                    let asked = (0..<count).map { query in
                        queries.baseAddress.map { $0 + query * width }
                    }
                    let answers = (0..<count).map { query in
                        out.baseAddress.map { $0 + query * width }
                    }
                    places.withUnsafeBufferPointer { places in
                        asked.withUnsafeBufferPointer { asked in
                            answers.withUnsafeBufferPointer { answers in
                                first.withUnsafeBufferPointer { first in
                                    end.withUnsafeBufferPointer { end in
                                        var attention = kernel_attention(
                                            queries: asked.baseAddress, out: answers.baseAddress,
                                            first_seen: first.baseAddress,
                                            end_seen: end.baseAddress, count: count,
                                            pages: places.baseAddress, keys_at: 0,
                                            values_at: 32 * width, width: width, scale: scale)
                                        set.attend(&attention, &scratch)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private static func areClose(_ left: [Float], _ right: [Double], _ tolerance: Double) -> Bool {
        zip(left, right).allSatisfy { abs(Double($0) - $1) <= tolerance * max(1, abs($1)) }
    }

    private func exponential(_ x: Double) -> Double { power(2.718281828459045, x) }
}
