/// A text cut into what can be cited or quoted: sentences, grouped by paragraph, and list items with
/// the sentence that leads into them. Ranges point into the text as it was given.
struct TextUnits {
    struct Unit: Equatable {
        /// Without list marks and without white space around it.
        let range: Range<String.Index>
        let kind: Kind
        /// Units of one paragraph or one list have the same number.
        let group: Int
    }

    enum Kind: Equatable { case sentence, item, heading, row }

    let text: String
    private(set) var units: [Unit] = []

    // A chunk or an answer has far fewer; a hostile text of a million full stops is cut short.
    static let unitsMax = 2000

    init(_ text: String) {
        self.text = text
        let lines = Self.lines(of: text)
        var isCode = false
        var group = 0
        var place = 0
        while place < lines.count, units.count < Self.unitsMax {
            let line = lines[place]
            place += 1
            let content = text[line]
            if content.hasPrefix("```") || content.hasPrefix("~~~") {
                isCode.toggle()
                continue
            }
            if isCode || content.isEmpty { continue }
            let isItem = Self.itemContent(content) != nil
            let continuesList = isItem && units.last?.kind == .item
            if !continuesList { group += 1 }
            if let item = Self.itemContent(content) {
                add(item.startIndex..<item.endIndex, .item, group)
            } else if content.hasPrefix("#") {
                let title = content.drop { $0 == "#" || $0 == " " }
                if !title.isEmpty { add(title.startIndex..<title.endIndex, .heading, group) }
            } else if content.hasPrefix("|") {
                add(line, .row, group)
            } else {
                var end = line.upperBound
                while place < lines.count,
                    Self.goesOn(text[line.lowerBound..<end], text[lines[place]])
                {
                    end = lines[place].upperBound
                    place += 1
                }
                let next = place < lines.count ? text[lines[place]] : ""
                addProse(line.lowerBound..<end, group, before: next)
            }
        }
    }

    private mutating func addProse(
        _ range: Range<String.Index>, _ group: Int, before next: Substring
    ) {
        if Self.isTitle(text[range]), !next.isEmpty {
            return add(range, .heading, group)
        }
        for sentence in Self.sentences(in: text, range) { add(sentence, .sentence, group) }
    }

    private mutating func add(_ range: Range<String.Index>, _ kind: Kind, _ group: Int) {
        guard units.count < Self.unitsMax else { return }
        units.append(Unit(range: range, kind: kind, group: group))
    }

    /// The lines, without the white space and quotation marks of Markdown at their ends.
    private static func lines(of text: String) -> [Range<String.Index>] {
        text.split(omittingEmptySubsequences: false) { $0.isNewline }.map { line in
            let start = line.firstIndex { !$0.isWhitespace && $0 != ">" } ?? line.endIndex
            let trimmed = line[start...]
            let end = trimmed.lastIndex { !$0.isWhitespace }.map { line.index(after: $0) } ?? start
            return start..<end
        }
    }

    /// What stands after `- `, `* `, `• ` or `3. `; nil where the line is no list item.
    static func itemContent(_ line: Substring) -> Substring? {
        guard let first = line.first else { return nil }
        if "-*•+▸✓✕".contains(first) {
            let rest = line.dropFirst()
            guard rest.first?.isWhitespace == true else { return nil }
            return rest.drop { $0.isWhitespace }
        }
        let digits = line.prefix { $0.isASCII && $0.isNumber }
        guard (1...3).contains(digits.count) else { return nil }
        let rest = line.dropFirst(digits.count)
        guard let mark = rest.first, mark == "." || mark == ")" else { return nil }
        let content = rest.dropFirst()
        guard content.first?.isWhitespace == true else { return nil }
        return content.drop { $0.isWhitespace }
    }

    /// Whether `next` is the same paragraph, wrapped: the line is long and open at its end, and the
    /// next one goes on in lower case.
    private static func goesOn(_ line: Substring, _ next: Substring) -> Bool {
        guard let last = line.last, !".!?:;|".contains(last), line.utf8.count > 50 else {
            return false
        }
        return next.first?.isLowercase == true && itemContent(next) == nil
    }

    /// A short line without an end mark: a heading that lost its `#` on the way to plain text.
    private static func isTitle(_ line: Substring) -> Bool {
        guard let last = line.last, !".!?:;,…)]\"”".contains(last) else { return false }
        return line.split(separator: " ").count <= 12
    }

    static func sentences(in text: String, _ range: Range<String.Index>) -> [Range<String.Index>] {
        var found: [Range<String.Index>] = []
        var start = range.lowerBound
        var place = start
        while place < range.upperBound {
            guard let end = sentenceEnd(in: text, at: place, within: start..<range.upperBound)
            else {
                place = text.index(after: place)
                continue
            }
            found.append(start..<end)
            start = text[end..<range.upperBound].firstIndex { !$0.isWhitespace } ?? range.upperBound
            place = start
        }
        if start < range.upperBound { found.append(start..<range.upperBound) }
        return found
    }

    /// Where the sentence ends if the character at `place` ends it: after quotes, brackets and
    /// citation marks that follow.
    private static func sentenceEnd(
        in text: String, at place: String.Index, within range: Range<String.Index>
    ) -> String.Index? {
        let mark = text[place]
        if "。！？".contains(mark) { return text.index(after: place) }
        guard ".!?".contains(mark) else { return nil }
        var end = text.index(after: place)
        while end < range.upperBound, ".!?\"”’)*_".contains(text[end]) {
            end = text.index(after: end)
        }
        while let after = CitationMarks.end(of: text[end..<range.upperBound]) { end = after }
        guard end == range.upperBound || text[end].isWhitespace else { return nil }
        if mark == "." {
            let word = text[range.lowerBound..<place].split { $0.isWhitespace || $0 == "(" }.last
            if let word, abbreviations.contains(word.lowercased()) { return nil }
            // An initial: `J. Smith`.
            if let word, word.count == 1, word.first?.isUppercase == true, word != "I" {
                return nil
            }
        }
        return end
    }

    private static let abbreviations: Set<String> = [
        "e.g", "i.e", "etc", "vs", "mr", "mrs", "ms", "dr", "prof", "st", "no", "fig", "cf", "al",
        "approx", "ca", "inc", "ltd", "u.s",
    ]
}
