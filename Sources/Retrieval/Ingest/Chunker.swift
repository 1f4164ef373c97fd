/// Cuts a document into passages where its structure allows: between paragraphs rather than
/// sentences, between sentences rather than words; a list stays with the sentence that leads to it.
struct Chunker: Sendable {
    /// A passage, as a stretch of the extracted text.
    struct Chunk: Equatable, Sendable {
        /// From the title down, and last the page or pages where the document has them.
        let headings: [String]
        /// In scalars of the extracted text.
        let range: Range<Int>
    }

    let tokensMax: Int

    func chunks(of text: ExtractedText) -> [Chunk] {
        var chunks: [Chunk] = []
        var path: [(level: Int, text: String)] = []
        var section: [ExtractedText.Block] = []
        func finishSection() {
            let headings = path.map(\.text)
            for range in passages(of: section, in: text.scalars) {
                let page = text.pageNames(in: range)
                chunks.append(Chunk(headings: headings + (page.map { [$0] } ?? []), range: range))
            }
            section = []
        }
        for (place, block) in text.blocks.enumerated() {
            guard case .heading(let level) = block.kind else {
                section.append(block)
                continue
            }
            finishSection()
            while let last = path.last, last.level >= level { path.removeLast() }
            let heading = ExtractedText.Block.headingText(text.string(block.range))
            // A heading with nothing under it would be found by nobody: it is its own passage.
            if isBare(level, place, text.blocks) {
                section.append(block)
                finishSection()
            }
            if !heading.isEmpty { path.append((level, heading)) }
        }
        finishSection()
        return chunks
    }

    /// Neither text nor a deeper heading follows.
    private func isBare(_ level: Int, _ place: Int, _ blocks: [ExtractedText.Block]) -> Bool {
        guard place + 1 < blocks.count else { return true }
        guard case .heading(let next) = blocks[place + 1].kind else { return false }
        return next <= level
    }

    // MARK: One section

    /// A piece that is never cut, and what it costs to begin a passage with it.
    struct Atom: Equatable {
        var range: Range<Int>
        var tokens: Int
        var breakCost: Double
    }

    /// What a break costs. A passage more costs `passage`: dearer breaks are made only where
    /// the passage would be too long without them.
    private enum Cost {
        static let passage = 10.0
        static let slack = 6.0
        static let block = 0.0
        static let sentence = 4.0
        static let listAfterText = 12.0
        static let blankLine = 15.0
        static let codeLine = 25.0
        static let item = 30.0
        static let continuation = 45.0
        static let fragment = 60.0
        static let introduction = 100.0
    }

    private func passages(
        of section: [ExtractedText.Block], in scalars: [Unicode.Scalar]
    ) -> [Range<Int>] {
        let atoms = section.enumerated().flatMap { place, block in
            self.atoms(of: block, after: place > 0 ? section[place - 1] : nil, in: scalars)
        }
        return cut(atoms)
    }

    /// The cheapest way to cut: each passage at most `tokensMax`, as few and as full as it can be
    /// without paying more for the breaks.
    func cut(_ atoms: [Atom]) -> [Range<Int>] {
        guard !atoms.isEmpty else { return [] }
        var cheapest = [0.0] + Array(repeating: Double.infinity, count: atoms.count)
        var starts = Array(repeating: 0, count: atoms.count + 1)
        for end in 1...atoms.count {
            var tokens = 0
            var start = end - 1
            while start >= 0 {
                tokens += atoms[start].tokens
                if tokens > tokensMax, start < end - 1 { break }
                let slack = 1 - Double(min(tokens, tokensMax)) / Double(tokensMax)
                let cost =
                    cheapest[start] + Cost.passage + Cost.slack * slack * slack
                    + (start > 0 ? atoms[start].breakCost : 0)
                if cost < cheapest[end] {
                    cheapest[end] = cost
                    starts[end] = start
                }
                start -= 1
            }
        }
        var ranges: [Range<Int>] = []
        var end = atoms.count
        while end > 0 {
            let start = starts[end]
            ranges.append(atoms[start].range.lowerBound..<atoms[end - 1].range.upperBound)
            end = start
        }
        return ranges.reversed()
    }

    // MARK: Atoms

    private func atoms(
        of block: ExtractedText.Block, after previous: ExtractedText.Block?,
        in scalars: [Unicode.Scalar]
    ) -> [Atom] {
        let pieces: [(range: Range<Int>, cost: Double)] =
            switch block.kind {
            case .heading, .paragraph: sentences(of: block.range, in: scalars)
            case .list: items(of: block.range, in: scalars)
            case .table: rows(of: block.range, in: scalars)
            case .code: codeLines(of: block.range, in: scalars)
            }
        var atoms = pieces.flatMap { split($0.range, cost: $0.cost, in: scalars) }
        guard !atoms.isEmpty else { return [] }
        atoms[0].breakCost = costBetween(previous, block, in: scalars)
        return atoms
    }

    private func costBetween(
        _ previous: ExtractedText.Block?, _ block: ExtractedText.Block, in scalars: [Unicode.Scalar]
    ) -> Double {
        guard let previous else { return Cost.block }
        if previous.kind.isHeading || introduces(previous.range, in: scalars) {
            return Cost.introduction
        }
        return previous.kind == .paragraph && block.kind != .paragraph
            ? Cost.listAfterText : Cost.block
    }

    /// It ends with a colon, or is one question: what follows belongs to it.
    private func introduces(_ range: Range<Int>, in scalars: [Unicode.Scalar]) -> Bool {
        var end = range.upperBound
        while end > range.lowerBound, "*_\"”’)+ ".unicodeScalars.contains(scalars[end - 1]) {
            end -= 1
        }
        guard end > range.lowerBound else { return false }
        if scalars[end - 1] == ":" || scalars[end - 1] == "：" { return true }
        return scalars[end - 1] == "?" && range.count <= Self.questionMax
    }

    private static let questionMax = 200

    private func sentences(
        of range: Range<Int>, in scalars: [Unicode.Scalar]
    ) -> [(range: Range<Int>, cost: Double)] {
        let ranges = Sentences.ranges(of: scalars, in: range)
        return ranges.enumerated().map { place, range in
            let isLed = place > 0 && introduces(ranges[place - 1], in: scalars)
            return (range, isLed ? Cost.introduction : Cost.sentence)
        }
    }

    private func items(
        of range: Range<Int>, in scalars: [Unicode.Scalar]
    ) -> [(range: Range<Int>, cost: Double)] {
        let lines = lines(of: range, in: scalars)
        var items: [(range: Range<Int>, cost: Double)] = []
        for line in lines {
            let isItem = Line.markerLength(of: String(scalars[line].prefix(80)).trimmed()) != nil
            if isItem || items.isEmpty {
                items.append((line, Cost.item))
            } else {
                items[items.count - 1].range =
                    items[items.count - 1].range.lowerBound..<line.upperBound
            }
        }
        return items
    }

    private func rows(
        of range: Range<Int>, in scalars: [Unicode.Scalar]
    ) -> [(range: Range<Int>, cost: Double)] {
        // The first row names the columns, and Markdown rules a line below it.
        lines(of: range, in: scalars).enumerated().map { place, line in
            (line, place <= 2 ? Cost.introduction : Cost.item)
        }
    }

    private func codeLines(
        of range: Range<Int>, in scalars: [Unicode.Scalar]
    ) -> [(range: Range<Int>, cost: Double)] {
        var end = range.lowerBound
        return lines(of: range, in: scalars).map { line in
            defer { end = line.upperBound }
            let isAfterBlank = scalars[end..<line.lowerBound].count { $0 == "\n" } > 1
            return (line, isAfterBlank ? Cost.blankLine : Cost.codeLine)
        }
    }

    /// The lines that are not blank.
    private func lines(of range: Range<Int>, in scalars: [Unicode.Scalar]) -> [Range<Int>] {
        scalars[range].split(separator: "\n").map(\.indices).filter { line in
            scalars[line].contains { !$0.properties.isWhitespace }
        }
    }

    // MARK: Too long for one passage

    /// The piece itself, or where it does not fit: its sentences, its clauses, its words.
    private func split(
        _ range: Range<Int>, cost: Double, in scalars: [Unicode.Scalar]
    ) -> [Atom] {
        let tokens = TokenEstimate.count(scalars[range])
        if tokens <= tokensMax {
            return [Atom(range: range, tokens: tokens, breakCost: cost)]
        }
        let sentences = Sentences.ranges(of: scalars, in: range)
        if sentences.count > 1 {
            return sentences.enumerated().flatMap { place, sentence in
                split(sentence, cost: place == 0 ? cost : Cost.continuation, in: scalars)
            }
        }
        return fragments(of: range, in: scalars).enumerated().map { place, fragment in
            Atom(
                range: fragment, tokens: TokenEstimate.count(scalars[fragment]),
                breakCost: place == 0 ? cost : Cost.fragment)
        }
    }

    /// Pieces of an endless sentence, each well under the limit: to the last line end, comma or
    /// space where there is one, else simply so many characters.
    private func fragments(of range: Range<Int>, in scalars: [Unicode.Scalar]) -> [Range<Int>] {
        // No token is shorter than a character, so this many always fit.
        let lengthMax = max(16, tokensMax)
        var result: [Range<Int>] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let limit = min(start + lengthMax, range.upperBound)
            var end = limit
            if limit < range.upperBound {
                let window = scalars[start + lengthMax / 2..<limit]
                let place =
                    window.lastIndex(of: "\n")
                    ?? window.lastIndex { ",;:，、；".unicodeScalars.contains($0) }
                    ?? window.lastIndex { $0.properties.isWhitespace }
                end = place.map { $0 + 1 } ?? limit
            }
            var fragment = start..<end
            while let last = fragment.last, scalars[last].properties.isWhitespace {
                fragment = fragment.lowerBound..<last
            }
            while let first = fragment.first, scalars[first].properties.isWhitespace {
                fragment = first + 1..<fragment.upperBound
            }
            if !fragment.isEmpty { result.append(fragment) }
            start = end
        }
        return result
    }
}
