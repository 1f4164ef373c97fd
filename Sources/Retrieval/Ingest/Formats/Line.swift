/// One line of a text, without its end, and what it looks like.
struct Line {
    /// The whole line, in scalars of the text.
    let range: Range<Int>
    /// The line without white space at its ends; empty for a blank line.
    let content: Range<Int>
    let text: String
    /// Columns before the content; a tab counts as four.
    let indent: Int
    /// Short, begins like a title, ends like none of prose, code, tables or lists.
    let couldBeHeading: Bool

    var isBlank: Bool { content.isEmpty }
    var count: Int { content.count }

    static func lines(of scalars: [Unicode.Scalar]) -> [Line] {
        var lines: [Line] = []
        var start = 0
        while start < scalars.count {
            let end = scalars[start...].firstIndex(of: "\n") ?? scalars.count
            lines.append(Line(start..<end, of: scalars))
            start = end + 1
        }
        return lines
    }

    private init(_ range: Range<Int>, of scalars: [Unicode.Scalar]) {
        var lower = range.lowerBound
        var upper = range.upperBound
        var indent = 0
        while lower < upper, scalars[lower].properties.isWhitespace {
            indent += scalars[lower] == "\t" ? 4 : 1
            lower += 1
        }
        while upper > lower, scalars[upper - 1].properties.isWhitespace { upper -= 1 }
        self.range = range
        self.indent = indent
        content = lower..<upper
        text = String(scalars[content])
        couldBeHeading = Self.couldBeHeading(text, count: content.count)
    }

    // MARK: What the line looks like

    /// The length of a list marker with the space behind it; nil for a line that is no item.
    var markerLength: Int? { Self.markerLength(of: text) }

    static func markerLength(of text: String) -> Int? {
        let head = Array(text.unicodeScalars.prefix(8))
        guard let first = head.first else { return nil }
        if "-*+".unicodeScalars.contains(first) {
            // Pages copied as text leave bullets alone on a line, their item on the next.
            guard head.count > 1 else { return 1 }
            return head[1].properties.isWhitespace ? 2 : nil
        }
        if "•◦▪‣●○–✓✔✕✖✗✘☐☑".unicodeScalars.contains(first) { return 1 }
        let number = head.prefix { $0.isASCII && $0.properties.numericType != nil }.count
        let isLetter = number == 0 && first.isASCII && first.properties.isAlphabetic
        let width = number > 0 ? number : (isLetter ? 1 : 0)
        guard (1...3).contains(width), head.count > width + 1,
            head[width] == ")" || (head[width] == "." && !isLetter),
            head[width + 1].properties.isWhitespace
        else { return nil }
        return width + 2
    }

    var isNumbered: Bool {
        markerLength != nil && text.unicodeScalars.first?.properties.numericType != nil
    }

    var isTableRow: Bool {
        text.hasPrefix("|") || text.count { $0 == "|" } >= 2 || text.count { $0 == "\t" } >= 2
    }

    /// `|---|:--:|`
    var isTableRule: Bool {
        text.contains("-") && text.contains("|") && text.allSatisfy { "|-: ".contains($0) }
    }

    /// Box-drawing characters: a diagram.
    var isDrawing: Bool { Self.isDrawing(text) }

    private static func isDrawing(_ text: String) -> Bool {
        text.unicodeScalars.contains { (0x2500...0x259F).contains($0.value) }
    }

    /// The fence's character and length, and whether something follows it.
    var fence: (mark: Character, length: Int, hasInfo: Bool)? {
        guard let mark = text.first, mark == "`" || mark == "~" else { return nil }
        let length = text.prefix { $0 == mark }.count
        let info = text.dropFirst(length)
        guard length >= 3, !(mark == "`" && info.contains("`")) else { return nil }
        return (mark, length, !info.allSatisfy(\.isWhitespace))
    }

    /// The level of `## A heading`, as Markdown writes it.
    var hashLevel: Int? {
        let level = text.prefix { $0 == "#" }.count
        guard (1...6).contains(level) else { return nil }
        let rest = text.dropFirst(level)
        return rest.isEmpty || rest.first?.isWhitespace == true ? level : nil
    }

    /// A line of `===` or `---` that makes the line before it a heading of level 1 or 2.
    var underlineLevel: Int? {
        guard text.utf8.count >= 3, let mark = text.first, mark == "=" || mark == "-",
            text.allSatisfy({ $0 == mark })
        else { return nil }
        return mark == "=" ? 1 : 2
    }

    /// `***`, `---`, `___`, `- - -`: a rule and nothing else.
    var isRule: Bool {
        guard let mark = text.first, "-_*=~".contains(mark) else { return false }
        return text.allSatisfy { $0 == mark || $0.isWhitespace } && text.count { $0 == mark } >= 3
    }

    var endsSentence: Bool { Self.endsSentence(text) }

    private static func endsSentence(_ text: String) -> Bool {
        let closing = text.reversed().first { !"\"'”’)]»".contains($0) }
        return closing.map { ".!?:;,…。！？：；、".contains($0) } ?? false
    }

    private static func couldBeHeading(_ text: String, count: Int) -> Bool {
        guard (2...120).contains(count), let first = text.first else { return false }
        if text.hasSuffix("?") || text.hasSuffix("? +") { return isQuestion(text) }
        let begins =
            first.isUppercase || first.isNumber || "“\"'‘¿¡".contains(first)
            || (first.isLetter && !first.isLowercase)
        return begins && count <= 90 && !endsSentence(text)
            && !text.contains { "{}=<>;|\\[]`@\t".contains($0) }
            && !isDrawing(text) && !text.contains("://") && text.contains(where: \.isLetter)
            && text.split(separator: " ").count <= 14
    }

    /// A short question on a line of its own heads its answer.
    private static func isQuestion(_ text: String) -> Bool {
        guard text.utf8.count >= 8, text.first?.isUppercase == true else { return false }
        return !text.dropLast(text.hasSuffix("+") ? 3 : 1).contains { ".!?".contains($0) }
    }
}
