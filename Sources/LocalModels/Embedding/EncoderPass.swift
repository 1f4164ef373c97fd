import CKernels

/// One way of some texts through the encoder. The texts lie one after the other, without padding;
/// only attention sees where one ends.
///
/// The threads take blocks of rows. Nothing but attention looks at the rows of other blocks, and it
/// reads only their keys and values, so the threads meet once a layer: what is projected has two
/// places that take turns, and a block writes that of the next layer while others still read.
struct EncoderPass: ~Copyable {
    /// Few enough that what a block computes stays in the cache of its core.
    static let blockRowsMax = 64

    private let encoder: BertEncoder
    private let packed: PackedEncoder
    private let tokens: [Int32]
    /// Where each text begins, and after the last one where it ends.
    private let bounds: [Int]
    /// Where in each text its second part begins; empty where none has one.
    private let seconds: [Int]
    private let blockRows: Int

    /// Queries, keys and values of a row lie side by side. Sixteen numbers more keep rows from
    /// falling into the same few lines of the cache.
    private let projectedStride: Int
    private let hidden: UnsafeMutablePointer<Float>
    private let projected: [UnsafeMutablePointer<Float>]
    private let scratches: [Scratch]
    private let memory: UnsafeMutablePointer<Float>

    /// What one thread needs for a block.
    private struct Scratch {
        /// As wide as `hidden`, and as what the feed-forward part widens it to.
        let narrow: UnsafeMutablePointer<Float>
        let wide: UnsafeMutablePointer<Float>
        /// Rows in the format of the matrix that they are multiplied with.
        let formatted: UnsafeMutablePointer<Float>
        let attention: UnsafeMutablePointer<Float>
    }

    /// Each text has at least one token, at most `encoder.positions`, and all are in the vocabulary.
    /// Texts with a second part want an encoder of two `kinds`.
    init(
        _ encoder: BertEncoder, _ packed: PackedEncoder, _ texts: [[Int32]], seconds: [Int] = [],
        threads: Int
    ) {
        self.seconds = seconds
        self.encoder = encoder
        self.packed = packed
        tokens = Array(texts.joined())
        var bounds = [0]
        for text in texts { bounds.append(bounds[bounds.count - 1] + text.count) }
        self.bounds = bounds
        let rows = tokens.count
        // As many blocks for each thread, so that none waits long for another.
        let rounds = max(
            1, (rows + Self.blockRowsMax * threads - 1) / (Self.blockRowsMax * threads))
        blockRows = max(1, (rows + rounds * threads - 1) / (rounds * threads))

        // Everything begins with a line of the cache.
        func lines(_ count: Int) -> Int { (count + 15) / 16 * 16 }
        projectedStride = lines(3 * encoder.width) + 16
        let sizes = [
            lines(blockRows * encoder.width), lines(blockRows * encoder.innerWidth),
            blockRows * lines((packed.rowBytesMax + 3) / MemoryLayout<Float>.stride),
            lines(
                packed.kernels.pointee.attend_scratch(
                    texts.map(\.count).max() ?? 0, encoder.headWidth)),
        ]
        let own = sizes.reduce(0, +)
        let (hiddenCount, projectedCount) = (lines(rows * encoder.width), rows * projectedStride)
        let count = hiddenCount + 2 * projectedCount + threads * own
        memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * MemoryLayout<Float>.stride, alignment: 64
        ).bindMemory(to: Float.self, capacity: count)
        hidden = memory
        projected = [memory + hiddenCount, memory + hiddenCount + projectedCount]
        let first = memory + hiddenCount + 2 * projectedCount
        scratches = (0..<threads).map { thread in
            let start = first + thread * own
            return Scratch(
                narrow: start, wide: start + sizes[0], formatted: start + sizes[0] + sizes[1],
                attention: start + sizes[0] + sizes[1] + sizes[2])
        }
    }

    deinit { memory.deallocate() }

    /// One vector for each text. Nil where the weights gave one without a direction, as those of a
    /// damaged file may.
    func run(on pool: WorkerPool) -> [Float]? {
        encode(on: pool)
        return means()
    }

    /// The vector of each text's first token, as it leaves the last layer.
    func firsts(on pool: WorkerPool) -> [Float] {
        encode(on: pool)
        return bounds.dropLast().flatMap { start in
            UnsafeBufferPointer(start: hidden + start * encoder.width, count: encoder.width)
        }
    }

    private func encode(on pool: WorkerPool) {
        pool.share(tokens.count, grain: blockRows) { rows, worker in
            embed(rows)
            project(rows, for: 0, scratches[worker])
        }
        for layer in encoder.layers.indices {
            pool.share(tokens.count, grain: blockRows) { rows, worker in
                let own = scratches[worker]
                attend(rows, layer, own)
                feedForward(rows, layer, own)
                if layer + 1 < encoder.layers.count { project(rows, for: layer + 1, own) }
            }
        }
    }

    /// hidden = norm(word + place + type)
    private func embed(_ rows: Range<Int>) {
        let (width, kernels) = (encoder.width, packed.kernels.pointee)
        var text = bounds.lastIndex { $0 <= rows.lowerBound } ?? 0
        for row in rows {
            while bounds[text + 1] <= row { text += 1 }
            let out = hidden + row * width
            out.update(from: encoder.words + Int(tokens[row]) * width, count: width)
            let isSecond = !seconds.isEmpty && row - bounds[text] >= seconds[text]
            kernels.add(out, encoder.types + (isSecond ? width : 0), width)
            kernels.add_normalise(
                out, encoder.places + (row - bounds[text]) * width, encoder.norm.weight,
                encoder.norm.shift, encoder.epsilon, 1, width)
        }
    }

    private func project(_ rows: Range<Int>, for layer: Int, _ scratch: Scratch) {
        packed.layers[layer].projected.multiply(
            hidden + rows.lowerBound * encoder.width, rows.count, scratch: scratch.formatted,
            projected[layer % 2] + rows.lowerBound * projectedStride, stride: projectedStride)
    }

    /// hidden = norm(hidden + attention), for the part of each text that is in the block.
    private func attend(_ rows: Range<Int>, _ layer: Int, _ scratch: Scratch) {
        let (width, kernels) = (encoder.width, packed.kernels.pointee)
        // The output of the heads goes where nothing wide is needed now.
        let heads = scratch.wide
        let first = bounds.lastIndex { $0 <= rows.lowerBound } ?? 0
        for text in first..<bounds.count - 1 where bounds[text] < rows.upperBound {
            let whole = bounds[text]..<bounds[text + 1]
            let asked = whole.clamped(to: rows)
            let queries = projected[layer % 2] + asked.lowerBound * projectedStride
            let keys = projected[layer % 2] + whole.lowerBound * projectedStride + width
            for head in 0..<encoder.heads {
                let column = head * encoder.headWidth
                kernels.attend(
                    queries + column, keys + column, keys + width + column, projectedStride,
                    asked.count, whole.count, encoder.headWidth,
                    1 / Float(encoder.headWidth).squareRoot(), scratch.attention,
                    heads + (asked.lowerBound - rows.lowerBound) * width + column, width)
            }
        }
        packed.layers[layer].attended.multiply(
            heads, rows.count, scratch: scratch.formatted, scratch.narrow, stride: width)
        let norm = encoder.layers[layer].attendedNorm
        kernels.add_normalise(
            hidden + rows.lowerBound * width, scratch.narrow, norm.weight, norm.shift,
            encoder.epsilon, rows.count, width)
    }

    /// hidden = norm(hidden + narrowed(gelu(widened(hidden))))
    private func feedForward(_ rows: Range<Int>, _ layer: Int, _ scratch: Scratch) {
        let (width, kernels) = (encoder.width, packed.kernels.pointee)
        let own = hidden + rows.lowerBound * width
        packed.layers[layer].widened.multiply(
            own, rows.count, scratch: scratch.formatted, scratch.wide, stride: encoder.innerWidth,
            activates: true)
        packed.layers[layer].narrowed.multiply(
            scratch.wide, rows.count, scratch: scratch.formatted, scratch.narrow, stride: width)
        let norm = encoder.layers[layer].norm
        kernels.add_normalise(
            own, scratch.narrow, norm.weight, norm.shift, encoder.epsilon, rows.count, width)
    }

    private func means() -> [Float]? {
        let (texts, width) = (bounds.count - 1, encoder.width)
        var isSound = true
        let vectors = [Float](unsafeUninitializedCapacity: texts * width) { vectors, count in
            for (text, start) in zip(0..<texts, bounds) {
                guard let out = vectors.baseAddress.map({ $0 + text * width }) else { break }
                let length = packed.kernels.pointee.pool(
                    hidden + start * width, bounds[text + 1] - start, width, out)
                isSound = isSound && length > 0 && length.isFinite
            }
            count = texts * width
        }
        return isSound ? vectors : nil
    }
}
