import Core
import Logging

/// Turns what a model wrote into the answer that is kept: valid marks stay, sentences get the mark
/// of the passage that supports them, and where the model had nothing to say a passage is quoted.
struct AnswerReview {
    struct Result: Equatable {
        var text: String
        var citations: [Citation]
        var notice: String?
        var sentenceCount = 0
        var supportedCount = 0
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
        let text = CitationMarks.kept(in: Self.tidied(written), count: evidence.passages.count)
        let attributed = await attributions(of: text, cosines)
        let quotation = await quotation(cosines)
        let named = quotation.flatMap { items(of: $0, namedIn: text) }
        let facts = AnswerFacts(
            hasPassages: !evidence.passages.isEmpty,
            isEmpty: !text.unicodeScalars.contains {
                $0.properties.isAlphabetic || $0.properties.numericType != nil
            },
            isRefusal: Refusal.isOne(text),
            sentenceCount: attributed.sentenceCount,
            supportedCount: attributed.supportedCount,
            hasStrongQuotation: quotation?.isStrong == true,
            listItemCount: named?.count ?? 0, listItemsMissing: named?.missing ?? 0,
            isOffTopic: isOffTopic(text, quotation), isVerbatim: isVerbatim(text, quotation),
            quotesPassages: quotesPassages)
        let verdict = facts.verdict

        var result = Result(text: text, citations: [], notice: verdict.notice)
        result.sentenceCount = attributed.sentenceCount
        result.supportedCount = attributed.supportedCount
        switch (verdict, quotation) {
        case (.quote, let quotation?):
            result.text = quotation.markdown
            result.citations = [citation(quotation.window.number, .quoted)]
        case (.append, let quotation?), (.appendEvidence, let quotation?):
            let (marked, citations) = mark(text, attributed.supported)
            result.text = marked + "\n\n" + quotation.markdown
            let quoted = citation(quotation.window.number, .quoted)
            let others = citations.filter { $0.number != quoted.number || verdict != .append }
            let isThere = others.contains { $0.number == quoted.number }
            result.citations = (others + (isThere ? [] : [quoted])).sorted { $0.number < $1.number }
        case (.nothingFound, _):
            result.text = AnswerVerdict.nothingFoundText
        default:
            (result.text, result.citations) = mark(text, attributed.supported)
        }
        return result
    }

    private struct Attributed {
        /// The end of each supported sentence and its passage, in the order of the text.
        var supported: [(unit: TextUnits.Unit, number: Int)] = []
        /// Sentences that say something beyond the question, and those of them that are supported.
        var sentenceCount = 0
        var supportedCount = 0
    }

    private func attributions(of text: String, _ cosines: Cosines) async -> Attributed {
        var result = Attributed()
        guard !evidence.passages.isEmpty else { return result }
        let attribution = Attribution(evidence: evidence, asked: question.words)
        let units = TextUnits(text)
        let sentences = units.units.filter { $0.kind != .heading }.flatMap { unit in
            TextUnits.sentences(in: text, unit.range).map {
                TextUnits.Unit(range: $0, kind: unit.kind, group: unit.group)
            }
        }
        let candidates = sentences.map { attribution.candidates(for: String(text[$0.range])) }
        var pairs: [(String, String)] = []
        var asked: [Int: Range<Int>] = [:]
        for (place, found) in candidates.enumerated() where Attribution.isOpen(found) {
            guard pairs.count + found.count <= Self.pairsMax else { break }
            asked[place] = pairs.count..<(pairs.count + found.count)
            pairs += found.map { (String(text[sentences[place].range]), $0.text) }
        }
        let answers = pairs.isEmpty ? nil : await cosines(pairs)
        for (place, found) in candidates.enumerated() {
            let words = Words.contentSet(of: text[sentences[place].range])
            // What only says the question again counts neither way.
            let isSaying = words.subtracting(question.words).count >= Attribution.wordsMin
            if isSaying { result.sentenceCount += 1 }
            let known = asked[place].flatMap { range in answers.map { Array($0[range]) } }
            guard let choice = Attribution.choice(of: found, cosines: known) else { continue }
            result.supported.append((sentences[place], choice.number))
            if isSaying { result.supportedCount += 1 }
        }
        return result
    }

    private func quotation(_ cosines: Cosines) async -> Quotation? {
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

    /// Puts a mark behind each supported sentence that has none, before its full stop.
    private func mark(
        _ text: String, _ supported: [(unit: TextUnits.Unit, number: Int)]
    ) -> (String, [Citation]) {
        var result = ""
        var rest = text.startIndex
        var origins: [Int: Citation.Origin] = [:]
        for number in CitationMarks.numbers(in: text) { origins[number] = .model }
        for (unit, number) in supported {
            guard CitationMarks.numbers(in: text[unit.range]).isEmpty else { continue }
            var end = unit.range.upperBound
            while end > unit.range.lowerBound {
                let before = text.index(before: end)
                guard ".!?:;。！？".contains(text[before]) else { break }
                end = before
            }
            result += text[rest..<end] + " [\(number)]"
            rest = end
            origins[number] = origins[number] ?? .attributed
        }
        let citations = origins.keys.sorted().map { citation($0, origins[$0] ?? .attributed) }
        return (result + text[rest...], citations)
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
