import Core

/// The stretch of a passage that answers a question best, to be quoted where the model has no
/// answer of its own.
struct Quotation {
    let window: Evidence.Window
    let passage: Passage
    /// How much of the question's content words the stretch and its headings have, 0 to 1.
    let match: Double
    /// Whether that is enough to put it before the reader as an answer.
    let isStrong: Bool

    /// From this match on a stretch answers a question.
    static let matchMin = 0.6
    /// Or from this similarity to the question on, in the embedder's measure, with some words shared.
    static let similarityMin = 0.6
    static let matchWithSimilarity = 0.35
    /// Stretches that are compared in meaning.
    static let rankedMax = 12
    /// A quotation ends after this many characters, at the end of a line or a word.
    static let charactersMax = 1500

    /// The stretches that fit a question, best first. The words decide; a list wins where one is
    /// asked for, and of two equal ones the shorter and then the one found first.
    static func ranked(for question: Question, in evidence: Evidence) -> [Evidence.Window] {
        let scored = evidence.windows.map { window -> (window: Evidence.Window, score: Double) in
            var score = wordScore(of: window, for: question, in: evidence)
            if let list = window.list {
                // Items that happen to use the question's words do not make it the list in question.
                let lead = Words.contentSet(of: list.lead)
                let isMeant = evidence.share(of: question.words, in: lead) >= matchMin
                score += question.asksForList && isMeant ? 0.4 : -0.2
            } else {
                score -= 0.04 * Double(window.unitCount - 1)
            }
            return (window, score)
        }
        // Stable by hand: Swift's sort is, but does not promise it.
        let order = scored.indices.sorted {
            (scored[$1].score, $0) < (scored[$0].score, $1)
        }
        return order.prefix(rankedMax).map { scored[$0].window }
    }

    /// How many of the question's words the stretch has; its headings count for less, since they say
    /// what it is about and not what it says.
    private static func wordScore(
        of window: Evidence.Window, for question: Question, in evidence: Evidence
    ) -> Double {
        evidence.share(of: question.words, in: window.words)
            + weightOfTitle * evidence.share(of: question.words, in: window.titleWords)
    }

    private static let weightOfTitle = 0.5

    /// The best of `ranked`, whose cosines with the question are `cosines` where an embedder answered.
    static func best(
        of ranked: [Evidence.Window], cosines: [Float]?, for question: Question,
        in evidence: Evidence
    ) -> Quotation? {
        guard var window = ranked.first else { return nil }
        var cosine = 0.0
        if let cosines, cosines.count == ranked.count, !cosines.isEmpty {
            cosine = Double(cosines[0])
            // A list that is meant stays; between plain stretches meaning decides.
            if window.list == nil || !question.asksForList {
                let scores = zip(ranked, cosines).map { window, cosine in
                    wordScore(of: window, for: question, in: evidence) + Double(cosine)
                }
                let place = scores.indices.max { scores[$0] < scores[$1] } ?? 0
                window = ranked[place]
                cosine = Double(cosines[place])
            }
        }
        let words = window.words.union(window.titleWords)
        let match = evidence.share(of: question.words, in: words)
        let shared = question.words.intersection(words).count
        let hasOwnWord = !question.words.isDisjoint(with: window.words)
        let isMatch = match >= matchMin && shared >= min(2, question.words.count) && hasOwnWord
        let isSimilar = cosine >= similarityMin && match >= matchWithSimilarity
        return Quotation(
            window: window, passage: evidence.passages[window.number - 1], match: match,
            isStrong: !question.words.isEmpty && (isMatch || isSimilar))
    }

    /// The same, cited by another number.
    func cited(as number: Int) -> Quotation {
        Quotation(
            window: Evidence.Window(
                number: number, range: window.range, text: window.text, words: window.words,
                titleWords: window.titleWords, unitCount: window.unitCount, list: window.list,
                quotable: window.quotable), passage: passage, match: match, isStrong: isStrong)
    }

    /// The same, cited by the first of these passages that has it; nil where none does.
    func cited(from passages: [Passage]) -> Quotation? {
        let scalars = passage.text.unicodeScalars
        let from = scalars.distance(from: scalars.startIndex, to: window.range.lowerBound)
        let to = scalars.distance(from: scalars.startIndex, to: window.range.upperBound)
        return passages.firstIndex {
            $0.documentID == passage.documentID && $0.start <= passage.start + from
                && passage.start + to <= $0.end
        }.map { cited(as: $0 + 1) }
    }

    /// What stands at the head of an answer that goes on after it.
    var lead: String { markdown + "\n\n" }

    /// Markdown: where it is from, with its mark, and the words themselves as a block quotation.
    var markdown: String {
        let name = Title.cleaned(
            String(passage.documentName.map { "[]`*\"<>".contains($0) ? " " : $0 }))
        let lines = CitationMarks.removed(from: shortened).split(
            omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        let quoted = lines.map { $0.isEmpty ? ">" : "> \($0)" }.joined(separator: "\n")
        return "From \"\(name)\" [\(window.number)]:\n\n\(quoted)"
    }

    /// The stretch as it stands in the passage, list marks included. A lead-in and its list are kept
    /// apart by an empty line, without which Markdown would read some lists as one paragraph.
    private var shortened: String {
        var text = window.quotable
        if let list = window.list {
            text = list.lead + "\n\n" + list.items.map { "- " + $0 }.joined(separator: "\n")
        }
        guard text.count > Self.charactersMax else { return text }
        let head = text.prefix(Self.charactersMax)
        let end = head.lastIndex { $0.isWhitespace } ?? head.endIndex
        return head[..<end] + " …"
    }
}
