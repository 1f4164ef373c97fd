import Core

/// Which passage supports a sentence of an answer.
///
/// The measure is how much of the sentence's content words, weighted by how telling they are and less
/// where they only repeat the question, stands in one stretch of a passage (`share`), and how close the two are in meaning (`cosine`, where an
/// embedder is there). A figure that the passage lacks, or a word that only one of the two negates,
/// rules the passage out whatever the rest says.
struct Attribution {
    /// A stretch that may support a sentence.
    struct Candidate {
        let number: Int
        let share: Double
        let text: String
    }

    /// Words alone are enough from here on.
    static let shareAlone = 0.75
    /// With meaning asked, this many words and `cosineWithWords` support a sentence.
    static let shareWithCosine = 0.5
    static let cosineWithWords = 0.65
    /// A paraphrase: few words in common, but nearly the same meaning.
    static let shareOfParaphrase = 0.2
    static let cosineOfParaphrase = 0.75
    /// Without an embedder, words must do.
    static let shareWithoutEmbedder = 0.6
    /// A sentence says something that can be supported from this many content words on.
    static let wordsMin = 2

    let evidence: Evidence
    /// The question's words.
    var asked: Set<String> = []

    /// The best stretch of each passage for a sentence, best first; those that cannot support it are
    /// left out.
    func candidates(for sentence: String) -> [Candidate] {
        let words = Words.content(of: CitationMarks.removed(from: sentence))
        let set = Set(words)
        guard set.count >= Self.wordsMin else { return [] }
        let figures = Words.figures(in: words)
        let negated = Words.negated(in: sentence)

        var best: [Int: Candidate] = [:]
        for window in evidence.windows {
            let share = evidence.share(of: set, in: window.words, asked: asked)
            guard share >= Self.shareOfParaphrase, share > best[window.number]?.share ?? 0 else {
                continue
            }
            best[window.number] = Candidate(number: window.number, share: share, text: window.text)
        }
        return best.values
            .filter { evidence.hasAll(figures, inPassage: $0.number) }
            .filter { !contradicts(set, negated: negated, passage: $0.number) }
            .sorted { ($1.share, $0.number) < ($0.share, $1.number) }
    }

    /// Which candidate supports the sentence. `cosines` are those of the candidates, in their order;
    /// nil where no embedder answered.
    static func choice(of candidates: [Candidate], cosines: [Float]?) -> Candidate? {
        guard let cosines, cosines.count == candidates.count else {
            return candidates.first { $0.share >= shareWithoutEmbedder }
        }
        let supporting = zip(candidates, cosines).filter { candidate, cosine in
            let cosine = Double(cosine)
            return candidate.share >= shareAlone
                || candidate.share >= shareWithCosine && cosine >= cosineWithWords
                || candidate.share >= shareOfParaphrase && cosine >= cosineOfParaphrase
        }
        return supporting.max { $0.0.share + Double($0.1) < $1.0.share + Double($1.1) }?.0
    }

    /// Whether asking the embedder could change anything.
    static func isOpen(_ candidates: [Candidate]) -> Bool {
        guard let first = candidates.first else { return false }
        return first.share < shareAlone
    }

    /// Whether the sentence of the passage that is plainly about the same thing says the opposite: a
    /// word they share is negated in one of them only.
    private func contradicts(_ words: Set<String>, negated: Set<String>, passage: Int) -> Bool {
        guard let closest = evidence.closestUnit(to: words, inPassage: passage),
            closest.share >= 0.5
        else { return false }
        let shared = words.intersection(Words.contentSet(of: closest.text))
        let difference = negated.symmetricDifference(Words.negated(in: closest.text))
        return !shared.isDisjoint(with: difference)
    }
}
