import CKernels
import Testing

@testable import LocalModels

/// Panels of 4-bit weights whose scales are bytes: what they say, and what the kernels of every kind
/// of processor make of them.
@Suite("Rounded scales")
struct RoundedScalesTests {
    // Three whole panels' rows and some, and blocks that do not fill a line of 64 bytes of scales.
    private static let (columns, count) = (480, 53)
    private static let blocks = columns / 32
    private static let panels = (count + 15) / 16
    private static let types = [KERNEL_Q4_0, KERNEL_Q4_1].map { Int($0) }

    @Test("Rows so short that bytes would take more room than halves keep their halves")
    func shortRows() async throws {
        let file = TinyModel.writer(type: .q41).bytes()
        var logits: [[UInt32]] = []
        for precision in [ChatPrecision.auto, .fast] {
            var options = LocalModelOptions(threads: 2)
            options.precision = precision
            let model = try LocalChatModel(
                MappedModel(name: "tiny.gguf", copying: file), options: options)
            logits.append(
                try await model.inspect { reader in
                    reader.reset()
                    _ = reader.begin([1, 2, 3, 4, 5], isCancelled: { false })
                    return reader.logits().map(\.bitPattern)
                })
        }
        #expect(logits[0] == logits[1])
        let (halves, rounded) = (Int32(KERNEL_PACKED_4), Int32(KERNEL_PACKED_4_ROUNDED))
        #expect(kernel_packed_bytes(rounded, 16, 64) > kernel_packed_bytes(halves, 16, 64))
    }

    @Test("They say nearly what the weights are, and how nearly", arguments: types)
    func rounding(_ type: Int) {
        let exact = Self.weights(Int32(type))
        let (rounded, rounding) = Self.rounded(Int32(type))
        let said = Self.decode(rounded)
        var (shares, worst) = (0.0, 0.0)
        for start in stride(from: 0, to: exact.count, by: 32) {
            let block = start..<start + 32
            var changed = 0.0
            for place in block {
                let error = exact[place] - said[place]
                changed += error * error / 32
                worst = max(worst, abs(error))
            }
            // A step between codes is what the scale is: its square over 12 was lost.
            let steps = Set(exact[block]).sorted()
            let step = zip(steps.dropFirst(), steps).map { $0 - $1 }.min() ?? 0
            shares += changed / (step * step / 12)
        }
        // Scales are 0.005 to 0.015: half a step of theirs is 0.00002, eight times that a weight.
        #expect(worst < 0.0004)
        // The rows that the last panel is filled up with do not count.
        #expect(rounding.blocks == Self.count * Self.blocks)
        #expect(rounding.worst < 0.1 && rounding.sum < 0.01 * Double(rounding.blocks))
        // It is an estimate for rows whose codes are all equally likely, as they are here.
        #expect((0.8...1.25).contains(rounding.sum / shares))
    }

    @Test("Scales that differ by far in one row are refused, and what is no number")
    func unfit() {
        for outlier in [Float(2), .nan, .infinity] {
            var halves = Self.packed(Int32(KERNEL_Q4_1))
            let bits = Float16(outlier).bitPattern
            halves[256] = UInt8(truncatingIfNeeded: bits)
            halves[257] = UInt8(bits >> 8)
            #expect(Self.round(halves).rounding.worst > 1, "\(outlier)")
        }
    }

    @Test("Products are those of the weights", arguments: ChatKernelTests.sets.indices, types)
    func products(_ index: Int, _ type: Int) {
        let set = ChatKernelTests.sets[index]
        let panelBytes = Self.rounded(Int32(type)).panels
        let wide = Self.decode(panelBytes)
        var random = Random(state: 5)
        for tokens in [1, 2, 3, 4, 5, 8, 9, 13] {
            var codes: [Int8] = []
            var blocks: [kernel_block] = []
            var values: [Double] = []
            for _ in 0..<tokens {
                let own = ChatKernelTests.quantise(
                    (0..<Self.columns).map { _ in random.number() }, set)
                codes += own.codes
                blocks += own.blocks
                values += own.values
            }
            let out = Self.product(set, panelBytes, codes, blocks, tokens)
            for token in 0..<tokens {
                for row in 0..<Self.count {
                    var (sum, size) = (0.0, 0.0)
                    for column in 0..<Self.columns {
                        let part =
                            wide[row * Self.columns + column]
                            * values[token * Self.columns + column]
                        sum += part
                        size += abs(part)
                    }
                    #expect(abs(Double(out[token * Self.count + row]) - sum) < 1e-5 * size)
                }
            }
        }
    }

    private static func product(
        _ set: kernel_set, _ panelBytes: [UInt8], _ codes: [Int8], _ blocks: [kernel_block],
        _ tokens: Int
    ) -> [Float] {
        var out = [Float](repeating: .nan, count: tokens * count)
        panelBytes.withUnsafeBufferPointer { panelBytes in
            codes.withUnsafeBufferPointer { codes in
                blocks.withUnsafeBufferPointer { blocks in
                    var weights = kernel_packed(
                        packing: Int32(KERNEL_PACKED_4_ROUNDED), rows: count, columns: columns,
                        panels: panelBytes.baseAddress)
                    var input = kernel_rows(codes: codes.baseAddress, blocks: blocks.baseAddress)
                    let scratch = UnsafeMutableRawPointer.allocate(
                        byteCount: kernel_product_scratch(columns), alignment: 64)
                    defer { scratch.deallocate() }
                    set.product(&weights, 0, panels, &input, tokens, scratch, &out, count, false)
                }
            }
        }
        return out
    }

    private static func rowBytes(_ type: Int32) -> Int {
        let format = kernel_format_of(type)
        return columns / Int(format.block_columns) * Int(format.block_bytes)
    }

    private static func file(_ type: Int32) -> [UInt8] {
        let format = kernel_format_of(type)
        return ChatKernelTests.rows(
            type, format, blocks: count * columns / Int(format.block_columns))
    }

    private static func weights(_ type: Int32) -> [Double] {
        let rows = file(type)
        var wide = [Float](repeating: .nan, count: columns * count)
        for row in 0..<count {
            rows.withUnsafeBytes { bytes in
                wide.withUnsafeMutableBufferPointer { wide in
                    kernel_expand_row(
                        type, bytes.baseAddress.map { $0 + row * rowBytes(type) }, columns,
                        wide.baseAddress.map { $0 + row * columns })
                }
            }
        }
        return wide.map { Double($0) }
    }

    private static func packed(_ type: Int32) -> [UInt8] {
        let packing = Int32(KERNEL_PACKED_4)
        var packed = [UInt8](repeating: 0xFF, count: kernel_packed_bytes(packing, count, columns))
        kernel_pack(
            packing, type, file(type), rowBytes(type), count, columns, 0, panels, &packed)
        return packed
    }

    private static func rounded(_ type: Int32) -> (panels: [UInt8], rounding: kernel_rounding) {
        round(packed(type))
    }

    private static func round(_ packed: [UInt8]) -> (panels: [UInt8], rounding: kernel_rounding) {
        let bytes = kernel_packed_bytes(Int32(KERNEL_PACKED_4_ROUNDED), count, columns)
        var rounded = [UInt8](repeating: 0xFF, count: bytes)
        var rounding = kernel_rounding()
        kernel_round_scales(packed, columns, panels, &rounded, &rounding)
        return (rounded, rounding)
    }

    /// What rounded panels say, read as `Packed.h` describes them.
    private static func decode(_ bytes: [UInt8]) -> [Double] {
        func half(_ at: Int) -> Double {
            Double(Float16(bitPattern: UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8))
        }
        let codesAt = 128 + (32 * blocks + 63) / 64 * 64
        let panelBytes = codesAt + 256 * blocks
        var weights: [Double] = []
        for row in 0..<count {
            let (panel, place) = row.quotientAndRemainder(dividingBy: 16)
            let start = panel * panelBytes
            for column in 0..<columns {
                let (block, inside) = column.quotientAndRemainder(dividingBy: 32)
                let scaleCode = Double(bytes[start + 128 + 32 * block + place])
                let middleCode = Double(bytes[start + 144 + 32 * block + place])
                let scale = half(start + 32 + 2 * place) + half(start + 2 * place) * scaleCode
                let middle =
                    half(start + 96 + 2 * place) + half(start + 64 + 2 * place) * middleCode
                let byte = bytes[
                    start + codesAt + 256 * block + inside % 16 / 4 * 64 + 4 * place + inside % 4]
                let code = Double(inside < 16 ? byte & 15 : byte >> 4)
                weights.append(scale * (code - 8) + middle)
            }
        }
        return weights
    }
}
