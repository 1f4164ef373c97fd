import Core

/// Turns what a model wrote into the answer that is kept: marks that hold stay, sentences get the mark
/// of the passage that supports them and a verdict, and where the model had nothing to say a passage
/// is quoted or the answer says that there is none.
struct AnswerReview {
    struct Result: Equatable {
        var text: String
        var citations: [Citation]
        var verdicts: [SentenceVerdict] = []
        var notice: String?
        var sentenceCount = 0
        var supportedCount = 0
        /// Whether the answer is that there is none; what was looked for is to follow.
        var isAbstention = false
    }

    /// The cosine of each pair; nil where no embedder answers.
    typealias Cosines = (_ pairs: [(String, String)]) async -> [Float]?

    let question: Question
    let evidence: Evidence
    let quotesPassages: Bool

    init(question: String, passages: [Passage], quotesPassages: Bool) {
        self.question = Question(question)
        evidence = Evidence(passages)
        self.quotesPassages = quotesPassages
    }

    // Pairs that the embedder is asked about for one answer: each costs two short texts.
    static let pairsMax = 24

    func review(_ written: String, cosines: Cosines) async -> Result {
        let (text, strays) = CitationMarks.checked(
            Self.tidied(written), count: evidence.passages.count)
        let sentences = SentenceReview(
            text, strays: strays, evidence: evidence, question: question)
        let findings = await findings(of: sentences, cosines)
        let quotation = await quotation(cosines)
        var result = Result(text: text, citations: [])
        for (sentence, finding) in zip(sentences.sentences, findings)
        where sentence.isSaying && !evidence.passages.isEmpty {
            result.sentenceCount += 1
            if finding.isGood { result.supportedCount += 1 }
        }
        let verdict = facts(text, result, quotation).verdict
        result.notice = verdict.notice
        let marking = Marking(text, sentences, findings)
        switch (verdict, quotation) {
        case (.quote, let quotation?):
            result.text = quotation.markdown
            result.citations = [citation(quotation.window.number, .quoted)]
            result.verdicts = [self.verdict(on: quotation, at: 0)]
        case (.append, let quotation?), (.appendEvidence, let quotation?):
            result.text = marking.text + "\n\n" + quotation.markdown
            let quoted = citation(quotation.window.number, .quoted)
            let citations = self.citations(of: marking)
            let others = citations.filter { $0.number != quoted.number || verdict != .append }
            let isThere = others.contains { $0.number == quoted.number }
            result.citations = (others + (isThere ? [] : [quoted])).sorted { $0.number < $1.number }
            let place = marking.text.unicodeScalars.count + 2
            result.verdicts = marking.verdicts + [self.verdict(on: quotation, at: place)]
        case (.abstain, _):
            let closest = quotation?.window.number ?? 1
            result.text = Abstention.text(closest: evidence.passages[closest - 1], number: closest)
            result.citations = [citation(closest, .closest)]
            result.isAbstention = true
        case (.nothingFound, _):
            result.text = Abstention.nothing
            result.isAbstention = true
        default:
            result.text = marking.text
            result.citations = citations(of: marking)
            result.verdicts = marking.verdicts
        }
        return result
    }

    private func facts(_ text: String, _ counted: Result, _ quotation: Quotation?) -> AnswerFacts {
        let named = quotation.flatMap { items(of: $0, namedIn: text) }
        return AnswerFacts(
            hasPassages: !evidence.passages.isEmpty,
            isEmpty: !text.unicodeScalars.contains {
                $0.properties.isAlphabetic || $0.properties.numericType != nil
            },
            isRefusal: Refusal.isOne(text),
            sentenceCount: counted.sentenceCount, supportedCount: counted.supportedCount,
            hasStrongQuotation: quotation?.isStrong == true,
            listItemCount: named?.count ?? 0, listItemsMissing: named?.missing ?? 0,
            isOffTopic: isOffTopic(text, quotation), isVerbatim: isVerbatim(text, quotation),
            quotesPassages: quotesPassages)
    }

    func findings(
        of review: SentenceReview, _ cosines: Cosines
    ) async -> [SentenceReview.Finding] {
        var pairs: [(String, String)] = []
        var asked: [Int: Range<Int>] = [:]
        for (place, sentence) in review.sentences.enumerated() {
            let candidates = review.asked(sentence)
            guard !candidates.isEmpty else { continue }
            guard pairs.count + candidates.count <= Self.pairsMax else { break }
            asked[place] = pairs.count..<(pairs.count + candidates.count)
            pairs += candidates.map { (sentence.text, $0.text) }
        }
        let answers = pairs.isEmpty ? nil : await cosines(pairs)
        return review.sentences.enumerated().map { place, sentence in
            let known = asked[place].flatMap { range in
                answers.flatMap { $0.count == pairs.count ? Array($0[range]) : nil }
            }
            return review.finding(for: sentence, cosines: known)
        }
    }

    func quotation(_ cosines: Cosines) async -> Quotation? {
        guard !question.words.isEmpty, !evidence.windows.isEmpty else { return nil }
        let ranked = Quotation.ranked(for: question, in: evidence)
        let answers = await cosines(ranked.map { (question.text, $0.text) })
        return Quotation.best(of: ranked, cosines: answers, for: question, in: evidence)
    }

    /// How many items the asked-for list has, and how many the answer does not name; nil where the
    /// quotation is no list or none is asked for.
    private func items(of quotation: Quotation, namedIn text: String) -> (
        count: Int, missing: Int
    )? {
        guard question.asksForList, let list = quotation.window.list else { return nil }
        let words = Words.contentSet(of: text)
        let missing = list.items.count { item in
            let name = Words.contentSet(of: Self.name(ofItem: item))
            return evidence.share(of: name, in: words) < 0.6
        }
        return (list.items.count, missing)
    }

    // `50 to 300 milliseconds.` has no word of its question either, but it has those of the stretch
    // that answers it.
    private static let wordsOfQuestionMin = 0.2
    private static let wordsOfQuotationMin = 0.3

    private func isOffTopic(_ text: String, _ quotation: Quotation?) -> Bool {
        guard let quotation else { return false }
        let words = Words.contentSet(of: text)
        return evidence.share(of: question.words, in: words) < Self.wordsOfQuestionMin
            && evidence.share(of: words, in: Words.contentSet(of: quotation.window.quotable))
                < Self.wordsOfQuotationMin
    }

    // A list told item by item has nearly all of its words; a sentence retold has half of them.
    private static let verbatimMin = 0.7

    private func isVerbatim(_ text: String, _ quotation: Quotation?) -> Bool {
        guard let quotation else { return false }
        let quoted = Words.contentSet(of: quotation.window.quotable)
        return evidence.share(of: quoted, in: Words.contentSet(of: text)) >= Self.verbatimMin
    }

    /// What an item is called: the words before its colon or dash, or its first six.
    private static func name(ofItem item: String) -> Substring {
        let head = item.prefix(80)
        for mark in [":", " - ", " – ", " — "] {
            if let range = head.firstRange(of: mark) { return item[..<range.lowerBound] }
        }
        let words = item.split(separator: " ").prefix(6)
        return words.last.map { item[..<$0.endIndex] } ?? item[...]
    }

    private func citations(of marking: Marking) -> [Citation] {
        marking.origins.keys.sorted().map { citation($0, marking.origins[$0] ?? .attributed) }
    }

    /// The passage's own words need no other support.
    private func verdict(on quotation: Quotation, at place: Int) -> SentenceVerdict {
        let window = quotation.window
        var verdict = SentenceVerdict(
            start: place, end: place + quotation.markdown.unicodeScalars.count, support: .quoted,
            number: window.number, method: .quote, score: 1)
        let text = quotation.passage.text.unicodeScalars
        let start = quotation.passage.start
        verdict.evidenceStart =
            start + text.distance(from: text.startIndex, to: window.range.lowerBound)
        verdict.evidenceEnd =
            start + text.distance(from: text.startIndex, to: window.range.upperBound)
        return verdict
    }

    private func citation(_ number: Int, _ origin: Citation.Origin) -> Citation {
        Citation(number: number, passage: evidence.passages[number - 1], origin: origin)
    }

    /// Without white space at its ends, and without the `Answer:` that small models begin with.
    private static func tidied(_ text: String) -> String {
        var rest = text.drop { $0.isWhitespace }
        for opening in ["Answer:", "**Answer:**", "A:"] where rest.hasPrefix(opening) {
            rest = rest.dropFirst(opening.count).drop { $0.isWhitespace }
        }
        // An answer that was ended in a list may stop behind the mark of an item it never wrote.
        if let mark = rest.firstMatch(of: /\n\s*(?:[0-9]{1,3}[.)]|[-*•])?\s*$/) {
            rest = rest[..<mark.range.lowerBound]
        }
        guard let last = rest.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(rest[...last])
    }
}
