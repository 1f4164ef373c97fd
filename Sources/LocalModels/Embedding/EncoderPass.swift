import CKernels
import COpenBLAS

/// One way of some texts through the encoder. The texts lie one after the other, without padding;
/// only attention sees where one ends.
///
/// The threads take blocks of rows. Nothing but attention looks at the rows of other blocks, and it
/// reads only their keys and values, so the threads meet once a layer: keys and values have two
/// places that take turns, and a block writes those of the next layer while others still read.
struct EncoderPass: ~Copyable {
    /// Large enough to be worth packing a matrix for, small enough for the cache of a core.
    static let blockRowsMax = 128

    private let encoder: BertEncoder
    private let tokens: [Int32]
    /// Where each text begins, and after the last one where it ends.
    private let bounds: [Int]
    private let blockRows: Int
    private let textRowsMax: Int

    private let hidden: UnsafeMutablePointer<Float>
    private let queries: UnsafeMutablePointer<Float>
    private let keys: [UnsafeMutablePointer<Float>]
    private let values: [UnsafeMutablePointer<Float>]
    /// For each thread: what it needs for a block, see `Scratch`.
    private let scratch: UnsafeMutablePointer<Float>
    private let scratchCount: Int
    private let memory: UnsafeMutablePointer<Float>

    /// Each text has at least one token, at most `encoder.positions`, and all are in the vocabulary.
    init(_ encoder: BertEncoder, _ texts: [[Int32]], threads: Int) {
        self.encoder = encoder
        tokens = Array(texts.joined())
        var bounds = [0]
        for text in texts { bounds.append(bounds[bounds.count - 1] + text.count) }
        self.bounds = bounds
        textRowsMax = texts.map(\.count).max() ?? 0
        let rows = tokens.count
        blockRows = min(Self.blockRowsMax, (rows + threads - 1) / threads)

        let size = rows * encoder.width
        scratchCount =
            blockRows * (2 * encoder.width + max(encoder.innerWidth, textRowsMax))
        memory = .allocate(capacity: 6 * size + threads * scratchCount)
        hidden = memory
        queries = memory + size
        keys = [memory + 2 * size, memory + 3 * size]
        values = [memory + 4 * size, memory + 5 * size]
        scratch = memory + 6 * size
    }

    deinit { memory.deallocate() }

    /// One vector for each text. Nil where the weights gave one without a direction, as those of a
    /// damaged file may.
    func run(on pool: WorkerPool) -> [Float]? {
        pool.share(tokens.count, grain: blockRows) { rows, _ in
            embed(rows)
            project(rows, for: 0)
        }
        for layer in encoder.layers.indices {
            pool.share(tokens.count, grain: blockRows) { rows, worker in
                let own = scratch + worker * scratchCount
                attend(rows, layer, own)
                feedForward(rows, encoder.layers[layer], own)
                if layer + 1 < encoder.layers.count { project(rows, for: layer + 1) }
            }
        }
        return means()
    }

    /// hidden = norm(word + place + type)
    private func embed(_ rows: Range<Int>) {
        let width = encoder.width
        var text = bounds.lastIndex { $0 <= rows.lowerBound } ?? 0
        for row in rows {
            while bounds[text + 1] <= row { text += 1 }
            let out = hidden + row * width
            out.update(from: encoder.words + Int(tokens[row]) * width, count: width)
            encoder_add_normalise(
                out, encoder.types, encoder.places + (row - bounds[text]) * width,
                encoder.norm.weight, encoder.norm.shift, encoder.epsilon, 1, width)
        }
    }

    private func project(_ rows: Range<Int>, for layer: Int) {
        let weights = encoder.layers[layer]
        let start = rows.lowerBound * encoder.width
        for (linear, place) in [
            (weights.query, queries), (weights.key, keys[layer % 2]),
            (weights.value, values[layer % 2]),
        ] {
            linear.apply(hidden + start, rows.count, place + start)
            encoder_add_bias(place + start, linear.bias, rows.count, encoder.width)
        }
    }

    /// hidden = norm(hidden + attention), for the part of each text that is in the block.
    private func attend(_ rows: Range<Int>, _ layer: Int, _ scratch: UnsafeMutablePointer<Float>) {
        let width = encoder.width
        let attended = scratch
        let projected = attended + blockRows * width
        let scores = projected + blockRows * width
        let first = bounds.lastIndex { $0 <= rows.lowerBound } ?? 0
        for text in first..<bounds.count - 1 where bounds[text] < rows.upperBound {
            let whole = bounds[text]..<bounds[text + 1]
            attend(
                whole.clamped(to: rows), whole, layer, scores: scores,
                attended + (max(whole.lowerBound, rows.lowerBound) - rows.lowerBound) * width)
        }
        let weights = encoder.layers[layer]
        weights.attended.apply(attended, rows.count, projected)
        encoder_add_normalise(
            hidden + rows.lowerBound * width, weights.attended.bias, projected,
            weights.attendedNorm.weight, weights.attendedNorm.shift, encoder.epsilon, rows.count,
            width)
    }

    /// softmax(queries x keys) x values, head by head.
    private func attend(
        _ rows: Range<Int>, _ text: Range<Int>, _ layer: Int,
        scores: UnsafeMutablePointer<Float>, _ output: UnsafeMutablePointer<Float>
    ) {
        let (width, headWidth) = (encoder.width, encoder.headWidth)
        let scale = 1 / Float(headWidth).squareRoot()
        let (asked, read) = (blasint(rows.count), blasint(text.count))
        for head in 0..<encoder.heads {
            let column = head * headWidth
            let offset = text.lowerBound * width + column
            cblas_sgemm(
                CblasRowMajor, CblasNoTrans, CblasTrans, asked, read, blasint(headWidth), 1,
                queries + rows.lowerBound * width + column, blasint(width),
                keys[layer % 2] + offset, blasint(width), 0, scores, read)
            encoder_softmax(scores, scale, rows.count, text.count)
            cblas_sgemm(
                CblasRowMajor, CblasNoTrans, CblasNoTrans, asked, blasint(headWidth), read, 1,
                scores, read, values[layer % 2] + offset, blasint(width), 0, output + column,
                blasint(width))
        }
    }

    /// hidden = norm(hidden + narrowed(gelu(widened(hidden))))
    private func feedForward(
        _ rows: Range<Int>, _ layer: BertEncoder.Layer, _ scratch: UnsafeMutablePointer<Float>
    ) {
        let own = hidden + rows.lowerBound * encoder.width
        let narrowed = scratch
        let widened = scratch + 2 * blockRows * encoder.width
        layer.widened.apply(own, rows.count, widened)
        encoder_add_bias_gelu(widened, layer.widened.bias, rows.count, encoder.innerWidth)
        layer.narrowed.apply(widened, rows.count, narrowed)
        encoder_add_normalise(
            own, layer.narrowed.bias, narrowed, layer.norm.weight, layer.norm.shift,
            encoder.epsilon, rows.count, encoder.width)
    }

    private func means() -> [Float]? {
        let (texts, width) = (bounds.count - 1, encoder.width)
        var isSound = true
        let vectors = [Float](unsafeUninitializedCapacity: texts * width) { vectors, count in
            for (text, start) in zip(0..<texts, bounds) {
                guard let out = vectors.baseAddress.map({ $0 + text * width }) else { break }
                let length = encoder_pool(
                    hidden + start * width, bounds[text + 1] - start, width, out)
                isSound = isSound && length > 0 && length.isFinite
            }
            count = texts * width
        }
        return isSound ? vectors : nil
    }
}
