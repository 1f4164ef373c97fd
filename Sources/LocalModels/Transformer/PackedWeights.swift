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

    fileprivate var packedBytes: Int {
        packing < 0 ? 0 : kernel_packed_bytes(packing, matrix.rows, matrix.columns)
    }
}

/// The weights of a model in the layout of the kernels: everything that its file keeps in blocks is
/// packed once, at the first use, and the file's own pages go back to the system. The packed copy is
/// about as large as the file.
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

    init(_ weights: ModelWeights) {
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

    /// What the packed weights will take.
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
            offset += Self.room(operand.packedBytes)
            operand.packed = kernel_packed(
                packing: operand.packing, rows: operand.rows, columns: operand.columns,
                panels: panels)
            let (matrix, packing) = (operand.matrix, operand.packing)
            pool.share(operand.panels, grain: 8) { range, _ in
                kernel_pack(
                    packing, Int32(matrix.type.rawValue), matrix.row(0), matrix.rowBytes,
                    matrix.rows, matrix.columns, range.lowerBound, range.upperBound, panels)
            }
            matrix.forget()
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

    private static func room(_ bytes: Int) -> Int {
        (bytes + alignment - 1) / alignment * alignment
    }
}
