/// Rows of weights where they lie in the model's file. Whoever keeps a matrix keeps the file too:
/// matrices are copied in every layer of every token, and would each count their references to it.
struct Matrix: Sendable {
    let type: TensorType
    let rows: Int
    let columns: Int
    let rowBytes: Int
    // SAFETY: `ModelWeights` holds the file, and everything that multiplies holds those.
    private unowned(unsafe) let file: MappedModel
    // SAFETY: points into the mapped file, and is only read.
    nonisolated(unsafe) private let start: UnsafeRawPointer

    init?(_ tensor: GGUF.Tensor, in file: MappedModel) {
        guard let base = file.bytes.baseAddress else { return nil }
        type = tensor.type
        rows = tensor.rows
        columns = tensor.columns
        rowBytes = tensor.type.rowBytes(columns: tensor.columns)
        start = base + tensor.bytes.lowerBound
        self.file = file
    }

    private init(_ whole: Matrix, _ range: Range<Int>) {
        type = whole.type
        rows = range.count
        columns = whole.columns
        rowBytes = whole.rowBytes
        start = whole.row(range.lowerBound)
        file = whole.file
    }

    /// Some of the rows, in place: some files keep several matrices in one tensor.
    func rows(_ range: Range<Int>) -> Matrix { Matrix(self, range) }

    /// Gives the memory that holds these rows back to the system, which reads them again when they
    /// are touched.
    func forget() { file.forget(start, count: rows * rowBytes) }

    func row(_ row: Int) -> UnsafeRawPointer { start + row * rowBytes }

    /// Calls `body` with one row of a matrix of which few are ever read: they come from the file by
    /// themselves, where that is possible, so that the rows around them take no memory.
    func withRareRow(_ row: Int, _ body: (UnsafeRawPointer) -> Void) {
        let place = self.row(row)
        withUnsafeTemporaryAllocation(byteCount: rowBytes, alignment: 16) { room in
            guard file.copy(place, into: room), let copy = room.baseAddress else {
                return body(place)
            }
            body(copy)
        }
    }

    /// The first row as numbers in place. Only for F32.
    var floats: UnsafePointer<Float> { start.assumingMemoryBound(to: Float.self) }
}
