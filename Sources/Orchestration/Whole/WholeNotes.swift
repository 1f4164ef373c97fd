import Core

/// What was noted of the parts of a text, line by line, each with the stretch that bears it out: from
/// those the answer is made, and those are what it cites.
struct WholeNotes: Sendable {
    struct Line: Sendable, Equatable {
        let text: String
        /// What bears it out, as the answer cites it; nil where nothing clearly does.
        let number: Int?

        var marked: String { number.map { "\(text) [\($0)]" } ?? text }
    }

    private(set) var lines: [Line] = []
    /// The passages that lines rest on, the first of them cited as 1.
    private(set) var passages: [Passage]
    private var known: Set<Set<String>> = []

    /// Whether lines that nothing bears out are left out.
    let isStrict: Bool
    let kind: WholeQuestion.Kind

    static let linesPerPartMax = 12
    static let linesMax = 200
    static let passagesMax = 96
    /// A line rests on a stretch that has this share of its words.
    static let shareMin = 0.5
    private static let lineCharactersMax = 500
    /// What a stretch is shown with, on either side.
    private static let stretchScalarsMax = 700

    init(after quoted: Passage?, kind: WholeQuestion.Kind, isStrict: Bool) {
        passages = quoted.map { [$0] } ?? []
        (self.kind, self.isStrict) = (kind, isStrict)
    }

    /// Adds what a model noted of a part. Parts are added in their order.
    mutating func add(_ note: String, of part: Passage, id: () -> Identifier) {
        let evidence = Evidence([part])
        let attribution = Attribution(evidence: evidence)
        var added = 0
        for said in Self.said(in: note, isList: kind != .summary) where lines.count < Self.linesMax
        {
            guard added < Self.linesPerPartMax else { break }
            let words = Words.contentSet(of: said)
            // What is named in several parts is one thing.
            if kind != .summary, known.contains(words) { continue }
            let candidate = attribution.assessment(of: said).candidates.first {
                $0.share >= Self.shareMin
            }
            if candidate == nil, isStrict { continue }
            known.insert(words)
            added += 1
            var cited: Int?
            if let range = candidate?.range { cited = number(of: range, in: part, id: id) }
            lines.append(Line(text: said, number: cited))
        }
        // A summary lacks no part: where the model said nothing that holds, the part's own first
        // sentence speaks for it.
        if added == 0, kind == .summary, isStrict, let first = Self.firstSentence(of: part) {
            let cited = number(of: first, in: part, id: id)
            lines.append(Line(text: Title.cleaned(String(part.text[first])), number: cited))
        }
    }

    /// The lines of a note that say something.
    private static func said(in note: String, isList: Bool) -> [String] {
        let text = CitationMarks.removed(from: note)
        let units = TextUnits(text)
        return units.units.compactMap { unit in
            guard unit.kind != .heading || isList else { return nil }
            let line = Title.cleaned(String(text[unit.range].prefix(lineCharactersMax)))
            let words = Words.content(of: line)
            let isNothing =
                line.uppercased().hasPrefix("NONE") || Refusal.isOne(line) || words.isEmpty
                || line.hasSuffix(":")
            return isNothing ? nil : line
        }
    }

    private static func firstSentence(of part: Passage) -> Range<String.Index>? {
        let units = TextUnits(part.text).units
        let says = units.first {
            $0.kind == .sentence && Words.content(of: part.text[$0.range]).count >= 4
        }
        return says?.range ?? units.first?.range
    }

    /// The number of the stretch around a range; one that is shown already is used again.
    private mutating func number(
        of range: Range<String.Index>, in part: Passage, id: () -> Identifier
    ) -> Int? {
        let scalars = part.text.unicodeScalars
        let from = scalars.distance(from: scalars.startIndex, to: range.lowerBound)
        let to = scalars.distance(from: scalars.startIndex, to: range.upperBound)
        if let place = passages.firstIndex(where: {
            $0.documentID == part.documentID && $0.start <= part.start + from
                && $0.end >= part.start + to
        }) {
            return place + 1
        }
        guard passages.count < Self.passagesMax else { return nil }
        let stretch = Self.stretch(around: from..<to, in: Array(scalars))
        let text = String(String.UnicodeScalarView(Array(scalars)[stretch]))
        passages.append(
            Passage(
                id: id(), documentID: part.documentID, documentName: part.documentName,
                headings: part.headings, text: text, start: part.start + stretch.lowerBound,
                end: part.start + stretch.upperBound))
        return passages.count
    }

    /// The range with the rest of its paragraph, as far as a passage goes.
    private static func stretch(around range: Range<Int>, in scalars: [Unicode.Scalar]) -> Range<
        Int
    > {
        let room = max(0, stretchScalarsMax - range.count) / 2
        var (start, end) = (range.lowerBound, range.upperBound)
        while start > 0, range.lowerBound - start < room, scalars[start - 1] != "\n" { start -= 1 }
        while end < scalars.count, end - range.upperBound < room, scalars[end] != "\n" { end += 1 }
        // Not in the middle of a word.
        while start > 0, start < range.lowerBound, !scalars[start - 1].properties.isWhitespace {
            start += 1
        }
        while end < scalars.count, end > range.upperBound,
            !scalars[end].properties.isWhitespace
        {
            end -= 1
        }
        return start..<end
    }

    /// The answer that needs no model: the lines themselves.
    var asAnswer: String {
        guard !lines.isEmpty else { return "" }
        let list = lines.map { "- \($0.marked)" }.joined(separator: "\n")
        return kind == .count ? "\(lines.count) in all:\n\n\(list)" : list
    }
}
