import Core

/// Writes a document block by block: text is cleaned, blocks stand a blank line apart, rows and items
/// of one table or list follow one another.
struct TextBuilder {
    private(set) var scalars: [Unicode.Scalar] = []
    private(set) var blocks: [ExtractedText.Block] = []
    private var pages: [ExtractedText.Page] = []
    var title: String?
    private let budget: ReadingBudget
    private var additions = 0
    private var isOpen = false

    init(_ budget: ReadingBudget) { self.budget = budget }

    mutating func heading(_ text: String, level: Int) throws {
        try add(.heading(level: Self.level(level)), TextHygiene.cleanLine(text), joins: false)
    }

    /// Files say any number.
    private static func level(_ level: Int) -> Int { min(max(1, level), levelMax) }
    private static let levelMax = 99

    mutating func paragraph(_ text: String) throws { try add(.paragraph, text, joins: false) }

    mutating func code(_ text: String) throws { try add(.code, text, joins: false) }

    mutating func item(_ text: String, depth: Int = 0) throws {
        let indent = String(repeating: "  ", count: min(max(0, depth), 8))
        let line = TextHygiene.cleanLine(text).trimmed()
        guard !line.isEmpty else { return }
        try add(.list, "\(indent)- \(line)", joins: true)
    }

    /// A line of a table. Cells are kept on it; a row without a word is left out.
    mutating func row(_ cells: [String]) throws {
        var line: [Unicode.Scalar] = []
        var isEmpty = true
        for (place, cell) in cells.enumerated() {
            if place > 0 { line += " | ".unicodeScalars }
            let words = TextHygiene.words(cell)
            isEmpty = isEmpty && words.isEmpty
            line += words
            // A few bytes of a file can stand for cells without end.
            guard scalars.count + line.count <= budget.limits.textMax else { throw budget.tooLong }
        }
        if !isEmpty { try add(.table, line[...], joins: true) }
    }

    /// Ends a table or list: what follows is another.
    mutating func separate() { isOpen = false }

    /// A text with its blocks, its headings so many levels further down.
    mutating func append(_ text: ExtractedText, under level: Int) throws {
        gap(2)
        try check(text.scalars.count)
        let offset = scalars.count
        scalars += text.scalars
        for block in text.blocks {
            var kind = block.kind
            if case .heading(let own) = kind {
                kind = .heading(level: Self.level(own) + min(max(0, level), Self.levelMax))
            }
            let range = block.range.lowerBound + offset..<block.range.upperBound + offset
            blocks.append(.init(kind: kind, range: range))
        }
        if !text.pages.isEmpty {
            pages += text.pages.map { .init(start: $0.start + offset, name: $0.name) }
            pages.append(.init(start: scalars.count, name: nil))
        }
        isOpen = false
    }

    func finish() -> ExtractedText {
        let title = title.map { TextHygiene.cleanLine($0).trimmed() } ?? ""
        return ExtractedText(
            title: title.isEmpty ? nil : ExtractedText.Block.headingText(title), scalars: scalars,
            blocks: blocks, pages: pages)
    }

    private mutating func add(
        _ kind: ExtractedText.Block.Kind, _ text: String, joins: Bool
    ) throws {
        try add(kind, TextHygiene.clean(text)[...], joins: joins)
    }

    private mutating func add(
        _ kind: ExtractedText.Block.Kind, _ clean: ArraySlice<Unicode.Scalar>, joins: Bool
    ) throws {
        var clean = clean
        while let last = clean.last, last.properties.isWhitespace { clean.removeLast() }
        // The indent of a list's item and of code says something.
        let keepsIndent = kind == .list || kind == .code
        while let first = clean.first,
            first == "\n" || !keepsIndent && first.properties.isWhitespace
        {
            clean.removeFirst()
        }
        guard !clean.isEmpty else { return }
        try check(clean.count)
        let continues = joins && isOpen && blocks.last?.kind == kind
        gap(continues ? 1 : 2)
        let start = scalars.count
        scalars += clean
        if continues, let last = blocks.last {
            blocks[blocks.count - 1].range = last.range.lowerBound..<scalars.count
        } else {
            blocks.append(.init(kind: kind, range: start..<scalars.count))
        }
        isOpen = joins
    }

    private mutating func gap(_ lines: Int) {
        if !scalars.isEmpty { scalars += repeatElement("\n", count: lines) }
    }

    /// Throws `tooLarge` where so much more has no room, and `timeout`.
    mutating func check(_ count: Int) throws {
        additions += 1
        if additions.isMultiple(of: 1024) { try budget.checkTime() }
        guard scalars.count + count <= budget.limits.textMax else { throw budget.tooLong }
    }
}
