import CKernels
import Core

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A matrix as products take it.
struct Operand {
    let matrix: Matrix
    /// Where its panels are; nil for floats, which are read where they lie in the file.
    fileprivate(set) var packed: kernel_packed?

    var rows: Int { matrix.rows }
    var columns: Int { matrix.columns }
    /// How many panels of rows a product may be cut into.
    var panels: Int { (rows + Int(KERNEL_PANEL) - 1) / Int(KERNEL_PANEL) }

    fileprivate var packing: Int32 { kernel_packing_of(Int32(matrix.type.rawValue)) }

    fileprivate func panelBytes(_ packing: Int32) -> Int {
        kernel_packed_bytes(packing, Int(KERNEL_PANEL), columns)
    }

    fileprivate var packedBytes: Int {
        packing < 0 ? 0 : kernel_packed_bytes(packing, matrix.rows, matrix.columns)
    }
}

/// The weights of a model in the layout of the kernels: everything that its file keeps in blocks is
/// packed once, at the first use, and the file's own pages go back to the system. The packed copy is
/// about as large as the file; a little smaller where the scales of 4-bit weights are rounded.
final class PackedWeights {
    struct Layer {
        var query, key, value, attentionOutput, gate, up, down: Operand
    }

    private(set) var layers: [Layer]
    private(set) var output: Operand
    private var memory: UnsafeMutableRawPointer?
    private let bytes: Int

    private static let alignment = 64
    /// Kernels ask for weights this far ahead of where they are.
    private static let margin = 1 << 14
    /// How many panels are packed at a time.
    private static let panelsAtOnce = 8
    /// Scales are rounded to bytes where that changes the weights of each row of a block, as mean
    /// squares, by at most a tenth of what was lost when those became numbers of 4 bits, and by a
    /// hundredth on average. In SmolLM2 it is a thousandth on average, and 44 of 210 matrices have
    /// rows whose scales differ by too much.
    private static let (roundingMax, roundingMeanMax) = (0.1, 0.01)

    private let precision: ChatPrecision

    init(_ weights: ModelWeights, precision: ChatPrecision = .auto) {
        self.precision = precision
        func operand(_ matrix: Matrix) -> Operand { Operand(matrix: matrix) }
        layers = weights.layers.map { layer in
            Layer(
                query: operand(layer.query), key: operand(layer.key), value: operand(layer.value),
                attentionOutput: operand(layer.attentionOutput), gate: operand(layer.gate),
                up: operand(layer.up), down: operand(layer.down))
        }
        output = operand(weights.output)
        bytes = Self.bytes(weights)
    }

    deinit { if let memory { munmap(memory, bytes) } }

    /// What the packed weights will take at most.
    static func bytes(_ weights: ModelWeights) -> Int {
        operands(weights).reduce(margin) { $0 + room($1.packedBytes) }
    }

    /// Whether all of them are packed: then a row comes out the same whatever is beside it.
    static func isWhole(_ weights: ModelWeights) -> Bool {
        operands(weights).allSatisfy { $0.packing >= 0 }
    }

    private static func operands(_ weights: ModelWeights) -> [Operand] {
        let matrices =
            weights.layers.flatMap {
                [$0.query, $0.key, $0.value, $0.attentionOutput, $0.gate, $0.up, $0.down]
            } + [weights.output]
        return matrices.map { Operand(matrix: $0) }
    }

    /// Packs what is not packed yet, on all threads. Only from a job of the pool. False when there
    /// is no memory for it; then nothing can be computed.
    func pack(on pool: WorkerPool) -> Bool {
        guard memory == nil else { return true }
        let room = mmap(
            nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let room, room != MAP_FAILED else { return false }
        memory = room
        #if os(Linux)
            // Every token reads all of it: with small pages a tenth of the time goes into finding them.
            madvise(room, bytes, MADV_HUGEPAGE)
        #endif
        var offset = 0
        func place(_ operand: inout Operand) {
            guard operand.packing >= 0 else { return }
            let panels = (room + offset).assumingMemoryBound(to: UInt8.self)
            let packing = packRounded(operand, panels, on: pool) ?? pack(operand, panels, on: pool)
            operand.packed = kernel_packed(
                packing: packing, rows: operand.rows, columns: operand.columns, panels: panels)
            offset += Self.room(kernel_packed_bytes(packing, operand.rows, operand.columns))
            operand.matrix.forget()
        }
        for number in layers.indices {
            place(&layers[number].query)
            place(&layers[number].key)
            place(&layers[number].value)
            place(&layers[number].attentionOutput)
            place(&layers[number].gate)
            place(&layers[number].up)
            place(&layers[number].down)
        }
        place(&output)
        return true
    }

    /// Packs all of a matrix with its scales as halves, and returns that packing.
    private func pack(
        _ operand: Operand, _ panels: UnsafeMutablePointer<UInt8>, on pool: WorkerPool
    ) -> Int32 {
        let panelBytes = operand.panelBytes(operand.packing)
        pool.share(operand.panels, grain: Self.panelsAtOnce) { range, _ in
            Self.pack(operand, range, panels + range.lowerBound * panelBytes)
        }
        return operand.packing
    }

    /// Packs all of a matrix of 4 bits with its scales as bytes. Nil where there is no such packing, or
    /// it would change the weights too much: a model may have scales that differ by far in one row.
    private func packRounded(
        _ operand: Operand, _ panels: UnsafeMutablePointer<UInt8>, on pool: WorkerPool
    ) -> Int32? {
        guard operand.packing == KERNEL_PACKED_4, precision == .fast else { return nil }
        let packing = Int32(KERNEL_PACKED_4_ROUNDED)
        let panelBytes = operand.panelBytes(operand.packing)
        let roundedBytes = operand.panelBytes(packing)
        // Each panel begins with what its bytes stand for. With a few blocks in a row that takes more
        // than they save, and the room is that of halves.
        guard roundedBytes < panelBytes else { return nil }
        return withUnsafeTemporaryAllocation(of: kernel_rounding.self, capacity: pool.threads) {
            roundings in
            roundings.initialize(repeating: kernel_rounding())
            pool.share(operand.panels, grain: Self.panelsAtOnce) { range, worker in
                withUnsafeTemporaryAllocation(
                    byteCount: range.count * panelBytes, alignment: Self.alignment
                ) { room in
                    guard let halves = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    else { return }
                    Self.pack(operand, range, halves)
                    kernel_round_scales(
                        halves, operand.columns, range.count,
                        panels + range.lowerBound * roundedBytes, &roundings[worker])
                }
            }
            let worst = roundings.reduce(0) { max($0, $1.worst) }
            let sum = roundings.reduce(0) { $0 + $1.sum }
            let blocks = roundings.reduce(0) { $0 + $1.blocks }
            let isSmall =
                worst <= Self.roundingMax && sum <= Self.roundingMeanMax * Double(blocks)
            return isSmall ? packing : nil
        }
    }

    private static func pack(
        _ operand: Operand, _ range: Range<Int>, _ panels: UnsafeMutablePointer<UInt8>
    ) {
        let matrix = operand.matrix
        let first = range.lowerBound * Int(KERNEL_PANEL)
        kernel_pack(
            operand.packing, Int32(matrix.type.rawValue), matrix.row(first), matrix.rowBytes,
            matrix.rows - first, matrix.columns, 0, range.count, panels)
    }

    private static func room(_ bytes: Int) -> Int {
        (bytes + alignment - 1) / alignment * alignment
    }
}
