/// Finds the blocks of plain text and Markdown, line by line. Markdown says what a heading is; in
/// plain text it is guessed from the lines around it.
struct BlockReader {
    enum Dialect { case plain, markdown }

    private let scalars: [Unicode.Scalar]
    private let dialect: Dialect
    private let lines: [Line]
    private var next = 0
    private var title: String?
    private var blocks: [ExtractedText.Block] = []

    init(_ text: [Unicode.Scalar], dialect: Dialect) {
        scalars = dialect == .markdown ? MarkdownComments.removed(from: text) : text
        self.dialect = dialect
        lines = Line.lines(of: scalars)
    }

    func read() -> ExtractedText {
        var reader = self
        if dialect == .markdown { reader.skipFrontMatter() }
        while reader.next < lines.count { reader.readBlock() }
        return ExtractedText(
            title: reader.title ?? reader.firstHeading, scalars: scalars, blocks: reader.blocks)
    }

    private mutating func readBlock() {
        let line = lines[next]
        if line.isBlank || (line.isRule && !isUnderlined(next)) {
            next += 1
        } else if let fence = line.fence {
            readFence(fence)
        } else if let level = headingLevel(at: next) {
            readHeading(level)
        } else if line.isDrawing {
            readRun(.code) { $0.isDrawing }
        } else if isTable(at: next) {
            readRun(.table) { $0.isTableRow }
        } else if line.markerLength != nil {
            readList()
        } else if dialect == .markdown, line.indent >= 4, isAfterBlank(next) {
            readRun(.code) { $0.indent >= 4 }
        } else {
            readParagraph()
        }
    }

    private mutating func add(_ kind: ExtractedText.Block.Kind, _ first: Int, _ last: Int) {
        let lower = kind == .code ? lines[first].range.lowerBound : lines[first].content.lowerBound
        let range = lower..<lines[last].content.upperBound
        if !range.isEmpty { blocks.append(.init(kind: kind, range: range)) }
    }

    private mutating func readRun(
        _ kind: ExtractedText.Block.Kind, while belongs: (Line) -> Bool
    ) {
        let first = next
        next += 1
        while next < lines.count, !lines[next].isBlank, belongs(lines[next]) { next += 1 }
        add(kind, first, next - 1)
    }

    // MARK: Code

    private mutating func readFence(_ opening: (mark: Character, length: Int, hasInfo: Bool)) {
        let first = next
        next += 1
        var last = first
        while next < lines.count {
            let line = lines[next]
            last = line.isBlank ? last : next
            next += 1
            if let fence = line.fence, fence.mark == opening.mark, !fence.hasInfo,
                fence.length >= opening.length
            {
                break
            }
        }
        add(.code, first, last)
    }

    // MARK: Tables and lists

    private func isTable(at place: Int) -> Bool {
        guard lines[place].isTableRow else { return false }
        let hasRule = place + 1 < lines.count && lines[place + 1].isTableRule
        let hasPipes = lines[place].text.hasPrefix("|")
        // Tabs make a table only in company, and a sentence may hold pipes.
        let isFollowed = place + 1 < lines.count && lines[place + 1].isTableRow
        return hasRule || hasPipes || isFollowed
    }

    /// Items, the lines that go on with them, and items of items. Blank lines between items are
    /// part of the list.
    private mutating func readList() {
        let first = next
        var last = next
        next += 1
        while next < lines.count {
            let line = lines[next]
            if line.isBlank {
                guard let following = firstFilled(from: next),
                    lines[following].markerLength != nil && !isHeading(at: following)
                        || lines[following].indent > lines[first].indent + 1
                else { break }
                next = following
                continue
            }
            let isItem = line.markerLength != nil
            let goesOn = isItem || line.indent > lines[first].indent || isLazy(next)
            guard goesOn, !isHeading(at: next), line.fence == nil || line.indent > 0 else { break }
            last = next
            next += 1
        }
        add(.list, first, last)
    }

    /// A line that goes on with an item though it is not indented: only where it clearly does, since
    /// what follows a list in plain text is mostly the next paragraph.
    private func isLazy(_ place: Int) -> Bool {
        guard let start = lines[place].text.first, !lines[place].isTableRow else { return false }
        let isBare = lines[place - 1].text.unicodeScalars.count <= 2
        return isBare || (start.isLowercase && !lines[place - 1].endsSentence)
    }

    // MARK: Paragraphs

    /// The longest line of a text that was wrapped by hand; past it a line is a paragraph.
    private static let wrappedMax = 120

    private mutating func readParagraph() {
        let first = next
        next += 1
        while next < lines.count, continuesParagraph(next) { next += 1 }
        let isWrapped = (first..<next).allSatisfy { lines[$0].count <= Self.wrappedMax }
        if isWrapped || dialect == .markdown {
            add(.paragraph, first, next - 1)
        } else {
            for place in first..<next { add(.paragraph, place, place) }
        }
    }

    private func continuesParagraph(_ place: Int) -> Bool {
        let line = lines[place]
        if line.isBlank || line.fence != nil || line.isDrawing || isTable(at: place) {
            return false
        }
        if isHeading(at: place) || line.isRule { return false }
        guard line.markerLength != nil else { return true }
        // In wrapped prose a line may begin with “1984.” or a dash; a list has a reason to start.
        let isSibling = place + 1 < lines.count && lines[place + 1].markerLength != nil
        return !(lines[place - 1].endsSentence || isSibling || !line.isNumbered)
    }

    // MARK: Headings

    private func isUnderlined(_ place: Int) -> Bool {
        guard place + 1 < lines.count, !lines[place].isBlank, !lines[place].isRule,
            lines[place].markerLength == nil || dialect == .plain, !lines[place].isTableRow
        else { return false }
        let isAlone = place == 0 || lines[place - 1].isBlank
        return lines[place + 1].underlineLevel != nil && (isAlone || lines[place].count <= 90)
    }

    private func isHeading(at place: Int) -> Bool { headingLevel(at: place) != nil }

    private func headingLevel(at place: Int) -> Int? {
        if dialect == .markdown, let level = lines[place].hashLevel { return level }
        if isUnderlined(place) { return lines[place + 1].underlineLevel }
        return dialect == .plain ? guessedLevel(at: place) : nil
    }

    private mutating func readHeading(_ level: Int) {
        add(.heading(level: isTitle ? 1 : level), next, next)
        let isUnderlined = lines[next].hashLevel == nil && isUnderlined(next)
        next += isUnderlined ? 2 : 1
    }

    /// The first heading of a plain text, with no more than a few words before it.
    private var isTitle: Bool {
        dialect == .plain && !blocks.contains { $0.kind.isHeading }
            && blocks.reduce(0) { $0 + $1.range.count } < Self.beforeTitleMax
    }

    private static let beforeTitleMax = 200

    /// The level of a line of plain text that looks like a heading: 2, or 3 and deeper for numbered
    /// ones and for those right below another.
    private func guessedLevel(at place: Int) -> Int? {
        let line = lines[place]
        guard line.couldBeHeading, let following = firstFilled(from: place + 1) else { return nil }
        let before = lastFilled(before: place)
        guard standsApart(place, after: before), leads(place, to: following) else { return nil }
        if line.isNumbered {
            // An item has neighbours of its kind; a numbered heading has text below it.
            if let before, lines[before].markerLength != nil { return nil }
            if lines[following].markerLength != nil { return nil }
            return 3
        }
        guard line.markerLength == nil, !isInColumn(place) else { return nil }
        // Two headings in a row are a heading and its first part.
        if let before, let above = guessedLevel(at: before) { return above + 1 }
        let depth = line.text.prefix { $0.isNumber || $0 == "." }
        return depth.isEmpty ? 2 : 3 + depth.count { $0 == "." }
    }

    /// One of three or more short lines with no gap between them: a column of words, an address.
    private func isInColumn(_ place: Int) -> Bool {
        func couldBe(_ place: Int) -> Bool {
            lines.indices.contains(place) && lines[place].couldBeHeading
        }
        let near = (couldBe(place - 1), couldBe(place + 1))
        return near.0 && near.1 || near.0 && couldBe(place - 2) || near.1 && couldBe(place + 2)
    }

    /// Nothing before it runs on into it.
    private func standsApart(_ place: Int, after before: Int?) -> Bool {
        guard let before, before == place - 1 else { return true }
        let previous = lines[before]
        return previous.endsSentence || previous.markerLength != nil || previous.isTableRow
            || previous.isDrawing || previous.couldBeHeading
    }

    /// Something follows that it can head: text that is longer than it, or a list or table. Where
    /// short lines follow one another they are a column of words, and only the last two can head.
    private func leads(_ place: Int, to following: Int) -> Bool {
        let line = lines[place]
        let next = lines[following]
        let isSpaced = following > place + 1
        if next.couldBeHeading, next.markerLength == nil {
            guard let second = firstFilled(from: following + 1) else { return false }
            let third = lines[second]
            let hasBody = !third.couldBeHeading && third.count > lines[following].count
            return hasBody && third.markerLength == nil && !line.endsSentence
        }
        if next.markerLength != nil || next.isTableRow || next.isDrawing || next.fence != nil {
            return true
        }
        if isSpaced { return next.count > 30 || next.endsSentence }
        let isShorter = line.count * 10 < next.count * 6
        return isShorter && (next.count >= 40 || next.endsSentence)
    }

    private func firstFilled(from place: Int) -> Int? {
        // White space goes on for a few lines, not for thousands: the bound keeps this linear.
        let end = min(lines.count, place + Self.gapMax)
        return place < end ? (place..<end).first { !lines[$0].isBlank } : nil
    }

    private func lastFilled(before place: Int) -> Int? {
        (max(0, place - Self.gapMax)..<place).last { !lines[$0].isBlank }
    }

    private static let gapMax = 12

    private func isAfterBlank(_ place: Int) -> Bool { place == 0 || lines[place - 1].isBlank }

    // MARK: Titles

    private var firstHeading: String? {
        guard let block = blocks.first(where: { $0.kind.isHeading }),
            block.kind == .heading(level: 1)
        else { return nil }
        return ExtractedText.Block.headingText(String(scalars[block.range]))
    }

    /// The lines between `---` and `---` at the start hold settings; only the title is used.
    private mutating func skipFrontMatter() {
        guard lines.first?.text == "---",
            let end = lines.dropFirst().prefix(100).firstIndex(where: { $0.text == "---" })
        else { return }
        for line in lines[1..<end] where line.text.lowercased().hasPrefix("title:") {
            let value = line.text.dropFirst(6).trimmingPrefix { $0.isWhitespace }
            title = String(value).trimmed("\"'")
        }
        next = end + 1
    }
}

extension ExtractedText.Block {
    /// A heading without the marks that Markdown puts around it.
    static func headingText(_ source: String) -> String {
        let words = source.trimmed("#").filter { !"*`".contains($0) }
            .split(whereSeparator: \.isWhitespace)
        return String(words.joined(separator: " ").prefix(200))
    }
}

extension String {
    /// Without these characters, and white space, at both ends.
    func trimmed(_ characters: String = "") -> String {
        let isKept = { (character: Character) in
            !character.isWhitespace && !characters.contains(character)
        }
        guard let first = firstIndex(where: isKept), let last = lastIndex(where: isKept) else {
            return ""
        }
        return String(self[first...last])
    }
}
