import CKernels
import COpenBLAS
import Core

/// What the network is to read of one sequence: tokens that follow the `position` ones which its
/// pages hold already.
struct Step {
    let tokens: ArraySlice<Int32>
    let position: Int
    /// Enough of them for `position + tokens.count` tokens. Pages that this step writes to, those
    /// from `position` on, belong to this sequence alone.
    let pages: [Int32]
}

/// A decoder network over any number of sequences: reads the next tokens of each, and says how
/// likely each next one is.
///
/// Weights in blocks are multiplied as whole numbers, with activations that are rounded to 8 bits in
/// blocks of 32, or to 15 where it matters; all else is in single precision. Keys and values are kept
/// in half precision, in pages.
///
/// Belongs to the lead thread of its pool.
final class Transformer {
    /// How many tokens one `read` takes at most, over all its steps: past 128 the products gain
    /// nothing, and the buffers grow.
    static let tokensMax = 128
    /// For how many of them one call of `logits` says what follows.
    static let logitRowsMax = 32

    let shape: ModelShape
    let weights: ModelWeights
    let packed: PackedWeights
    let pages: KeyValuePages
    let pool: WorkerPool
    let precision: ChatPrecision
    let kernels: kernel_set

    // Rows of `tokensMax` tokens each: the stream that all layers add to, and what a layer makes.
    let stream: FloatBuffer  // x width
    let normed: Activations  // x width
    let queries: FloatBuffer  // x queryWidth
    let keys: FloatBuffer  // x keyWidth
    let values: FloatBuffer  // x keyWidth
    let attended: Activations  // x queryWidth
    let gated: Activations  // x feedForwardWidth
    let up: FloatBuffer  // x feedForwardWidth
    let added: FloatBuffer  // x width: what a norm comes after, before it is added to the stream
    /// For each way of turning: the cosines and sines of every row's position, x ropeWidth.
    let turns: [FloatBuffer]
    let scratch: Scratch
    private let logits: FloatBuffer

    /// Nothing is read of the weights yet.
    init(
        _ shape: ModelShape, _ weights: ModelWeights, pages: KeyValuePages, pool: WorkerPool,
        precision: ChatPrecision = .auto, kernels: kernel_set = kernel_set_best().pointee
    ) {
        self.shape = shape
        self.weights = weights
        self.pages = pages
        self.pool = pool
        self.precision = precision
        self.kernels = kernels
        packed = PackedWeights(weights, precision: precision)
        func rows(_ width: Int) -> FloatBuffer { FloatBuffer(Self.tokensMax * width) }
        func activations(_ width: Int, _ precision: ChatPrecision) -> Activations {
            Activations(
                rows: Self.tokensMax, width: width, isPrecise: precision == .precise,
                kernels: kernels)
        }
        stream = rows(shape.width)
        normed = activations(shape.width, .precise)
        queries = rows(shape.queryWidth)
        keys = rows(shape.keyWidth)
        values = rows(shape.keyWidth)
        attended = activations(shape.queryWidth, precision)
        gated = activations(shape.feedForwardWidth, precision)
        up = rows(shape.feedForwardWidth)
        added = rows(shape.width)
        turns = shape.ropeFrequencies.map { _ in rows(shape.ropeWidth) }
        logits = FloatBuffer(Self.logitRowsMax * weights.output.rows)
        scratch = Scratch(shape, threads: pool.threads)
        // The pool's threads call OpenBLAS side by side; threads of its own would only compete.
        openblas_set_num_threads(1)
    }

    /// The memory that such a network takes beside its file and its pages, once it is used: packed
    /// weights, and what it computes with.
    static func bytes(
        _ shape: ModelShape, _ weights: ModelWeights, threads: Int, precision: ChatPrecision
    ) -> Int {
        let activations =
            Activations.bytes(rows: tokensMax, width: shape.width, isPrecise: true)
            + [shape.queryWidth, shape.feedForwardWidth].reduce(0) {
                $0
                    + Activations.bytes(
                        rows: tokensMax, width: $1, isPrecise: precision == .precise)
            }
        let floats =
            2 * shape.width + shape.queryWidth + 2 * shape.keyWidth + shape.feedForwardWidth
            + shape.ropeFrequencies.count * shape.ropeWidth
        return PackedWeights.bytes(weights) + activations + 4 * tokensMax * floats
            + 4 * logitRowsMax * weights.output.rows + Scratch.bytes(shape, threads: threads)
    }

    /// Gets the weights ready, which takes a moment the first time. Throws `unavailable` when there
    /// is no memory for them.
    func prepare() throws {
        guard packed.pack(on: pool) else {
            throw Failure(
                .unavailable,
                "There is not enough memory for the weights of \(weights.file.name).")
        }
    }

    /// Reads up to `tokensMax` tokens, those of each step after those of the step before it. False
    /// when `isCancelled` said so between two layers, or without memory for the weights; then it is
    /// as if nothing was read.
    func read(_ steps: [Step], isCancelled: () -> Bool) -> Bool {
        let count = steps.reduce(0) { $0 + $1.tokens.count }
        precondition(count <= Self.tokensMax, "One read takes \(Self.tokensMax) tokens at most.")
        guard packed.pack(on: pool) else { return false }
        embed(steps)
        let places = steps.map { pages.places(of: $0.pages) }
        for (number, layer) in weights.layers.enumerated() {
            if isCancelled() { return false }
            let operands = packed.layers[number]

            normalise(layer.attentionNorm, count, isPrecise: true)
            multiply(
                [
                    Product(operands.query, queries[0]), Product(operands.key, keys[0]),
                    Product(operands.value, values[0], isPrecise: true),
                ], normed, count)
            remember(layer: number, steps)
            attend(layer: number, steps, places)
            add(operands.attentionOutput, attended, count, after: layer.attentionPostNorm)

            normalise(layer.feedForwardNorm, count)
            multiplyGated(operands, count)
            add(operands.down, gated, count, after: layer.feedForwardPostNorm)
        }
        return true
    }

    /// What the network makes of tokens of the last `read`, which are named by their place over all
    /// of its steps: for each, one after the other, a logit for every token of the vocabulary. At
    /// most `logitRowsMax`; valid until the next call, and the caller's to change until then.
    func logits(rows: [Int]) -> UnsafeMutableBufferPointer<Float> {
        precondition(rows.count <= Self.logitRowsMax, "\(Self.logitRowsMax) rows at most.")
        for (place, row) in rows.enumerated() {
            kernels.rms_normalise(
                stream[row * shape.width], weights.outputNorm.floats, shape.epsilon, shape.width,
                normed.floats[place * shape.width])
            normed.quantise(row: place, isPrecise: precision == .precise)
        }
        multiply([Product(packed.output, logits[0])], normed, rows.count)
        return UnsafeMutableBufferPointer(
            start: logits[0], count: rows.count * weights.output.rows)
    }

    /// The vectors of the tokens, and how far their places turn a head.
    private func embed(_ steps: [Step]) {
        let embedding = weights.embedding
        var row = 0
        for step in steps {
            for (place, token) in step.tokens.enumerated() {
                let vector = stream[row * shape.width]
                embedding.withRareRow(Int(token)) {
                    kernel_expand_row(
                        Int32(embedding.type.rawValue), $0, embedding.columns, vector)
                }
                if shape.embeddingScale != 1 {
                    for i in 0..<shape.width { vector[i] *= shape.embeddingScale }
                }
                setTurns(row: row, position: step.position + place)
                row += 1
            }
        }
    }

    private func setTurns(row: Int, position: Int) {
        for (turns, frequencies) in zip(turns, shape.ropeFrequencies) {
            let own = turns[row * shape.ropeWidth]
            for (pair, frequency) in frequencies.enumerated() {
                let (cosine, sine) = cosineAndSine(Double(position) * frequency)
                own[2 * pair] = Float(cosine * shape.ropeMagnitude)
                own[2 * pair + 1] = Float(sine * shape.ropeMagnitude)
            }
        }
    }
}

/// What each thread needs for itself. Takes memory only where it was written to.
final class Scratch {
    /// About as much as the processor keeps close, beside the rows that it is multiplied with.
    private static let tileFloats = 1 << 18
    /// How many columns of what is gated a thread makes at a time, of all rows.
    static let gatedColumns = 8 * Int(KERNEL_PANEL)

    private let tiles: FloatBuffer
    private let tileSize: Int
    private let attention: [AttentionScratch]

    /// How many rows of this length are widened at a time.
    static func tileRows(_ columns: Int) -> Int { max(4, tileFloats / columns) }

    init(_ shape: ModelShape, threads: Int) {
        tileSize = Self.tileSize(shape)
        tiles = FloatBuffer(tileSize * threads)
        attention = (0..<threads).map { _ in AttentionScratch() }
    }

    static func bytes(_ shape: ModelShape, threads: Int) -> Int { 4 * tileSize(shape) * threads }

    func tile(_ worker: Int) -> UnsafeMutablePointer<Float> { tiles[worker * tileSize] }
    func attention(_ worker: Int) -> AttentionScratch { attention[worker] }

    /// Room for those columns twice, beside what a product with rows of this length works in.
    func gated(_ worker: Int, columns: Int) -> UnsafeMutablePointer<Float> {
        tile(worker) + Self.productFloats(columns)
    }

    private static func productFloats(_ columns: Int) -> Int {
        Int(kernel_product_scratch(columns)) / 4 + 16
    }

    private static func tileSize(_ shape: ModelShape) -> Int {
        let columns = max(shape.feedForwardWidth, shape.width, shape.queryWidth)
        return max(
            tileFloats, 4 * columns,
            productFloats(columns) + 2 * Transformer.tokensMax * gatedColumns,
            kernel_attention_scratch(shape.headWidth))
    }
}
