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
        var tensors = Tensors(gguf)
        embedding = try tensors.matrix(
            "token_embd.weight", rows: vocabulary, columns: shape.width)
        layers = try (0..<shape.layers).map { try Self.layer($0, shape, &tensors) }
        outputNorm = try tensors.vector("output_norm.weight", shape.width)
        output =
            gguf.tensors["output.weight"] == nil
            ? embedding
            : try tensors.matrix("output.weight", rows: vocabulary, columns: shape.width)
        // `ModelShape` has read these.
        if shape.architecture.hasRopeFactors { tensors.leaveOut(RopeScaling.factorTensors) }
        try tensors.checkAllRead()
    }

    private static func layer(_ number: Int, _ shape: ModelShape, _ tensors: inout Tensors) throws
        -> Layer
    {
        let name = "blk.\(number)."
        let width = shape.width
        let (query, key, value) = try attention(name, shape, &tensors)
        let (gate, up) = try feedForward(name, shape, &tensors)
        let architecture = shape.architecture
        func norm(_ part: String, _ columns: Int, if isThere: Bool) throws -> Matrix? {
            isThere ? try tensors.vector("\(name)\(part).weight", columns) : nil
        }
        return Layer(
            attentionNorm: try tensors.vector(name + "attn_norm.weight", width),
            query: query, key: key, value: value,
            queryBias: try tensors.vectorIfPresent(name + "attn_q.bias", shape.queryWidth),
            keyBias: try tensors.vectorIfPresent(name + "attn_k.bias", shape.keyWidth),
            valueBias: try tensors.vectorIfPresent(name + "attn_v.bias", shape.keyWidth),
            queryNorm: try norm("attn_q_norm", shape.headWidth, if: architecture.hasHeadNorms),
            keyNorm: try norm("attn_k_norm", shape.headWidth, if: architecture.hasHeadNorms),
            attentionOutput: try tensors.matrix(
                name + "attn_output.weight", rows: width, columns: shape.queryWidth),
            attentionPostNorm: try norm(
                "post_attention_norm", width, if: architecture.hasPostNorms),
            feedForwardNorm: try tensors.vector(name + "ffn_norm.weight", width),
            gate: gate, up: up,
            down: try tensors.matrix(
                name + "ffn_down.weight", rows: width, columns: shape.feedForwardWidth),
            feedForwardPostNorm: try norm("post_ffw_norm", width, if: architecture.hasPostNorms))
    }

    /// Queries, keys and values: three tensors, or one with the rows of all.
    private static func attention(_ name: String, _ shape: ModelShape, _ tensors: inout Tensors)
        throws -> (Matrix, Matrix, Matrix)
    {
        let (queries, keys) = (shape.queryWidth, shape.keyWidth)
        guard tensors.has(name + "attn_qkv.weight") else {
            return (
                try tensors.matrix(name + "attn_q.weight", rows: queries, columns: shape.width),
                try tensors.matrix(name + "attn_k.weight", rows: keys, columns: shape.width),
                try tensors.matrix(name + "attn_v.weight", rows: keys, columns: shape.width)
            )
        }
        let all = try tensors.matrix(
            name + "attn_qkv.weight", rows: queries + 2 * keys, columns: shape.width)
        return (
            all.rows(0..<queries), all.rows(queries..<queries + keys),
            all.rows(queries + keys..<queries + 2 * keys)
        )
    }

    /// The gate and what it gates: two tensors, or, in phi3, one with the rows of both.
    private static func feedForward(_ name: String, _ shape: ModelShape, _ tensors: inout Tensors)
        throws -> (gate: Matrix, up: Matrix)
    {
        let rows = shape.feedForwardWidth
        guard shape.architecture == .phi3, !tensors.has(name + "ffn_gate.weight") else {
            return (
                try tensors.matrix(name + "ffn_gate.weight", rows: rows, columns: shape.width),
                try tensors.matrix(name + "ffn_up.weight", rows: rows, columns: shape.width)
            )
        }
        let both = try tensors.matrix(
            name + "ffn_up.weight", rows: 2 * rows, columns: shape.width)
        return (both.rows(0..<rows), both.rows(rows..<2 * rows))
    }
}

/// The tensors of a file that have not found their place yet.
private struct Tensors {
    private let file: MappedModel
    private var unread: [String: GGUF.Tensor]

    init(_ gguf: GGUF) {
        file = gguf.file
        unread = gguf.tensors
    }

    func has(_ name: String) -> Bool { unread[name] != nil }

    mutating func leaveOut(_ names: [String]) {
        for name in names { unread[name] = nil }
    }

    mutating func matrix(_ name: String, rows: Int, columns: Int) throws -> Matrix {
        guard let tensor = unread.removeValue(forKey: name), let matrix = Matrix(tensor, in: file)
        else { throw GGUF.damaged(file.name, "the tensor \(name) is missing") }
        guard tensor.rows == rows, tensor.columns == columns else {
            throw GGUF.damaged(
                file.name, "\(name) is \(tensor.columns) x \(tensor.rows), not \(columns) x \(rows)"
            )
        }
        return matrix
    }

    mutating func vector(_ name: String, _ columns: Int) throws -> Matrix {
        let vector = try matrix(name, rows: 1, columns: columns)
        guard vector.type == .f32 else {
            throw Failure(
                .unsupported,
                "\(file.name) cannot be run: its tensor \(name) has the type \(vector.type.name) "
                    + "(a file with this one in F32 would do).")
        }
        return vector
    }

    mutating func vectorIfPresent(_ name: String, _ columns: Int) throws -> Matrix? {
        has(name) ? try vector(name, columns) : nil
    }

    /// What would be left out would make the model say something else.
    func checkAllRead() throws {
        guard let first = unread.keys.min() else { return }
        let others = unread.count > 1 ? " and \(unread.count - 1) others" : ""
        throw Failure(
            .unsupported,
            "\(file.name) cannot be run: this engine does not know what to do with its tensor "
                + "\(first)\(others).")
    }
}
