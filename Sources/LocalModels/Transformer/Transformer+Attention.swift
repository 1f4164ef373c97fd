import CKernels

extension Transformer {
    /// Adds biases, normalises and turns queries and keys, and keeps keys and values.
    func remember(layer: Int, _ steps: [Step]) {
        var first = 0
        for step in steps {
            let start = first
            share(rows: step.tokens.count, cost: 8 * (shape.queryWidth + shape.keyWidth)) { place in
                remember(layer: layer, step, place: place, row: start + place)
            }
            first += step.tokens.count
        }
    }

    private func remember(layer: Int, _ step: Step, place: Int, row: Int) {
        let weights = weights.layers[layer]
        let (width, positions) = (shape.headWidth, KeyValuePages.positions)
        let query = queries[row * shape.queryWidth]
        let key = keys[row * shape.keyWidth]
        let value = values[row * shape.keyWidth]
        for (vector, bias) in [
            (query, weights.queryBias), (key, weights.keyBias), (value, weights.valueBias),
        ] {
            if let bias { kernels.add(vector, bias.floats, bias.columns) }
        }
        for head in 0..<shape.heads {
            turn(query + head * width, weights.queryNorm, layer: layer, row: row)
        }
        let (page, offset) = (step.position + place).quotientAndRemainder(dividingBy: positions)
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: width) { halves in
            for head in 0..<shape.keyHeads {
                turn(key + head * width, weights.keyNorm, layer: layer, row: row)
                kernels.halves_from_floats(key + head * width, width, halves.baseAddress)
                let kept = pages.keys(step.pages[page], layer: layer, head: head) + offset
                for i in 0..<width { kept[i * positions] = halves[i] }
                kernels.halves_from_floats(
                    value + head * width, width,
                    pages.values(step.pages[page], layer: layer, head: head) + offset * width)
            }
        }
    }

    private func turn(
        _ head: UnsafeMutablePointer<Float>, _ norm: Matrix?, layer: Int, row: Int
    ) {
        if let norm {
            kernels.rms_normalise(head, norm.floats, shape.epsilon, shape.headWidth, head)
        }
        guard let rope = shape.attention[layer].rope else { return }
        let turns = turns[rope][row * shape.ropeWidth]
        switch shape.ropePairing {
        case .adjacent: kernels.rotate(head, turns, shape.ropeWidth / 2)
        case .halves: kernels.rotate_halves(head, turns, shape.ropeWidth / 2)
        }
    }

    /// Some queries of one sequence that meet the same keys.
    private struct Part {
        let step: Int
        let firstRow: Int
        let places: Range<Int>
        let heads: Range<Int>
    }

    /// `attended`, in blocks too.
    func attend(layer: Int, _ steps: [Step], _ places: [PagePlaces]) {
        let parts = parts(steps)
        // The fixed cost of sharing is that of some thousand products.
        let work = steps.reduce(0) { $0 + $1.tokens.count * ($1.position + $1.tokens.count) }
        let isShared = work * shape.queryWidth > 30_000
        pool.share(parts.count, grain: isShared ? 1 : parts.count) { range, worker in
            for part in range {
                attend(
                    layer: layer, parts[part], steps[parts[part].step],
                    places[parts[part].step], worker)
            }
        }
        if !isHeadInBlocks {
            let count = steps.reduce(0) { $0 + $1.tokens.count }
            share(rows: count, cost: shape.queryWidth) {
                attended.quantise(row: $0, isPrecise: precision == .precise)
            }
        }
    }

    /// Whether what one head makes can be put into blocks without the others.
    private var isHeadInBlocks: Bool { shape.headWidth % Activations.block == 0 }

    private func parts(_ steps: [Step]) -> [Part] {
        let group = shape.heads / shape.keyHeads
        let rowsMax = max(1, Int(KERNEL_QUERIES_MAX) / group)
        // All heads that share keys go together, but one long sequence must feed every thread.
        let wanted = 2 * pool.threads
        let isSplit =
            steps.count * shape.keyHeads < wanted
            && steps.allSatisfy {
                $0.tokens.count == 1 && $0.position > 4 * KeyValuePages.positions
            }
        let headsMax = min(group, isSplit ? 1 : Int(KERNEL_QUERIES_MAX))
        var parts: [Part] = []
        var firstRow = 0
        for (number, step) in steps.enumerated() {
            let count = step.tokens.count
            // The last rows see most: the longest parts begin first.
            for start in stride(from: 0, to: count, by: rowsMax).reversed() {
                for keyHead in 0..<shape.keyHeads {
                    let end = (keyHead + 1) * group
                    for head in stride(from: keyHead * group, to: end, by: headsMax) {
                        parts.append(
                            Part(
                                step: number, firstRow: firstRow,
                                places: start..<min(start + rowsMax, count),
                                heads: head..<min(head + headsMax, end)))
                    }
                }
            }
            firstRow += count
        }
        return parts
    }

    private func attend(
        layer: Int, _ part: Part, _ step: Step, _ places: PagePlaces, _ worker: Int
    ) {
        let width = shape.headWidth
        let window = shape.attention[layer].window ?? .max
        let own = scratch.attention(worker)
        var count = 0
        for place in part.places {
            let seen = step.position + place + 1
            let row = (part.firstRow + place) * shape.queryWidth
            for head in part.heads {
                own.queries[count] = UnsafePointer(queries[row + head * width])
                own.out[count] = attended.floats[row + head * width]
                own.firstSeen[count] = Int32(clamping: seen - min(window, seen))
                own.endSeen[count] = Int32(clamping: seen)
                count += 1
            }
        }
        let keyHead = part.heads.lowerBound / (shape.heads / shape.keyHeads)
        places.pages.withUnsafeBufferPointer { pages in
            var attention = kernel_attention(
                queries: own.queries, out: own.out, first_seen: own.firstSeen,
                end_seen: own.endSeen, count: count, pages: pages.baseAddress,
                keys_at: self.pages.offset(layer: layer, head: keyHead),
                values_at: self.pages.valuesOffset(layer: layer, head: keyHead), width: width,
                scale: shape.attentionScale)
            kernels.attend(&attention, scratch.tile(worker))
        }
        guard isHeadInBlocks else { return }
        for place in part.places {
            attended.quantise(
                row: part.firstRow + place,
                columns: part.heads.lowerBound * width..<part.heads.upperBound * width,
                isPrecise: precision == .precise)
        }
    }
}

/// Where the queries of one part are, and their answers.
final class AttentionScratch {
    let queries: UnsafeMutablePointer<UnsafePointer<Float>?>
    let out: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>
    let firstSeen: UnsafeMutablePointer<Int32>
    let endSeen: UnsafeMutablePointer<Int32>

    init() {
        let count = Int(KERNEL_QUERIES_MAX)
        queries = .allocate(capacity: count)
        out = .allocate(capacity: count)
        firstSeen = .allocate(capacity: count)
        endSeen = .allocate(capacity: count)
    }

    deinit {
        queries.deallocate()
        out.deallocate()
        firstSeen.deallocate()
        endSeen.deallocate()
    }
}
