import Core

/// What would be given to a model of the passages that a search has found.
struct PassageContext: Sendable {
    /// As configured, before anything was chosen for a chat.
    let base: TurnShape
    /// Tokens of the context beside the answer, and those of instructions and question.
    let room: Int
    let fixed: Int
    /// Of the first found passages, in their order.
    let tokens: [Int]

    /// Which of the first `shape.passagesMax` hits go in, by their places.
    func given(_ hits: [SearchHit], _ shape: TurnShape) -> Set<Int> {
        let relevant = hits.indices.prefix(min(shape.passagesMax, tokens.count))
            .filter { shape.isRelevant(hits[$0]) }
        let fit = try? ContextFit(
            room: room, fixed: fixed, passages: relevant.map { tokens[$0] }, history: [],
            shape: shape)
        return Set((fit?.passages ?? []).map { relevant[$0] })
    }

    func rows(
        _ found: SearchExplanation, _ shape: TurnShape, given then: Set<Identifier>?
    ) -> [AnswerExplanation.Row] {
        let given = given(found.hits, shape)
        let rows = found.hits.enumerated().map { place, hit in
            let fate: AnswerExplanation.Row.Fate =
                if given.contains(place) {
                    .given
                } else if !shape.isRelevant(hit) {
                    .tooFar
                } else {
                    place < shape.passagesMax ? .overBudget : .pastLimit
                }
            return AnswerExplanation.Row(
                hit: hit, fate: fate, tokens: place < tokens.count ? tokens[place] : 0,
                wasGiven: then?.contains(hit.passage.id))
        }
        return rows
            + found.dropped.map {
                AnswerExplanation.Row(
                    hit: $0, fate: .tooFar, tokens: 0, wasGiven: then?.contains($0.passage.id))
            }
    }

    /// The fewest passages to be given with which the one at `place` is among them; nil where none
    /// is enough.
    func passagesNeeded(_ hits: [SearchHit], for place: Int, after count: Int) -> Int? {
        guard count < TurnShape.passagesLimit else { return nil }
        return (count + 1...TurnShape.passagesLimit).first {
            given(hits, base.giving(passages: $0)).contains(place)
        }
    }
}
