import CKernels
import COpenBLAS

extension Transformer {
    /// From this many rows of input on, widening weights that are floats once for all of them and
    /// one matrix product are faster than a dot product for each.
    private static let productRowsMin = 4

    /// Up to how many rows of input each comes out as it would alone, to the last bit.
    static func rowsAlikeMax(_ weights: ModelWeights) -> Int {
        PackedWeights.isWhole(weights) ? tokensMax : productRowsMin - 1
    }

    /// A few parts for each thread even out cores that are busy with something else.
    private static let partsPerThread = 4

    /// `output = input x matrix`, row after row.
    struct Product {
        let operand: Operand
        let output: UnsafeMutablePointer<Float>
        let adds: Bool
        /// Whether what 8 bits of the input leave over is multiplied too.
        let isPrecise: Bool
        /// How far the rows of the output are apart, where that is not as long as they are.
        var stride: Int?

        init(
            _ operand: Operand, _ output: UnsafeMutablePointer<Float>, adds: Bool = false,
            isPrecise: Bool = false
        ) {
            self.operand = operand
            self.output = output
            self.adds = adds
            self.isPrecise = isPrecise
        }
    }

    /// Multiplies `count` rows of one input with several matrices in one shared loop over the panels
    /// of all of them.
    func multiply(_ products: [Product], _ input: Activations, _ count: Int) {
        let panels = products.reduce(0) { $0 + $1.operand.panels }
        pool.share(panels, grain: grain(panels)) { range, worker in
            var start = 0
            for product in products {
                let end = start + product.operand.panels
                let own = range.clamped(to: start..<end)
                if !own.isEmpty {
                    multiply(
                        product, panels: own.lowerBound - start..<own.upperBound - start, input,
                        count, worker)
                }
                start = end
                if start >= range.upperBound { break }
            }
        }
    }

    private var activate: ((UnsafeMutablePointer<Float>?, UnsafePointer<Float>?, Int) -> Void)? {
        switch shape.activation {
        case .silu: kernels.silu_multiply
        case .gelu: kernels.gelu_multiply
        }
    }

    /// `gated = activation(normed x gate) * (normed x up)`, in blocks; and in floats where those are
    /// what is read next.
    func multiplyGated(_ layer: PackedWeights.Layer, _ count: Int) {
        if [layer.gate, layer.up, layer.down].allSatisfy({ $0.packed != nil }) {
            multiplyGatedInBlocks(layer.gate, layer.up, count)
        } else {
            multiplyGatedInFloats(layer.gate, layer.up, count)
        }
    }

    /// Some columns at a time, which are in blocks before they leave the processor.
    private func multiplyGatedInBlocks(_ gate: Operand, _ up: Operand, _ count: Int) {
        // Two panels are the columns of one block.
        let columns = min(
            Scratch.gatedColumns, 2 * Int(KERNEL_PANEL) * grain((gate.panels + 1) / 2))
        let chunks = (shape.feedForwardWidth + columns - 1) / columns
        pool.share(chunks, grain: 1) { range, worker in
            let gates = scratch.gated(worker, columns: gate.columns)
            let ups = gates + count * columns
            for chunk in range {
                let own = chunk * columns..<min((chunk + 1) * columns, shape.feedForwardWidth)
                let panels =
                    own.lowerBound
                    / Int(KERNEL_PANEL)..<min(
                        (chunk + 1) * columns / Int(KERNEL_PANEL), gate.panels)
                for (operand, output) in [(gate, gates), (up, ups)] {
                    // A product begins at its first panel's place in a row.
                    var product = Product(operand, output - own.lowerBound)
                    product.stride = columns
                    multiply(product, panels: panels, normed, count, worker)
                }
                for row in 0..<count {
                    activate?(gates + row * columns, ups + row * columns, own.count)
                    gated.quantise(
                        row: row, columns: own, of: gates + row * columns,
                        isPrecise: precision == .precise)
                }
            }
        }
    }

    private func multiplyGatedInFloats(_ gate: Operand, _ up: Operand, _ count: Int) {
        let width = shape.feedForwardWidth
        let activate = activate
        // Two panels are the columns of one block.
        let pairs = (gate.panels + 1) / 2
        pool.share(pairs, grain: grain(pairs)) { range, worker in
            let panels = 2 * range.lowerBound..<min(2 * range.upperBound, gate.panels)
            let columns =
                panels.lowerBound
                * Int(KERNEL_PANEL)..<min(
                    panels.upperBound * Int(KERNEL_PANEL), width)
            multiply(Product(gate, gated.floats[0]), panels: panels, normed, count, worker)
            multiply(Product(up, self.up[0]), panels: panels, normed, count, worker)
            for row in 0..<count {
                let start = row * width + columns.lowerBound
                activate?(gated.floats[start], self.up[start], columns.count)
                gated.quantise(
                    row: row, columns: columns, isPrecise: precision == .precise)
            }
        }
    }

    /// Adds `input x matrix` to the stream, through a norm where there is one.
    func add(_ operand: Operand, _ input: Activations, _ count: Int, after norm: Matrix?) {
        guard let norm else {
            return multiply([Product(operand, stream[0], adds: true)], input, count)
        }
        multiply([Product(operand, added[0])], input, count)
        let width = shape.width
        share(rows: count, cost: 2 * width) { row in
            kernels.rms_normalise(
                added[row * width], norm.floats, shape.epsilon, width, normed.floats[row * width])
            kernels.add(stream[row * width], normed.floats[row * width], width)
        }
    }

    /// `normed = norm(stream)`, and in blocks.
    func normalise(_ norm: Matrix, _ count: Int, isPrecise: Bool = false) {
        let width = shape.width
        share(rows: count, cost: 4 * width) { row in
            kernels.rms_normalise(
                stream[row * width], norm.floats, shape.epsilon, width, normed.floats[row * width])
            normed.quantise(row: row, isPrecise: isPrecise || precision == .precise)
        }
    }

    /// A loop over rows that take about `cost` steps each: shared where that is worth it.
    func share(rows: Int, cost: Int, _ body: (Int) -> Void) {
        guard rows * cost > 20_000 else { return (0..<rows).forEach(body) }
        pool.share(rows, grain: grain(rows)) { range, _ in range.forEach(body) }
    }

    private func grain(_ count: Int) -> Int {
        let parts = pool.threads * Self.partsPerThread
        return pool.threads == 1 ? count : max(1, (count + parts - 1) / parts)
    }

    private func multiply(
        _ product: Product, panels: Range<Int>, _ input: Activations, _ count: Int, _ worker: Int
    ) {
        let operand = product.operand
        if var packed = operand.packed {
            var rows = input.rows
            kernels.product(
                &packed, panels.lowerBound, panels.upperBound, &rows, count, scratch.tile(worker),
                product.output, product.stride ?? operand.rows, product.adds)
            if precision == .precise || product.isPrecise, var rest = input.restRows {
                kernels.product(
                    &packed, panels.lowerBound, panels.upperBound, &rest, count,
                    scratch.tile(worker), product.output, product.stride ?? operand.rows, true)
            }
            return
        }
        let rows =
            panels.lowerBound
            * Int(KERNEL_PANEL)..<min(
                panels.upperBound * Int(KERNEL_PANEL), operand.rows)
        if count < Self.productRowsMin {
            dots(product, rows, input.floats[0], count, scratch.tile(worker))
        } else {
            let step = Scratch.tileRows(operand.columns)
            for first in stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
                widened(
                    product, first..<min(first + step, rows.upperBound), input.floats[0], count,
                    scratch.tile(worker))
            }
        }
    }

    private func dots(
        _ product: Product, _ rows: Range<Int>, _ input: UnsafeMutablePointer<Float>, _ count: Int,
        _ sums: UnsafeMutablePointer<Float>
    ) {
        let matrix = product.operand.matrix
        for row in 0..<count {
            let output = product.output + row * matrix.rows + rows.lowerBound
            kernels.rows_dot(
                Int32(matrix.type.rawValue), matrix.row(rows.lowerBound), matrix.rowBytes,
                input + row * matrix.columns, matrix.columns, rows.count,
                product.adds ? sums : output)
            if product.adds { kernels.add(output, sums, rows.count) }
        }
    }

    private func widened(
        _ product: Product, _ rows: Range<Int>, _ input: UnsafeMutablePointer<Float>, _ count: Int,
        _ tile: UnsafeMutablePointer<Float>
    ) {
        let matrix = product.operand.matrix
        for row in rows {
            kernel_expand_row(
                Int32(matrix.type.rawValue), matrix.row(row), matrix.columns,
                tile + (row - rows.lowerBound) * matrix.columns)
        }
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(count), Int32(rows.count),
            Int32(matrix.columns), 1, input, Int32(matrix.columns), tile, Int32(matrix.columns),
            product.adds ? 1 : 0, product.output + rows.lowerBound, Int32(matrix.rows))
    }
}
