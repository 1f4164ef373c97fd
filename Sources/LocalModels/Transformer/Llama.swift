import CKernels
import COpenBLAS
import Core

/// The Llama network over one conversation: reads tokens, and says how likely each next one is.
/// All arithmetic is in single precision; weights are widened as they are read, keys and values are
/// kept in half precision.
///
/// Belongs to the lead thread of its pool.
final class Llama {
    /// How many tokens one `read` takes at most. Prompts are read in parts of this size: past 256
    /// the products gain nothing, and the buffers grow.
    static let tokensMax = 256

    private let shape: LlamaShape
    private let weights: LlamaWeights
    private let cache: KeyValueCache
    private let pool: WorkerPool
    private let kernels: kernel_set

    // Rows of `tokensMax` tokens each: the stream that all layers add to, and what a layer makes.
    private let stream: FloatBuffer  // x width
    private let normed: FloatBuffer  // x width
    private let queries: FloatBuffer  // x queryWidth
    private let keys: FloatBuffer  // x keyWidth
    private let values: FloatBuffer  // x keyWidth
    private let attended: FloatBuffer  // x queryWidth
    private let gate: FloatBuffer  // x feedForwardWidth
    private let up: FloatBuffer  // x feedForwardWidth
    private let turns: FloatBuffer  // x ropeWidth: the cosines and sines of a position

    private let logits: FloatBuffer
    private let scratch: Scratch
    private let frequencies: [Double]

    init(
        _ shape: LlamaShape, _ weights: LlamaWeights, positions: Int, pool: WorkerPool,
        kernels: kernel_set = kernel_set_best().pointee
    ) throws {
        self.shape = shape
        self.weights = weights
        self.pool = pool
        self.kernels = kernels
        cache = try KeyValueCache(shape, positions: positions)
        func rows(_ width: Int) -> FloatBuffer { FloatBuffer(Self.tokensMax * width) }
        stream = rows(shape.width)
        normed = rows(shape.width)
        queries = rows(shape.queryWidth)
        keys = rows(shape.keyWidth)
        values = rows(shape.keyWidth)
        attended = rows(shape.queryWidth)
        gate = rows(shape.feedForwardWidth)
        up = rows(shape.feedForwardWidth)
        turns = rows(shape.ropeWidth)
        logits = FloatBuffer(weights.output.rows)
        scratch = Scratch(shape, positions: positions, threads: pool.threads)
        frequencies = (0..<shape.ropeWidth / 2).map {
            power(shape.ropeBase, -2 * Double($0) / Double(shape.ropeWidth))
        }
        // The pool's threads call OpenBLAS side by side; threads of its own would only compete.
        openblas_set_num_threads(1)
    }

    /// Reads up to `tokensMax` tokens that follow the `position` ones read before. False when
    /// `isCancelled` said so between two layers; then it is as if nothing was read.
    func read(_ tokens: ArraySlice<Int32>, at position: Int, isCancelled: () -> Bool) -> Bool {
        let count = tokens.count
        precondition(count <= Self.tokensMax, "A part of a prompt is at most \(Self.tokensMax).")
        for (row, token) in tokens.enumerated() {
            expand(weights.embedding, Int(token), 1, stream[row * shape.width])
            setTurns(row, position: position + row)
        }
        for (number, layer) in weights.layers.enumerated() {
            if isCancelled() { return false }

            normalise(layer.attentionNorm, count)
            multiply(
                [
                    Product(layer.query, queries), Product(layer.key, keys),
                    Product(layer.value, values),
                ], normed, count)
            remember(layer: number, position, count)
            if count < Self.productRowsMin {
                attendOneByOne(layer: number, position, count)
            } else {
                attendTogether(layer: number, position, count)
            }
            multiply([Product(layer.attentionOutput, stream, isAdded: true)], attended, count)

            normalise(layer.feedForwardNorm, count)
            multiply([Product(layer.gate, gate), Product(layer.up, up)], normed, count)
            let width = shape.feedForwardWidth
            share(count, cost: width * 16) { rows in
                kernels.silu_multiply(
                    gate[rows.lowerBound * width], up[rows.lowerBound * width], rows.count * width)
            }
            multiply([Product(layer.down, stream, isAdded: true)], gate, count)
        }
        return true
    }

    /// What the network makes of the token in this row of the last `read`: a logit for every token
    /// of the vocabulary. Valid until the next call.
    func logits(row: Int) -> UnsafeBufferPointer<Float> {
        kernels.rms_normalise(
            stream[row * shape.width], weights.outputNorm.floats, shape.epsilon, shape.width,
            normed[0])
        multiply([Product(weights.output, logits)], normed, 1)
        return UnsafeBufferPointer(start: logits[0], count: weights.output.rows)
    }
}

// MARK: Products

extension Llama {
    /// From this many rows of input on, widening the weights once for all of them and one matrix
    /// product are faster than a dot product for each.
    private static let productRowsMin = 4

    /// `output = input x matrix`, or `output += ...`.
    private struct Product {
        let matrix: Matrix
        let output: FloatBuffer
        let isAdded: Bool

        init(_ matrix: Matrix, _ output: FloatBuffer, isAdded: Bool = false) {
            self.matrix = matrix
            self.output = output
            self.isAdded = isAdded
        }
    }

    /// Multiplies `count` rows of one input with several matrices in one shared loop over all of
    /// their rows.
    private func multiply(_ products: [Product], _ input: FloatBuffer, _ count: Int) {
        let rows = products.reduce(0) { $0 + $1.matrix.rows }
        let columns = products[0].matrix.columns
        let isTogether = count >= Self.productRowsMin
        // A few parts for each thread even out cores that are busy with something else.
        let parts = pool.threads == 1 ? 1 : pool.threads * 4
        let grain = min((rows / parts + 15) / 16 * 16 + 16, Scratch.tileRows(columns))
        pool.share(rows, grain: grain) { range, worker in
            var start = 0
            for product in products {
                let end = start + product.matrix.rows
                let rows = range.clamped(to: start..<end)
                if !rows.isEmpty {
                    let rows = rows.lowerBound - start..<rows.upperBound - start
                    if isTogether {
                        self.product(product, rows, input[0], count, scratch.tile(worker))
                    } else {
                        dots(product, rows, input[0], count, scratch.tile(worker))
                    }
                }
                start = end
                if start >= range.upperBound { break }
            }
        }
    }

    private func dots(
        _ product: Product, _ rows: Range<Int>, _ input: UnsafeMutablePointer<Float>, _ count: Int,
        _ sums: UnsafeMutablePointer<Float>
    ) {
        let matrix = product.matrix
        for row in 0..<count {
            let output = product.output[row * matrix.rows + rows.lowerBound]
            kernels.rows_dot(
                Int32(matrix.type.rawValue), matrix.row(rows.lowerBound), matrix.rowBytes,
                input + row * matrix.columns, matrix.columns, rows.count,
                product.isAdded ? sums : output)
            if product.isAdded { kernels.add(output, sums, rows.count) }
        }
    }

    private func product(
        _ product: Product, _ rows: Range<Int>, _ input: UnsafeMutablePointer<Float>, _ count: Int,
        _ tile: UnsafeMutablePointer<Float>
    ) {
        let matrix = product.matrix
        expand(matrix, rows.lowerBound, rows.count, tile)
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(count), Int32(rows.count),
            Int32(matrix.columns), 1, input, Int32(matrix.columns), tile, Int32(matrix.columns),
            product.isAdded ? 1 : 0, product.output[rows.lowerBound], Int32(matrix.rows))
    }

    private func expand(
        _ matrix: Matrix, _ row: Int, _ count: Int, _ output: UnsafeMutablePointer<Float>
    ) {
        kernels.rows_expand(
            Int32(matrix.type.rawValue), matrix.row(row), matrix.rowBytes, matrix.columns, count,
            output)
    }

    private func normalise(_ norm: Matrix, _ count: Int) {
        let width = shape.width
        share(count, cost: width) { rows in
            for row in rows {
                kernels.rms_normalise(
                    stream[row * width], norm.floats, shape.epsilon, width, normed[row * width])
            }
        }
    }

    /// A loop whose every step is about `cost` sums and products: shared where that is worth it.
    private func share(_ count: Int, cost: Int, _ body: (Range<Int>) -> Void) {
        let isWorthwhile = count * cost > 50_000
        let grain = isWorthwhile ? max(1, count / (pool.threads * 4)) : count
        pool.share(count, grain: grain) { range, _ in body(range) }
    }
}

// MARK: Attention

extension Llama {
    /// How many queries of a head are looked at together.
    fileprivate static let queriesMax = 64

    private func setTurns(_ row: Int, position: Int) {
        let turns = turns[row * shape.ropeWidth]
        for (pair, frequency) in frequencies.enumerated() {
            let (cosine, sine) = cosineAndSine(Double(position) * frequency)
            turns[2 * pair] = Float(cosine)
            turns[2 * pair + 1] = Float(sine)
        }
    }

    /// Turns queries and keys by their positions, and keeps keys and values.
    private func remember(layer: Int, _ position: Int, _ count: Int) {
        let width = shape.headWidth
        share(count, cost: shape.queryWidth * 4) { rows in
            for row in rows {
                let turns = turns[row * shape.ropeWidth]
                for head in 0..<shape.heads {
                    kernels.rotate(
                        queries[row * shape.queryWidth + head * width], turns, shape.ropeWidth / 2)
                }
                for head in 0..<shape.keyHeads {
                    let key = keys[row * shape.keyWidth + head * width]
                    let value = values[row * shape.keyWidth + head * width]
                    let place = (position + row) * width
                    kernels.rotate(key, turns, shape.ropeWidth / 2)
                    kernels.halves_from_floats(
                        key, width, cache.keys(layer: layer, head: head) + place)
                    kernels.halves_from_floats(
                        value, width, cache.values(layer: layer, head: head) + place)
                }
            }
        }
    }

    private var scale: Float { 1 / Float(shape.headWidth).squareRoot() }

    private func attendOneByOne(layer: Int, _ position: Int, _ count: Int) {
        let width = shape.headWidth
        let isWorthwhile = (position + count) * count * shape.queryWidth > 50_000
        pool.share(count * shape.heads, grain: isWorthwhile ? 1 : count * shape.heads) {
            range, worker in
            for item in range {
                let (row, head) = item.quotientAndRemainder(dividingBy: shape.heads)
                let keyHead = head / (shape.heads / shape.keyHeads)
                kernels.attend(
                    queries[row * shape.queryWidth + head * width],
                    cache.keys(layer: layer, head: keyHead),
                    cache.values(layer: layer, head: keyHead), position + row + 1, width, scale,
                    scratch.scores(worker), attended[row * shape.queryWidth + head * width])
            }
        }
    }

    private func attendTogether(layer: Int, _ position: Int, _ count: Int) {
        let blocks = (count + Self.queriesMax - 1) / Self.queriesMax
        pool.share(blocks * shape.heads, grain: 1) { range, worker in
            for item in range {
                let (block, head) = item.quotientAndRemainder(dividingBy: shape.heads)
                let first = block * Self.queriesMax
                attend(
                    layer: layer, head: head, rows: first..<min(count, first + Self.queriesMax),
                    position, worker)
            }
        }
    }

    /// Attention for a block of queries: two matrix products with a softmax between them.
    private func attend(layer: Int, head: Int, rows: Range<Int>, _ position: Int, _ worker: Int) {
        let width = shape.headWidth
        let keyHead = head / (shape.heads / shape.keyHeads)
        let seen = position + rows.upperBound
        let scores = scratch.scores(worker)
        let wide = scratch.tile(worker)
        let place = rows.lowerBound * shape.queryWidth + head * width

        kernels.floats_from_halves(cache.keys(layer: layer, head: keyHead), seen * width, wide)
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows.count), Int32(seen), Int32(width),
            1, queries[place], Int32(shape.queryWidth), wide, Int32(width), 0, scores, Int32(seen))
        for row in rows {
            // A token does not see those after it.
            let own = scores + (row - rows.lowerBound) * seen
            let visible = position + row + 1
            kernels.softmax(own, scale, visible)
            (own + visible).update(repeating: 0, count: seen - visible)
        }
        kernels.floats_from_halves(cache.values(layer: layer, head: keyHead), seen * width, wide)
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(rows.count), Int32(width),
            Int32(seen), 1, scores, Int32(seen), wide, Int32(width), 0, attended[place],
            Int32(shape.queryWidth))
    }
}

/// What each thread needs for itself. Takes memory only where it was written to.
private struct Scratch {
    /// About as much as the processor keeps close, beside the rows that it is multiplied with.
    private static let tileFloats = 1 << 18

    private let tiles: FloatBuffer
    private let scores: FloatBuffer
    private let tileSize: Int
    private let scoresSize: Int

    /// How many rows of this length are widened at a time.
    static func tileRows(_ columns: Int) -> Int { max(4, tileFloats / columns) }

    init(_ shape: LlamaShape, positions: Int, threads: Int) {
        tileSize = max(
            Self.tileFloats, positions * shape.headWidth,
            4 * max(shape.feedForwardWidth, shape.width, shape.queryWidth))
        scoresSize = positions * Llama.queriesMax
        tiles = FloatBuffer(tileSize * threads)
        scores = FloatBuffer(scoresSize * threads)
    }

    func tile(_ worker: Int) -> UnsafeMutablePointer<Float> { tiles[worker * tileSize] }
    func scores(_ worker: Int) -> UnsafeMutablePointer<Float> { scores[worker * scoresSize] }
}
