import Core

/// The text of an HTML page as a reader sees it: headings, paragraphs, lists, tables and code,
/// without what is never shown.
final class HTMLReader {
    /// Elements open at once. Pages stay under a hundred; each costs its parser a search per end tag.
    private static let depthMax = 512

    private enum Numbering {
        case bullets
        case numbers(next: Int)
    }

    private struct Element {
        let name: String
        let isHidden: Bool
    }

    private var scalars: [Unicode.Scalar] = []
    private var blocks: [ExtractedText.Block] = []
    private var pageTitle: [Unicode.Scalar] = []
    private var open: [Element] = []
    private var hiddenCount = 0
    private var titleCount = 0
    private var codeCount = 0
    private var cellCount = 0
    /// One entry for each open list.
    private var lists: [Numbering] = []
    private var isTooDeep = false

    /// Where the block that is being written began, and what it is.
    private var blockStart = 0
    private var kind = ExtractedText.Block.Kind.paragraph
    private var needsSpace = false

    /// Throws `invalid` for a page that is nested deeper than any page is.
    static func read(_ text: [Unicode.Scalar], _ budget: ReadingBudget) throws -> ExtractedText {
        let reader = HTMLReader()
        let events = MarkupEvents(
            open: { reader.opened($0, $1) }, close: { reader.closed($0) }, text: { reader.read($0) }
        )
        try events.read(Array(String(text).utf8), as: .html, budget)
        guard !reader.isTooDeep else {
            throw Failure(
                .invalid,
                "The page nests more than \(depthMax) elements. Save it in a simpler form.")
        }
        return reader.finish()
    }

    // MARK: Elements

    /// False ends the reading.
    private func opened(_ name: String, _ attributes: [String: String]) -> Bool {
        guard open.count < Self.depthMax else {
            isTooDeep = true
            return false
        }
        let isHidden = Self.unseen.contains(name) || HiddenMarkup.isHidden(name, attributes)
        open.append(Element(name: name, isHidden: isHidden))
        if isHidden { hiddenCount += 1 }
        if name == "title" { titleCount += 1 }
        if hiddenCount == 0 { begin(name) }
        return true
    }

    private func closed(_ name: String) {
        guard let place = open.lastIndex(where: { $0.name == name }) else { return }
        for element in open[place...].reversed() {
            if element.name == "title" { titleCount -= 1 }
            if hiddenCount == 0 { end(element.name) }
            if element.isHidden { hiddenCount -= 1 }
        }
        open.removeSubrange(place...)
    }

    private func begin(_ name: String) {
        switch name {
        case "h1", "h2", "h3", "h4", "h5", "h6":
            startBlock(.heading(level: Int(name.dropFirst()) ?? 6))
        case "pre":
            startBlock(.code)
            codeCount += 1
        case "ul": lists.append(.bullets)
        case "ol": lists.append(.numbers(next: 1))
        case "li":
            startBlock(.list)
            writeMarker()
        case "tr": startBlock(.table)
        case "td", "th":
            if scalars.count > blockStart { write(" | ") }
            cellCount += 1
        case "br": lineBreak()
        case _ where Self.blockElements.contains(name): boundary()
        default: break
        }
    }

    private func end(_ name: String) {
        switch name {
        case "ul", "ol":
            finishBlock()
            _ = lists.popLast()
        case "pre":
            finishBlock()
            codeCount = max(0, codeCount - 1)
        case "td", "th": cellCount = max(0, cellCount - 1)
        case "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6": finishBlock()
        case _ where Self.blockElements.contains(name): boundary()
        default: break
        }
    }

    /// The edge of a paragraph; inside a cell or an item only a space or a new line.
    private func boundary() {
        if cellCount > 0 {
            needsSpace = true
        } else if kind == .list, !lists.isEmpty {
            // `<li><p>`: an item stays one item.
            lineBreak()
        } else {
            startBlock(.paragraph)
        }
    }

    private func writeMarker() {
        let depth = max(0, lists.count - 1)
        write(String(repeating: "  ", count: min(depth, 8)))
        guard case .numbers(let number) = lists.last else {
            write("- ")
            return
        }
        write("\(number). ")
        lists[lists.count - 1] = .numbers(next: number + 1)
    }

    // MARK: Text

    private func read(_ text: String) {
        if titleCount > 0, pageTitle.count < 500 { pageTitle += text.unicodeScalars }
        guard hiddenCount == 0 else { return }
        if codeCount > 0 {
            scalars += TextHygiene.clean(text)
            return
        }
        for scalar in TextHygiene.clean(text) {
            if scalar.properties.isWhitespace {
                needsSpace = true
            } else {
                if needsSpace { space() }
                scalars.append(scalar)
            }
        }
    }

    private func space() {
        needsSpace = false
        guard scalars.count > blockStart, let last = scalars.last, !last.properties.isWhitespace
        else { return }
        scalars.append(" ")
    }

    private func write(_ text: String) {
        needsSpace = false
        scalars += text.unicodeScalars
    }

    private func lineBreak() {
        needsSpace = false
        guard scalars.count > blockStart, scalars.last != "\n", cellCount == 0 else {
            needsSpace = cellCount > 0
            return
        }
        scalars.append("\n")
    }

    // MARK: Blocks

    private func startBlock(_ next: ExtractedText.Block.Kind) {
        finishBlock()
        kind = next
    }

    private func finishBlock() {
        defer {
            blockStart = scalars.count
            kind = .paragraph
            needsSpace = false
        }
        var end = scalars.count
        while end > blockStart, scalars[end - 1].properties.isWhitespace { end -= 1 }
        scalars.removeSubrange(end...)
        var start = blockStart
        while kind != .code, kind != .list, start < end, scalars[start].properties.isWhitespace {
            start += 1
        }
        // A marker or bars without a word between them are no item and no row.
        let isWorded = scalars[start..<end].contains { !$0.properties.isWhitespace && $0 != "|" }
        let marker =
            kind == .list ? Line.markerLength(of: String(scalars[start..<end]).trimmed()) : nil
        guard isWorded, marker.map({ $0 < end - start }) ?? (String(scalars[start..<end]) != "-")
        else {
            scalars.removeSubrange(blockStart...)
            return
        }
        append(start..<end)
    }

    private func append(_ range: Range<Int>) {
        let joins = kind == .list || kind == .table
        if joins, let last = blocks.last, last.kind == kind,
            range.lowerBound <= last.range.upperBound + 2
        {
            // Rows and items of one list follow one another on lines without a gap.
            blocks[blocks.count - 1].range = last.range.lowerBound..<range.upperBound
        } else {
            blocks.append(.init(kind: kind, range: range))
        }
        scalars += kind == .list || kind == .table ? ["\n"] : ["\n", "\n"]
    }

    private func finish() -> ExtractedText {
        finishBlock()
        while scalars.last == "\n" { scalars.removeLast() }
        let title = TextHygiene.cleanLine(String(pageTitle)).trimmed()
        return ExtractedText(
            title: title.isEmpty ? nil : ExtractedText.Block.headingText(title),
            scalars: scalars, blocks: blocks)
    }

    // MARK: What is shown

    private static let unseen: Set<String> = [
        "script", "style", "head", "noscript", "template", "svg", "iframe", "object", "canvas",
        "audio", "video", "map", "datalist", "select", "textarea",
    ]

    private static let blockElements: Set<String> = [
        "p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "dl", "dt",
        "dd", "table", "thead", "tbody", "tfoot", "caption", "blockquote", "hr", "figure",
        "figcaption", "form", "fieldset", "address", "details", "summary", "center", "body",
    ]
}
