import CKernels

/// Rows of numbers that a product reads: as floats, and in the blocks of whole numbers that packed
/// weights are multiplied with.
final class Activations {
    let width: Int
    let floats: FloatBuffer
    private let codes: UnsafeMutablePointer<Int8>
    private let blocks: UnsafeMutablePointer<kernel_block>
    private let quantise:
        @convention(c) (
            UnsafePointer<Float>?, Int, UnsafeMutablePointer<Int8>?,
            UnsafeMutablePointer<kernel_block>?
        ) -> Void

    static let block = Int(KERNEL_BLOCK)

    /// What rows of this width take.
    static func bytes(rows: Int, width: Int) -> Int {
        rows * (5 * width + width / block * MemoryLayout<kernel_block>.size)
    }

    init(rows: Int, width: Int, kernels: kernel_set) {
        self.width = width
        floats = FloatBuffer(rows * width)
        codes = .allocate(capacity: max(1, rows * width))
        blocks = .allocate(capacity: max(1, rows * width / Self.block))
        quantise = kernels.quantise
    }

    deinit {
        codes.deallocate()
        blocks.deallocate()
    }

    /// Makes blocks of the floats in these columns of a row, whole blocks of them. Nothing where the
    /// rows do not divide into blocks: then no packed weights read them.
    func quantise(row: Int, columns: Range<Int>) {
        guard width % Self.block == 0 else { return }
        let start = row * width + columns.lowerBound
        quantise(floats[start], columns.count, codes + start, blocks + start / Self.block)
    }

    func quantise(row: Int) { quantise(row: row, columns: 0..<width) }

    /// The rows as products with packed weights read them.
    var rows: kernel_rows { kernel_rows(codes: codes, blocks: blocks) }
}
