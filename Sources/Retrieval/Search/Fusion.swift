/// One order out of two lanes: each lane's scores are divided by its best, and a passage scores
/// their weighted sum, from 0 to 1. Scores say how far one passage is ahead of the next, which places
/// do not (Bruch, Gai and Ingber, TOIS 2023). Both lanes' scores of a passage count, also where only
/// one lane found it.
///
/// Then the best few speak for the question: its vector moves a little towards theirs, the words that
/// they use most join its own, and what was found is scored once more (Rocchio's relevance feedback,
/// here without anyone's judgement).
struct Fusion {
    /// What the lanes found.
    struct Evidence {
        /// Best first.
        var keywords: [PassageStore.Match] = []
        /// Best first.
        var neighbours: [VectorRows.Neighbour] = []
        /// Passages that hold word for word what the question names.
        var exact: [Int64] = []
        /// Nil where the question could not be embedded.
        var question: [Float]?
        /// The vectors of what was found, of unit length.
        var vectors: [Int64: [Float]] = [:]
        /// What the words of the best passages add to the words of the question.
        var feedback: [Int64: Double] = [:]
    }

    struct Candidate: Equatable, Sendable {
        let passage: Int64
        var score = 0.0
        var keywordRank: Int?
        var keywordScore: Double?
        var vectorRank: Int?
        var similarity: Double?
        var isExact = false
        /// Of a reranker, and the place that it gave.
        var rerankScore: Double?
        var rerankRank: Int?
    }

    /// How far into each lane a passage is a candidate. Scores further down still count for those
    /// that the other lane found.
    let depth: Int
    /// What meaning weighs against words, from 0 to 1.
    let vectorShare: Double
    /// What holding the exact words adds.
    let exactBonus: Double
    /// What a passage needs that no word found.
    let similarityMin: Double

    /// Best first, and those that are too far from the question in a second list. The order does not
    /// depend on how many are asked for: the first five are the same whether five or fifty are taken.
    func candidates(_ evidence: Evidence) -> (kept: [Candidate], dropped: [Candidate]) {
        var candidates = scored(evidence)
        let moved = moved(evidence, candidates)
        if moved != nil || !evidence.feedback.isEmpty {
            score(&candidates, evidence.feedback) { candidate in
                guard let moved else { return candidate.similarity }
                return evidence.vectors[candidate.passage].map { Self.cosine($0, moved) }
            }
            candidates.sort(by: precedes)
        }
        return (candidates.filter(isRelevant), candidates.filter { !isRelevant($0) })
    }

    /// The passages that speak for the question, best first.
    func best(_ evidence: Evidence) -> [(passage: Int64, score: Double)] {
        scored(evidence).filter(isRelevant).prefix(Self.feedbackPassages)
            .map { ($0.passage, $0.score) }
    }

    /// Best first, as they are before any feedback.
    private func scored(_ evidence: Evidence) -> [Candidate] {
        var candidates = union(evidence)
        score(&candidates, [:]) { $0.similarity }
        candidates.sort(by: precedes)
        return candidates
    }

    /// The passages that a search looks at, before any order.
    func passages(_ evidence: Evidence) -> Set<Int64> {
        Set(evidence.keywords.prefix(depth).map(\.passage))
            .union(evidence.neighbours.prefix(depth).map(\.passage))
            .union(evidence.exact.prefix(depth))
    }

    private func union(_ evidence: Evidence) -> [Candidate] {
        var found: [Int64: Candidate] = [:]
        for passage in passages(evidence) { found[passage] = Candidate(passage: passage) }
        for (place, match) in evidence.keywords.enumerated() {
            found[match.passage]?.keywordScore = match.score
            if place < depth { found[match.passage]?.keywordRank = place + 1 }
        }
        for (place, neighbour) in evidence.neighbours.prefix(depth).enumerated() {
            found[neighbour.passage]?.vectorRank = place + 1
            found[neighbour.passage]?.similarity = Double(neighbour.similarity)
        }
        for passage in evidence.exact { found[passage]?.isExact = true }
        return found.values.map { candidate in
            var candidate = candidate
            if candidate.similarity == nil, let question = evidence.question {
                candidate.similarity = evidence.vectors[candidate.passage].map {
                    Self.cosine($0, question)
                }
            }
            return candidate
        }
    }

    /// Where one lane found nothing the other decides alone.
    private func score(
        _ candidates: inout [Candidate], _ feedback: [Int64: Double],
        _ similarity: (Candidate) -> Double?
    ) {
        let similarities = candidates.map { max(0, similarity($0) ?? 0) }
        let keywords = candidates.map { ($0.keywordScore ?? 0) + (feedback[$0.passage] ?? 0) }
        let best = (keyword: keywords.reduce(0, max), similarity: similarities.reduce(0, max))
        for place in candidates.indices {
            let candidate = candidates[place]
            let words = best.keyword > 0 ? keywords[place] / best.keyword : 0
            let meaning = best.similarity > 0 ? similarities[place] / best.similarity : 0
            candidates[place].score =
                vectorShare * meaning + (1 - vectorShare) * words
                + (candidate.isExact ? exactBonus : 0)
        }
    }

    /// Enough to even out one that is beside the point, few enough to stay with the question.
    private static let feedbackPassages = 3
    /// Small: the question has the last word.
    private static let feedbackWeight = 0.2

    /// What is added to the scores of a question of so many terms: all feedback words together weigh
    /// as much beside them as the passages' vectors beside the question's own.
    static func feedback(_ matches: [PassageStore.Match], terms: Int) -> [Int64: Double] {
        let weight = feedbackWeight * Double(terms) / Double(FeedbackWords.wordsMax)
        return Dictionary(
            matches.map { ($0.passage, $0.score * weight) }, uniquingKeysWith: { $1 })
    }

    private func moved(_ evidence: Evidence, _ candidates: [Candidate]) -> [Float]? {
        guard var moved = evidence.question else { return nil }
        let best = candidates.filter(isRelevant).prefix(Self.feedbackPassages)
            .compactMap { evidence.vectors[$0.passage] }.filter { $0.count == moved.count }
        guard !best.isEmpty else { return nil }
        let weight = Float(Self.feedbackWeight) / Float(best.count)
        for vector in best {
            for place in moved.indices { moved[place] += weight * vector[place] }
        }
        return moved
    }

    /// Of vectors of one length: the scale of the second is the same for all and falls out.
    private static func cosine(_ left: [Float], _ right: [Float]) -> Double {
        guard left.count == right.count else { return 0 }
        var sum: Float = 0
        for place in left.indices { sum += left[place] * right[place] }
        return Double(sum)
    }

    private func isRelevant(_ candidate: Candidate) -> Bool {
        candidate.isExact || candidate.keywordRank != nil
            || candidate.similarity ?? -1 >= similarityMin
    }

    private func precedes(_ left: Candidate, _ right: Candidate) -> Bool {
        if left.score != right.score { return left.score > right.score }
        let ranks = (left.keywordRank ?? .max, right.keywordRank ?? .max)
        return ranks.0 != ranks.1 ? ranks.0 < ranks.1 : left.passage < right.passage
    }
}
