/// Rows of weights where they lie in the model's file.
struct Matrix: Sendable {
    let type: TensorType
    let rows: Int
    let columns: Int
    let rowBytes: Int
    // SAFETY: points into the mapped file, which `ModelWeights` keeps, and is only read.
    nonisolated(unsafe) private let start: UnsafeRawPointer

    init?(_ tensor: GGUF.Tensor, in file: MappedModel) {
        guard let base = file.bytes.baseAddress else { return nil }
        type = tensor.type
        rows = tensor.rows
        columns = tensor.columns
        rowBytes = tensor.type.rowBytes(columns: tensor.columns)
        start = base + tensor.bytes.lowerBound
    }

    private init(_ whole: Matrix, _ range: Range<Int>) {
        type = whole.type
        rows = range.count
        columns = whole.columns
        rowBytes = whole.rowBytes
        start = whole.row(range.lowerBound)
    }

    /// Some of the rows, in place: some files keep several matrices in one tensor.
    func rows(_ range: Range<Int>) -> Matrix { Matrix(self, range) }

    func row(_ row: Int) -> UnsafeRawPointer { start + row * rowBytes }

    /// The first row as numbers in place. Only for F32.
    var floats: UnsafePointer<Float> { start.assumingMemoryBound(to: Float.self) }
}
