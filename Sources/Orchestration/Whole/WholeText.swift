import Core

/// The texts of some documents, cut into blocks that are counted once: paragraphs, and what is left
/// of those that are longer than a block may be.
struct WholeText: Sendable {
    struct Block: Sendable {
        /// A place among the documents.
        let document: Int
        /// In Unicode scalars of the document's text.
        let start: Int, end: Int
        let text: String
        var tokens = 0
    }

    let documents: [DocumentSummary]
    var blocks: [Block]

    // A block is what is never cut further: some sentences.
    static let blockScalarsMax = 1200
    /// A text with more is not read in full at all.
    static let blocksMax = 20_000

    /// Nil where the texts have more than `blocksMax` blocks.
    init?(_ documents: [(document: DocumentSummary, text: String)]) {
        self.documents = documents.map(\.document)
        blocks = []
        for (place, entry) in documents.enumerated() {
            blocks += Self.blocks(of: entry.text, document: place)
            guard blocks.count <= Self.blocksMax else { return nil }
        }
    }

    var tokens: Int { blocks.reduce(0) { $0 + $1.tokens } }

    private static func blocks(of text: String, document: Int) -> [Block] {
        let scalars = Array(text.unicodeScalars)
        var blocks: [Block] = []
        var start = 0
        func add(to end: Int) {
            let piece = String(String.UnicodeScalarView(scalars[start..<end]))
            if piece.contains(where: { !$0.isWhitespace }) {
                blocks.append(Block(document: document, start: start, end: end, text: piece))
            } else if let last = blocks.last, last.end == start,
                end - last.start <= blockScalarsMax
            {
                // Blank lines belong to a block, or part two runs: a run is what stands there.
                blocks[blocks.count - 1] = Block(
                    document: document, start: last.start, end: end, text: last.text + piece)
            }
            start = end
        }
        var place = 0
        var space = 0
        while place < scalars.count {
            let isBreak =
                scalars[place] == "\n" && place + 1 < scalars.count && scalars[place + 1] == "\n"
            if scalars[place].properties.isWhitespace { space = place + 1 }
            place += 1
            if isBreak, place - start > 1 {
                add(to: place)
            } else if place - start >= blockScalarsMax {
                // At a space where there is one, so that no word is cut.
                let end = space > start + blockScalarsMax / 2 ? space : place
                add(to: end)
                place = max(place, start)
            }
        }
        if start < scalars.count { add(to: scalars.count) }
        return blocks
    }

    /// Runs of blocks of one document each, with at most so many tokens; a block that has more is a
    /// run by itself.
    func runs(tokensMax: Int) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var first = 0
        var sum = 0
        for (place, block) in blocks.enumerated() {
            let isOther =
                place > first
                && (blocks[first].document != block.document
                    || blocks[place - 1].end != block.start)
            if place > first, isOther || sum + block.tokens > tokensMax {
                runs.append(first..<place)
                (first, sum) = (place, 0)
            }
            sum += block.tokens
        }
        if first < blocks.count { runs.append(first..<blocks.count) }
        return runs
    }

    func tokens(of run: Range<Int>) -> Int { blocks[run].reduce(0) { $0 + $1.tokens } }

    /// A run as a passage of its document.
    func passage(_ run: Range<Int>, id: Identifier) -> Passage {
        let document = documents[blocks[run.lowerBound].document]
        return Passage(
            id: id, documentID: document.id, documentName: document.name, headings: [],
            text: blocks[run].map(\.text).joined(), start: blocks[run.lowerBound].start,
            end: blocks[run.upperBound - 1].end)
    }
}
