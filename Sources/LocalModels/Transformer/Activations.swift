import CKernels

/// Rows of numbers that a product reads: as floats, and in the blocks of whole numbers that packed
/// weights are multiplied with.
///
/// Precise rows have 15 bits in two parts instead of 8: some numbers of a stream are hundreds of
/// times larger than those beside them, which 8 bits for a block round to nothing. Queries, keys and
/// values gain most by it: with them the logits of SmolLM2 stay within 0.4 of exact ones instead of
/// 0.9, for a sixth more work. What the feed-forward part reads last would bring 0.3, for a quarter
/// more.
final class Activations {
    let width: Int
    private let parts: Int
    let floats: FloatBuffer
    private let codes: UnsafeMutablePointer<Int8>
    private let blocks: UnsafeMutablePointer<kernel_block>
    private let kernels: kernel_set

    static let block = Int(KERNEL_BLOCK)

    /// What rows of this width take.
    static func bytes(rows: Int, width: Int) -> Int {
        let blockBytes = block + MemoryLayout<kernel_block>.size
        return rows * (4 * width + 2 * (width / block) * blockBytes)
    }

    init(rows: Int, width: Int, isPrecise: Bool, kernels: kernel_set) {
        self.width = width
        parts = isPrecise ? 2 : 1
        floats = FloatBuffer(rows * width)
        codes = .allocate(capacity: max(1, rows * parts * width))
        blocks = .allocate(capacity: max(1, rows * parts * width / Self.block))
        self.kernels = kernels
    }

    deinit {
        codes.deallocate()
        blocks.deallocate()
    }

    /// Makes blocks of the floats in these columns of a row, whole blocks of them. Nothing where the
    /// rows do not divide into blocks: then no packed weights read them.
    func quantise(row: Int, columns: Range<Int>) {
        guard width % Self.block == 0 else { return }
        let from = floats[row * width + columns.lowerBound]
        let start = row * parts * width + columns.lowerBound
        let rest = start + width
        kernels.quantise(
            from, columns.count, codes + start, blocks + start / Self.block,
            parts == 2 ? codes + rest : nil, parts == 2 ? blocks + rest / Self.block : nil)
    }

    func quantise(row: Int) { quantise(row: row, columns: 0..<width) }

    /// The rows as products with packed weights read them.
    var rows: kernel_rows { kernel_rows(codes: codes, blocks: blocks, parts: Int32(parts)) }
}
