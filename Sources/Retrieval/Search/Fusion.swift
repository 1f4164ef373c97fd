/// Reciprocal rank fusion: a passage scores `1 / (constant + place)` in each lane that found it
/// (Cormack, Clarke and Buettcher, SIGIR 2009). Only places count, so the lanes need no common scale.
struct Fusion {
    struct Candidate: Equatable, Sendable {
        let passage: Int64
        var score = 0.0
        var keywordRank: Int?
        var vectorRank: Int?
        var similarity: Double?
    }

    let constant: Int
    /// What a passage needs that no keyword found.
    let similarityMin: Double

    /// Best first. The order does not depend on how many are asked for: the first five are the same
    /// whether five or fifty are taken.
    func candidates(
        keywords: [Int64], neighbours: [VectorRows.Neighbour]
    ) -> [Candidate] {
        var found: [Int64: Candidate] = [:]
        for (place, passage) in keywords.enumerated() {
            found[passage, default: Candidate(passage: passage)].keywordRank = place + 1
            found[passage]?.score += share(place + 1)
        }
        for (place, neighbour) in neighbours.enumerated() {
            let passage = neighbour.passage
            found[passage, default: Candidate(passage: passage)].vectorRank = place + 1
            found[passage]?.similarity = Double(neighbour.similarity)
            found[passage]?.score += share(place + 1)
        }
        return found.values.filter(isRelevant).sorted(by: precedes)
    }

    private func share(_ rank: Int) -> Double { 1 / Double(constant + rank) }

    private func isRelevant(_ candidate: Candidate) -> Bool {
        candidate.keywordRank != nil || candidate.similarity ?? -1 >= similarityMin
    }

    private func precedes(_ left: Candidate, _ right: Candidate) -> Bool {
        if left.score != right.score { return left.score > right.score }
        let ranks = (left.keywordRank ?? .max, right.keywordRank ?? .max)
        return ranks.0 != ranks.1 ? ranks.0 < ranks.1 : left.passage < right.passage
    }
}
