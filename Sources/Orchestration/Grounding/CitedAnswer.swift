import Core

/// What the sentences of an answer rest on, where the answer itself stays as it was written.
struct CitedAnswer {
    let question: String
    let passages: [Passage]

    /// A mark of the model holds its place unless another passage bears the sentence out; a sentence
    /// without one gets the passage that does. In the order of the text, each number once at a place.
    func citations(in written: MarkFilter, cosines: AnswerReview.Cosines) async -> [TextCitation] {
        guard !passages.isEmpty, !written.marked.isEmpty else { return [] }
        let review = AnswerReview(
            question: question, passages: passages, quotesPassages: false)
        let sentences = SentenceReview(
            written.marked, strays: [], evidence: review.evidence, question: review.question)
        let findings = await review.findings(of: sentences, cosines)
        var citations: [TextCitation] = []
        let scalars = written.marked.unicodeScalars
        var (place, count) = (scalars.startIndex, 0)
        for (sentence, finding) in zip(sentences.sentences, findings) {
            count += scalars.distance(from: place, to: sentence.range.upperBound)
            place = sentence.range.upperBound
            let offset = written.shownOffset(of: count)
            for number in Self.numbers(of: sentence, finding, sentences) {
                let citation = TextCitation(offset: offset, number: number)
                if !citations.contains(citation) { citations.append(citation) }
            }
        }
        return citations
    }

    private static func numbers(
        of sentence: SentenceReview.Sentence, _ finding: SentenceReview.Finding,
        _ review: SentenceReview
    ) -> [Int] {
        guard finding.isGood, let number = finding.number else { return sentence.cited }
        if !sentence.cited.isEmpty {
            let isWrong = !review.wrongCitations(of: sentence, finding).isEmpty
            return isWrong ? [number] : sentence.cited
        }
        let words = Words.contentSet(of: sentence.text)
        return words.count >= Attribution.wordsMin ? [number] : []
    }
}
