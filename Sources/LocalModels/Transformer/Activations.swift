import CKernels

/// Rows of numbers that a product reads: as floats, and in the blocks of whole numbers that packed
/// weights are multiplied with.
///
/// A block has 8 bits, and where it is asked for precisely another 8 for what those leave over: some
/// numbers of a stream are hundreds of times larger than those beside them, which 8 bits for a block
/// round to nothing. Values gain nearly all that is to be gained by it, for a few hundredths more
/// work: over a text, SmolLM2's surprise at each token is then 0.088 nats from an exact pass, as with
/// all that attention reads, and 0.113 without; llama.cpp's is 0.111.
final class Activations {
    let width: Int
    let floats: FloatBuffer
    private let first: Blocks
    private let rest: Blocks?
    private let kernels: kernel_set

    static let block = Int(KERNEL_BLOCK)

    /// What rows of this width take.
    static func bytes(rows: Int, width: Int, isPrecise: Bool) -> Int {
        let blockBytes = block + MemoryLayout<kernel_block>.size
        return rows * (4 * width + (isPrecise ? 2 : 1) * (width / block) * blockBytes)
    }

    /// - Parameter isPrecise: whether there is room for what 8 bits leave over.
    init(rows: Int, width: Int, isPrecise: Bool, kernels: kernel_set) {
        self.width = width
        floats = FloatBuffer(rows * width)
        first = Blocks(rows * width)
        rest = isPrecise ? Blocks(rows * width) : nil
        self.kernels = kernels
    }

    /// Makes blocks of the floats in these columns of a row, whole blocks of them, or of those that
    /// are elsewhere. Nothing where the rows do not divide into blocks: then no packed weights read
    /// them.
    func quantise(
        row: Int, columns: Range<Int>, of other: UnsafePointer<Float>? = nil,
        isPrecise: Bool = false
    ) {
        guard width % Self.block == 0 else { return }
        let start = row * width + columns.lowerBound
        let rest = isPrecise ? rest : nil
        kernels.quantise(
            other ?? UnsafePointer(floats[start]), columns.count, first.codes + start,
            first.blocks + start / Self.block,
            rest.map { $0.codes + start }, rest.map { $0.blocks + start / Self.block })
    }

    func quantise(row: Int, isPrecise: Bool = false) {
        quantise(row: row, columns: 0..<width, isPrecise: isPrecise)
    }

    /// The rows as products with packed weights read them.
    var rows: kernel_rows { first.rows }

    /// What the rows leave over, where they were made precisely: its product comes on top of theirs.
    var restRows: kernel_rows? { rest?.rows }
}

private final class Blocks {
    let codes: UnsafeMutablePointer<Int8>
    let blocks: UnsafeMutablePointer<kernel_block>

    init(_ count: Int) {
        codes = .allocate(capacity: max(1, count))
        blocks = .allocate(capacity: max(1, count / Activations.block))
    }

    deinit {
        codes.deallocate()
        blocks.deallocate()
    }

    var rows: kernel_rows { kernel_rows(codes: codes, blocks: blocks) }
}
