import Core

/// An answer sentence by sentence, each held against the passages of its turn: first word for word,
/// then by the share of its words, then by its meaning.
struct SentenceReview {
    struct Sentence {
        let range: Range<String.Index>
        let text: String
        /// Passages that the model cites for it, and numbers it cites that no passage has.
        let cited: [Int]
        var strays: [Int]
        let assessment: Attribution.Assessment
        /// Whether it says something beyond the question that passages could bear out.
        let isSaying: Bool
        /// Whether a reader is told where nothing bears it out.
        let isClaim: Bool
    }

    /// What bears a sentence out, or does not.
    struct Finding: Equatable {
        var support: SentenceVerdict.Support
        var number: Int?
        var method = SentenceVerdict.Method.words
        var score = 0.0
        /// Where the passage says it, in the passage's text.
        var range: Range<String.Index>?

        var isGood: Bool { support == .quoted || support == .supported }
    }

    let evidence: Evidence
    let question: Question
    let sentences: [Sentence]

    /// Sentences that are looked at: each is held against every stretch of every passage.
    static let sentencesMax = 500
    /// Candidates of one sentence that the embedder is asked about.
    static let candidatesAskedMax = 3
    /// A passage says something like a sentence from this share of its words on, or from this cosine.
    static let weakShare = 0.4
    static let weakCosine = 0.6

    init(_ text: String, strays: [CitationMarks.Stray], evidence: Evidence, question: Question) {
        self.evidence = evidence
        self.question = question
        let attribution = Attribution(evidence: evidence, asked: question.words)
        let units = TextUnits(text).units.filter { $0.kind != .heading }
        let ranges = units.flatMap { TextUnits.sentences(in: text, $0.range) }
            .prefix(Self.sentencesMax)
        var place = 0
        var last = text.startIndex
        var starts: [Int] = []
        for range in ranges {
            place += text.unicodeScalars.distance(from: last, to: range.lowerBound)
            last = range.lowerBound
            starts.append(place)
        }
        var strayNumbers: [Int: [Int]] = [:]
        for stray in strays {
            guard let owner = starts.lastIndex(where: { $0 < max(1, stray.place) }) else {
                continue
            }
            strayNumbers[owner, default: []].append(stray.number)
        }
        sentences = ranges.enumerated().map { number, range in
            Self.sentence(
                String(text[range]), range, strays: strayNumbers[number] ?? [], attribution,
                question)
        }
    }

    private static func sentence(
        _ text: String, _ range: Range<String.Index>, strays: [Int], _ attribution: Attribution,
        _ question: Question
    ) -> Sentence {
        let cited = CitationMarks.numbers(in: text)
        let words = Words.contentSet(of: CitationMarks.removed(from: text))
        // What only says the question again counts neither way.
        let beyond = words.subtracting(question.words)
        let isClaim =
            beyond.count >= Attribution.wordsMin
            || beyond.contains { !fillers.contains($0) }
        let isLeadIn = text.last == ":" || text.last == "："
        return Sentence(
            range: range, text: text, cited: cited, strays: strays,
            assessment: attribution.assessment(of: text),
            isSaying: beyond.count >= Attribution.wordsMin,
            isClaim: isClaim && !isLeadIn && !Refusal.isOne(text))
    }

    /// Words that are whole sentences and say nothing.
    private static let fillers: Set<String> = Set(
        [
            "yes", "sure", "hello", "hi", "ok", "okay", "thanks", "welcome", "certainly", "correct",
            "right", "well", "true", "indeed",
        ].map(Words.stem))

    // MARK: Asking the embedder

    /// The candidates whose meaning could decide: those cited first, then the best by words. None
    /// where words decide already.
    func asked(_ sentence: Sentence) -> [Attribution.Candidate] {
        let candidates = sentence.assessment.candidates
        let cited = candidates.filter { sentence.cited.contains($0.number) }
        let others = candidates.filter { !sentence.cited.contains($0.number) }
        guard Attribution.isOpen(cited.isEmpty ? candidates : cited) else { return [] }
        return Array((cited + others).prefix(Self.candidatesAskedMax))
    }

    // MARK: Findings

    /// What bears the sentence out. `cosines` are those of `asked`; nil where nobody was asked.
    func finding(for sentence: Sentence, cosines: [Float]?) -> Finding {
        let words = Words.all(of: CitationMarks.removed(from: sentence.text))
        let candidates = sentence.assessment.candidates
        let quoting = evidence.quoting(words)
        if let number = sentence.cited.first(where: quoting.contains) ?? quoting.first {
            let range = candidates.first { $0.number == number }?.range
            return Finding(
                support: .quoted, number: number, method: .quote, score: 1, range: range)
        }
        let scored = scored(sentence, cosines)
        let cited = scored.filter { sentence.cited.contains($0.candidate.number) }
        return supported(by: cited) ?? jointly(sentence, cited.map(\.candidate))
            ?? supported(by: scored) ?? weak(by: cited) ?? weak(by: scored)
            ?? unsupported(sentence, scored)
    }

    private typealias Scored = (candidate: Attribution.Candidate, cosine: Double?)

    private func scored(_ sentence: Sentence, _ cosines: [Float]?) -> [Scored] {
        let asked = asked(sentence)
        guard let cosines, cosines.count == asked.count, !asked.isEmpty else {
            return sentence.assessment.candidates.map { ($0, nil) }
        }
        let known = Dictionary(
            zip(asked.map(\.number), cosines.map(Double.init)),
            uniquingKeysWith: { first, _ in first })
        return sentence.assessment.candidates.map { ($0, known[$0.number] ?? 0) }
    }

    private func supported(by scored: [Scored]) -> Finding? {
        let supporting = scored.filter { Attribution.supports($0.candidate, cosine: $0.cosine) }
        guard let best = supporting.max(by: Self.precedes) else { return nil }
        return Self.finding(.supported, best)
    }

    /// A sentence that rests on several passages, a part of it on each.
    private func jointly(_ sentence: Sentence, _ cited: [Attribution.Candidate]) -> Finding? {
        guard Set(sentence.cited).count > 1 else { return nil }
        // Each may lack a figure that another has, and is no candidate by itself then.
        let windows = Set(sentence.cited).sorted().compactMap { number in
            evidence.closestWindow(
                to: Words.contentSet(of: CitationMarks.removed(from: sentence.text)),
                inPassage: number)
        }
        let share = Attribution(evidence: evidence, asked: question.words)
            .jointShare(of: sentence.text, in: windows)
        guard share >= Attribution.shareAlone, let first = windows.first else { return nil }
        return Finding(
            support: .supported, number: first.number, score: share, range: first.range)
    }

    private func weak(by scored: [Scored]) -> Finding? {
        let near = scored.filter {
            $0.candidate.share >= Self.weakShare || $0.cosine ?? 0 >= Self.weakCosine
        }
        return near.max(by: Self.precedes).map { Self.finding(.weak, $0) }
    }

    private func unsupported(_ sentence: Sentence, _ scored: [Scored]) -> Finding {
        guard let best = scored.max(by: Self.precedes) else {
            return Finding(support: .unsupported, number: nil)
        }
        var finding = Self.finding(.unsupported, best)
        (finding.number, finding.range) = (nil, nil)
        return finding
    }

    private static func precedes(_ left: Scored, _ right: Scored) -> Bool {
        left.candidate.share + (left.cosine ?? 0) < right.candidate.share + (right.cosine ?? 0)
    }

    private static func finding(
        _ support: SentenceVerdict.Support, _ scored: Scored
    ) -> Finding {
        let (candidate, cosine) = scored
        let isByWords =
            candidate.share >= Attribution.shareAlone || (cosine ?? 0) <= candidate.share
        return Finding(
            support: support, number: candidate.number, method: isByWords ? .words : .meaning,
            score: isByWords ? candidate.share : cosine ?? 0, range: candidate.range)
    }

    // MARK: Verdicts

    /// Passages that are cited for the sentence and do not say it.
    func wrongCitations(of sentence: Sentence, _ finding: Finding) -> [Int] {
        guard let number = finding.number, finding.support != .unsupported else {
            return sentence.cited
        }
        return sentence.cited.contains(number) ? [] : sentence.cited
    }

    /// Nil for a sentence that claims nothing.
    func verdict(
        on sentence: Sentence, _ finding: Finding, start: Int, end: Int
    ) -> SentenceVerdict? {
        let isCiting = !sentence.strays.isEmpty
        guard finding.isGood || sentence.isClaim || isCiting else { return nil }
        // Without passages there is nothing to hold a sentence against, only its marks.
        guard !evidence.passages.isEmpty || isCiting else { return nil }
        var verdict = SentenceVerdict(
            start: start, end: end, support: finding.support, number: finding.number,
            method: finding.method, score: min(max(0, finding.score), 1))
        if let number = finding.number, let range = finding.range {
            let passage = evidence.passages[number - 1]
            let text = passage.text.unicodeScalars
            let from = text.distance(from: text.startIndex, to: range.lowerBound)
            let to = text.distance(from: text.startIndex, to: range.upperBound)
            verdict.evidenceStart = passage.start + from
            verdict.evidenceEnd = passage.start + to
        }
        verdict.wrongNumbers = wrongCitations(of: sentence, finding) + sentence.strays
        verdict.reason = reason(sentence, finding)
        return verdict
    }

    private func reason(_ sentence: Sentence, _ finding: Finding) -> String? {
        let stray = sentence.strays.first.map { "It cites passage \($0), and there is none." }
        if finding.isGood { return stray }
        let missing = sentence.assessment.missingFigures
        if let figure = missing.first {
            return "None of the passages has the figure \(figure)."
        }
        if let number = sentence.assessment.contradicting, finding.support == .unsupported {
            return "Passage \(number) says the opposite."
        }
        if finding.support == .weak, let number = finding.number {
            return "Passage \(number) says something like it, and not quite this."
        }
        if let stray { return stray }
        if let cited = sentence.cited.first {
            return "It cites passage \(cited), which does not say this."
        }
        return "None of the passages says this."
    }
}
