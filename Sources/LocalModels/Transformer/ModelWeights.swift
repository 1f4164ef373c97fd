import Core

/// The tensors of a model by their part. Nothing is read from them yet. What an architecture does
/// not have is nil; vectors are matrices of one row, in F32.
struct ModelWeights: Sendable {
    struct Layer: Sendable {
        let attentionNorm: Matrix
        let query: Matrix
        let key: Matrix
        let value: Matrix
        var queryBias: Matrix?
        var keyBias: Matrix?
        var valueBias: Matrix?
        /// Of every head, before it is turned; `headWidth` long.
        var queryNorm: Matrix?
        var keyNorm: Matrix?
        let attentionOutput: Matrix
        /// Of what attention adds to the stream.
        var attentionPostNorm: Matrix?
        let feedForwardNorm: Matrix
        let gate: Matrix
        let up: Matrix
        let down: Matrix
        /// Of what the feed-forward part adds to the stream.
        var feedForwardPostNorm: Matrix?
    }

    let file: MappedModel
    let embedding: Matrix
    let layers: [Layer]
    let outputNorm: Matrix
    /// The embedding again in models that tie the two.
    let output: Matrix

    /// Throws `invalid` when a tensor is missing or of the wrong shape, and `unsupported` when there
    /// is one that this engine would have to leave out.
    init(_ gguf: GGUF, _ shape: ModelShape, vocabulary: Int) throws {
        file = gguf.file
        var unread = gguf.tensors

        func matrix(_ name: String, rows: Int, columns: Int) throws -> Matrix {
            guard let tensor = unread.removeValue(forKey: name),
                let matrix = Matrix(tensor, in: gguf.file)
            else { throw GGUF.damaged(gguf.file.name, "the tensor \(name) is missing") }
            guard tensor.rows == rows, tensor.columns == columns else {
                throw GGUF.damaged(
                    gguf.file.name,
                    "\(name) is \(tensor.columns) x \(tensor.rows), not \(columns) x \(rows)")
            }
            return matrix
        }
        func norm(_ name: String) throws -> Matrix {
            let norm = try matrix(name, rows: 1, columns: shape.width)
            guard norm.type == .f32 else {
                throw Failure(
                    .unsupported,
                    "\(gguf.file.name) cannot be run: \(name) is not F32.")
            }
            return norm
        }

        embedding = try matrix("token_embd.weight", rows: vocabulary, columns: shape.width)
        layers = try (0..<shape.layers).map { number in
            let name = "blk.\(number)."
            return Layer(
                attentionNorm: try norm(name + "attn_norm.weight"),
                query: try matrix(
                    name + "attn_q.weight", rows: shape.queryWidth, columns: shape.width),
                key: try matrix(name + "attn_k.weight", rows: shape.keyWidth, columns: shape.width),
                value: try matrix(
                    name + "attn_v.weight", rows: shape.keyWidth, columns: shape.width),
                attentionOutput: try matrix(
                    name + "attn_output.weight", rows: shape.width, columns: shape.queryWidth),
                feedForwardNorm: try norm(name + "ffn_norm.weight"),
                gate: try matrix(
                    name + "ffn_gate.weight", rows: shape.feedForwardWidth, columns: shape.width),
                up: try matrix(
                    name + "ffn_up.weight", rows: shape.feedForwardWidth, columns: shape.width),
                down: try matrix(
                    name + "ffn_down.weight", rows: shape.width, columns: shape.feedForwardWidth))
        }
        outputNorm = try norm("output_norm.weight")
        output =
            gguf.tensors["output.weight"] == nil
            ? embedding : try matrix("output.weight", rows: vocabulary, columns: shape.width)
        if let left = unread.keys.min() {
            throw Failure(
                .unsupported,
                "\(gguf.file.name) cannot be run: this engine does not know what to do with its "
                    + "tensor \(left).")
        }
    }
}
