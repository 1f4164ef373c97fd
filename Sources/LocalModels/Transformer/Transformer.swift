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
/// likely each next one is. Keys and values are kept in half precision, in pages.
///
/// Belongs to the lead thread of its pool.
final class Transformer {
    /// How many tokens one `read` takes at most, over all its steps: past 256 the products gain
    /// nothing, and the buffers grow.
    static let tokensMax = 256
    /// For how many of them one call of `logits` says what follows.
    static let logitRowsMax = 32

    private let shape: ModelShape
    private let weights: ModelWeights
    private let pages: KeyValuePages
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

    /// `positions` is the longest that a sequence may get.
    init(
        _ shape: ModelShape, _ weights: ModelWeights, pages: KeyValuePages, positions: Int,
        pool: WorkerPool, kernels: kernel_set = kernel_set_best().pointee
    ) {
        self.shape = shape
        self.weights = weights
        self.pages = pages
        self.pool = pool
        self.kernels = kernels
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
        logits = FloatBuffer(Self.logitRowsMax * weights.output.rows)
        scratch = Scratch(shape, positions: positions, threads: pool.threads)
        // The pool's threads call OpenBLAS side by side; threads of its own would only compete.
        openblas_set_num_threads(1)
    }

    /// Reads up to `tokensMax` tokens, those of each step after those of the step before it. False
    /// when `isCancelled` said so between two layers; then it is as if nothing was read.
    func read(_ steps: [Step], isCancelled: () -> Bool) -> Bool {
        let count = steps.reduce(0) { $0 + $1.tokens.count }
        precondition(count <= Self.tokensMax, "One read takes \(Self.tokensMax) tokens at most.")
        var row = 0
        for step in steps {
            for (place, token) in step.tokens.enumerated() {
                expand(weights.embedding, Int(token), 1, stream[row * shape.width])
                setTurns(row, position: step.position + place)
                row += 1
            }
        }
        for (number, layer) in weights.layers.enumerated() {
            if isCancelled() { return false }

            normalise(layer.attentionNorm, count)
            multiply(
                [
                    Product(layer.query, queries), Product(layer.key, keys),
                    Product(layer.value, values),
                ], normed, count)
            var first = 0
            for step in steps {
                remember(layer: number, step, firstRow: first)
                attend(layer: number, step, firstRow: first)
                first += step.tokens.count
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

    /// What the network makes of tokens of the last `read`, which are named by their place over all
    /// of its steps: for each, one after the other, a logit for every token of the vocabulary. At
    /// most `logitRowsMax`; valid until the next call.
    func logits(rows: [Int]) -> UnsafeBufferPointer<Float> {
        precondition(rows.count <= Self.logitRowsMax, "\(Self.logitRowsMax) rows at most.")
        for (place, row) in rows.enumerated() {
            kernels.rms_normalise(
                stream[row * shape.width], weights.outputNorm.floats, shape.epsilon, shape.width,
                normed[place * shape.width])
        }
        multiply([Product(weights.output, logits)], normed, rows.count)
        return UnsafeBufferPointer(start: logits[0], count: rows.count * weights.output.rows)
    }
}

// MARK: Products

extension Transformer {
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

extension Transformer {
    private func setTurns(_ row: Int, position: Int) {
        let turns = turns[row * shape.ropeWidth]
        for (pair, frequency) in shape.ropeFrequencies[0].enumerated() {
            let (cosine, sine) = cosineAndSine(Double(position) * frequency)
            turns[2 * pair] = Float(cosine)
            turns[2 * pair + 1] = Float(sine)
        }
    }

    /// Turns queries and keys by their positions, and keeps keys and values.
    private func remember(layer: Int, _ step: Step, firstRow: Int) {
        let width = shape.headWidth
        let stride = KeyValuePages.positions
        for place in step.tokens.indices.map({ $0 - step.tokens.startIndex }) {
            let row = firstRow + place
            let turns = turns[row * shape.ropeWidth]
            for head in 0..<shape.heads {
                kernels.rotate(
                    queries[row * shape.queryWidth + head * width], turns, shape.ropeWidth / 2)
            }
            let (page, offset) = (step.position + place).quotientAndRemainder(dividingBy: stride)
            for head in 0..<shape.keyHeads {
                let key = keys[row * shape.keyWidth + head * width]
                let value = values[row * shape.keyWidth + head * width]
                kernels.rotate(key, turns, shape.ropeWidth / 2)
                let halves = scratch.halves
                kernels.halves_from_floats(key, width, halves)
                let kept = pages.keys(step.pages[page], layer: layer, head: head) + offset
                for i in 0..<width { kept[i * stride] = halves[i] }
                kernels.halves_from_floats(
                    value, width,
                    pages.values(step.pages[page], layer: layer, head: head) + offset * width)
            }
        }
    }

    private func attend(layer: Int, _ step: Step, firstRow: Int) {
        pool.share(step.tokens.count * shape.heads, grain: 1) { range, worker in
            for item in range {
                let (place, head) = item.quotientAndRemainder(dividingBy: shape.heads)
                attend(
                    layer: layer, head: head, row: firstRow + place,
                    seen: step.position + place + 1, step.pages, worker)
            }
        }
    }

    private func attend(
        layer: Int, head: Int, row: Int, seen: Int, _ pages: [Int32], _ worker: Int
    ) {
        let width = shape.headWidth
        let stride = KeyValuePages.positions
        let keyHead = head / (shape.heads / shape.keyHeads)
        let query = queries[row * shape.queryWidth + head * width]
        let scores = scratch.scores(worker)
        let wide = scratch.tile(worker)
        let out = attended[row * shape.queryWidth + head * width]
        for first in Swift.stride(from: 0, to: seen, by: stride) {
            let keys = self.pages.keys(pages[first / stride], layer: layer, head: keyHead)
            kernels.floats_from_halves(keys, width * stride, wide)
            for place in 0..<min(stride, seen - first) {
                var sum: Float = 0
                for i in 0..<width { sum += query[i] * wide[i * stride + place] }
                scores[first + place] = sum
            }
        }
        kernels.softmax(scores, shape.attentionScale, seen)
        for i in 0..<width { out[i] = 0 }
        for first in Swift.stride(from: 0, to: seen, by: stride) {
            let values = self.pages.values(pages[first / stride], layer: layer, head: keyHead)
            kernels.floats_from_halves(values, width * stride, wide)
            for place in 0..<min(stride, seen - first) {
                let score = scores[first + place]
                for i in 0..<width { out[i] += score * wide[place * width + i] }
            }
        }
    }
}

/// What each thread needs for itself. Takes memory only where it was written to.
private final class Scratch {
    /// About as much as the processor keeps close, beside the rows that it is multiplied with.
    private static let tileFloats = 1 << 18

    private let tiles: FloatBuffer
    private let scores: FloatBuffer
    let halves: UnsafeMutablePointer<UInt16>
    private let tileSize: Int
    private let scoresSize: Int

    /// How many rows of this length are widened at a time.
    static func tileRows(_ columns: Int) -> Int { max(4, tileFloats / columns) }

    init(_ shape: ModelShape, positions: Int, threads: Int) {
        tileSize = max(
            Self.tileFloats, KeyValuePages.positions * shape.headWidth,
            4 * max(shape.feedForwardWidth, shape.width, shape.queryWidth))
        scoresSize = positions
        halves = .allocate(capacity: shape.headWidth)
        tiles = FloatBuffer(tileSize * threads)
        scores = FloatBuffer(scoresSize * threads)
    }

    deinit { halves.deallocate() }

    func tile(_ worker: Int) -> UnsafeMutablePointer<Float> { tiles[worker * tileSize] }
    func scores(_ worker: Int) -> UnsafeMutablePointer<Float> { scores[worker * scoresSize] }
}
