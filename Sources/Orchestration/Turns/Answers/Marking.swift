import Core

/// An answer with its marks put right: each sentence that is borne out has the mark of the passage
/// that does so, before its full stop, and a mark that does not hold gives way to one that does.
struct Marking {
    private(set) var text = ""
    /// What is cited, and where the mark comes from.
    private(set) var origins: [Int: Citation.Origin] = [:]
    private(set) var verdicts: [SentenceVerdict] = []

    init(
        _ written: String, _ review: SentenceReview, _ findings: [SentenceReview.Finding]
    ) {
        var rest = written.startIndex
        var count = 0
        func add(_ piece: some StringProtocol) {
            text += piece
            count += piece.unicodeScalars.count
        }
        for (sentence, finding) in zip(review.sentences, findings) {
            add(written[rest..<sentence.range.lowerBound])
            rest = sentence.range.upperBound
            let start = count
            let marked = Self.marked(sentence, finding, review)
            add(marked)
            for number in CitationMarks.numbers(in: marked) {
                let origin: Citation.Origin =
                    sentence.cited.contains(number) ? .model : .attributed
                if origins[number] != .model { origins[number] = origin }
            }
            let verdict = review.verdict(on: sentence, finding, start: start, end: count)
            if let verdict { verdicts.append(verdict) }
        }
        // Marks that stand outside all sentences, as in headings, are the model's.
        add(written[rest...])
        for number in CitationMarks.numbers(in: text) where origins[number] == nil {
            origins[number] = .model
        }
    }

    private static func marked(
        _ sentence: SentenceReview.Sentence, _ finding: SentenceReview.Finding,
        _ review: SentenceReview
    ) -> String {
        guard finding.isGood, let number = finding.number else { return sentence.text }
        if !sentence.cited.isEmpty {
            guard !review.wrongCitations(of: sentence, finding).isEmpty else {
                return sentence.text
            }
            return CitationMarks.replaced(in: sentence.text, by: number)
        }
        let words = Words.contentSet(of: CitationMarks.removed(from: sentence.text))
        guard words.count >= Attribution.wordsMin else { return sentence.text }
        var end = sentence.text.endIndex
        while end > sentence.text.startIndex {
            let before = sentence.text.index(before: end)
            guard ".!?:;。！？".contains(sentence.text[before]) else { break }
            end = before
        }
        return sentence.text[..<end] + " [\(number)]" + sentence.text[end...]
    }
}
