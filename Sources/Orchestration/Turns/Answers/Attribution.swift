import Core

/// Which passage supports a sentence of an answer.
///
/// The measure is how much of the sentence's content words, weighted by how telling they are and less
/// where they only repeat the question, stands in one stretch of a passage (`share`), and how close
/// the two are in meaning (`cosine`, where an embedder is there). A figure that the passage lacks, or a word that only one of the two negates,
/// rules the passage out whatever the rest says.
struct Attribution {
    /// A stretch that may support a sentence.
    struct Candidate {
        let number: Int
        let share: Double
        let text: String
        /// Where it stands in the passage.
        var range: Range<String.Index>?
    }

    /// What the passages have to say to a sentence.
    struct Assessment {
        /// The best stretch of each passage that may support it, best first.
        var candidates: [Candidate] = []
        /// Its figures that no passage has, as the sentence spells them.
        var missingFigures: [String] = []
        /// The best of the passages that plainly speak of the same and say the opposite.
        var contradicting: Int?
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
        assessment(of: sentence, wordsMin: Self.wordsMin).candidates
    }

    func assessment(of sentence: String, wordsMin: Int = 1) -> Assessment {
        let words = Words.content(of: CitationMarks.removed(from: sentence))
        let set = Set(words)
        guard set.count >= wordsMin else { return Assessment() }
        let figures = Words.figures(in: words)
        let negated = Words.negated(in: sentence)
        var assessment = Assessment()
        assessment.missingFigures = figures.filter { !evidence.has($0) }

        var best: [Int: Candidate] = [:]
        for window in evidence.windows {
            let share = evidence.share(of: set, in: window.words, asked: asked)
            guard share >= Self.shareOfParaphrase, share > best[window.number]?.share ?? 0 else {
                continue
            }
            best[window.number] = Candidate(
                number: window.number, share: share, text: window.text, range: window.range)
        }
        for candidate in best.values.sorted(by: Self.precedes)
        where evidence.hasAll(figures, inPassage: candidate.number) {
            if contradicts(set, negated: negated, passage: candidate.number) {
                assessment.contradicting = assessment.contradicting ?? candidate.number
            } else if assessment.contradicting == nil || candidate.share >= Self.shareAlone {
                // Who says less of it does not outweigh who says the opposite.
                assessment.candidates.append(candidate)
            }
        }
        return assessment
    }

    private static func precedes(_ left: Candidate, _ right: Candidate) -> Bool {
        (right.share, left.number) < (left.share, right.number)
    }

    /// How much of a sentence stands in several passages together, each of which may have a part of
    /// it. Zero where they lack one of its figures.
    func jointShare(of sentence: String, in candidates: [Candidate]) -> Double {
        let words = Words.content(of: CitationMarks.removed(from: sentence))
        let numbers = candidates.map(\.number)
        let hasFigures = Words.figures(in: words).allSatisfy { figure in
            numbers.contains { evidence.hasAll([figure], inPassage: $0) }
        }
        guard hasFigures else { return 0 }
        let said = candidates.reduce(into: Set<String>()) {
            $0.formUnion(Words.contentSet(of: $1.text))
        }
        return evidence.share(of: Set(words), in: said, asked: asked)
    }

    /// Which candidate supports the sentence. `cosines` are those of the candidates, in their order;
    /// nil where no embedder answered.
    static func choice(of candidates: [Candidate], cosines: [Float]?) -> Candidate? {
        guard let cosines, cosines.count == candidates.count else {
            return candidates.first { supports($0, cosine: nil) }
        }
        return zip(candidates, cosines).filter { supports($0, cosine: Double($1)) }
            .max { $0.0.share + Double($0.1) < $1.0.share + Double($1.1) }?.0
    }

    static func supports(_ candidate: Candidate, cosine: Double?) -> Bool {
        guard let cosine else { return candidate.share >= shareWithoutEmbedder }
        return candidate.share >= shareAlone
            || candidate.share >= shareWithCosine && cosine >= cosineWithWords
            || candidate.share >= shareOfParaphrase && cosine >= cosineOfParaphrase
    }

    /// Whether asking the embedder could change anything.
    static func isOpen(_ candidates: [Candidate]) -> Bool {
        guard let first = candidates.first else { return false }
        return first.share < shareAlone
    }

    /// From this share of a sentence's words on, a sentence of a passage is about the same.
    private static let shareOfTheSame = 0.4

    /// Whether a sentence of the passage that is plainly about the same thing says the opposite: a word
    /// they share is negated in one of them only, and no other has all that they share without that.
    private func contradicts(_ words: Set<String>, negated: Set<String>, passage: Int) -> Bool {
        let units = evidence.units(of: passage).map { unit in
            let shared = words.intersection(unit.words)
            let difference = negated.symmetricDifference(unit.negated)
            return (shared: shared, isOpposite: !shared.isDisjoint(with: difference))
        }
        return units.contains { unit in
            unit.isOpposite
                && evidence.share(of: words, in: unit.shared) >= Self.shareOfTheSame
                && !units.contains { !$0.isOpposite && $0.shared.isSuperset(of: unit.shared) }
        }
    }
}
