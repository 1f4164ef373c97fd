/// One order out of those that several wordings of a question found, by places: a passage gains from
/// each the more the further up it stands there (reciprocal rank fusion; Cormack, Clarke and Büttcher,
/// SIGIR 2009).
enum QueryFusion {
    /// How far the difference between the first places counts; theirs.
    private static let damping = 60.0

    /// The first order is that of the question itself: its scores and ranks are shown of what it found,
    /// and it decides between equals. Scores are from 0 to 1.
    static func fused(_ rankings: [Library.Ranking]) -> (
        kept: [Fusion.Candidate], dropped: [Fusion.Candidate]
    ) {
        var candidates: [Fusion.Candidate] = []
        var places: [Int64: Int] = [:]
        var sums: [Double] = []
        for ranking in rankings {
            for (rank, candidate) in ranking.kept.enumerated() {
                let place = places[candidate.passage] ?? candidates.count
                if place == candidates.count {
                    places[candidate.passage] = place
                    candidates.append(candidate)
                    sums.append(0)
                }
                sums[place] += 1 / (damping + Double(rank + 1))
            }
        }
        let most = Double(rankings.count) / (damping + 1)
        for place in candidates.indices { candidates[place].score = sums[place] / most }
        // Stable: equals stay as they came, those of the question first.
        candidates.sort { $0.score > $1.score }
        let dropped = rankings.first?.dropped.filter { places[$0.passage] == nil } ?? []
        return (candidates, dropped)
    }
}
