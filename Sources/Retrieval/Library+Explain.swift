package import Core

extension Library {
    package func explain(_ request: SearchRequest) async throws -> SearchExplanation {
        let limit = limit(of: request)
        let principal = request.principal
        var ranking = Ranking(
            kind: QuestionKind(request.text), vectorShare: 0,
            similarityMin: configuration.similarityMin)
        var hits = try await measured(limit) { span in
            ranking = try await self.reranking(request, span)
            return try await self.hits(
                ranking.kept.prefix(ranking.limit(limit)), for: principal)
        }
        for place in hits.indices { hits[place].rank = place + 1 }
        let dropped = try await self.hits(ranking.dropped.prefix(limit), for: principal)
        var explanation = SearchExplanation(
            hits: hits, dropped: dropped, question: ranking.kind.shape.rawValue,
            vectorShare: ranking.vectorShare, similarityMin: ranking.similarityMin,
            hasVectors: ranking.question != nil)
        explanation.queries = Array(request.queries.prefix(Self.queriesMax - 1))
        explanation.reranker = ranking.reranker
        explanation.notes = ranking.notes
        explanation.notes += try await modelNotes(hasVectors: ranking.question != nil)
        let scope = try await documents.scope(of: request)
        (explanation.documentCount, explanation.passageCount) = try await documents.counts(
            in: scope)
        if let document = request.documentID {
            explanation.expected = try await explained(document, request, ranking, scope)
        }
        return explanation
    }

    /// Characters of a document's text that an explanation shows.
    private static let excerptMax = 800
    /// Its passages that an explanation looks at and lists.
    private static let passagesLookedAtMax = 5000
    private static let passagesListedMax = 8

    private func explained(
        _ id: Identifier, _ request: SearchRequest, _ ranking: Ranking, _ scope: SearchScope
    ) async throws -> DocumentExplanation {
        let principal = request.principal
        let (document, text) = try await documents.text(of: id, for: principal)
        let numbers = try await passages.numbers(
            ofDocument: document.number, limit: Self.passagesLookedAtMax)
        let own = try await candidates(numbers, request.text, ranking)
        var hits = try await self.hits(
            own.candidates.prefix(Self.passagesListedMax), for: principal)
        let ranks = Dictionary(
            ranking.kept.enumerated().map { ($1.passage, $0 + 1) },
            uniquingKeysWith: { first, _ in first })
        for (place, candidate) in own.candidates.prefix(hits.count).enumerated() {
            hits[place].rank = ranks[candidate.passage]
        }
        let terms = KeywordQuery.words(of: request.text)
        let present = try await passages.words(terms, amongPassages: numbers)
        return DocumentExplanation(
            document: document.summary, excerpt: String(text.prefix(Self.excerptMax)),
            characterCount: text.count, isSearched: scope.holds(document),
            passagesWithoutVector: own.withoutVector,
            words: terms.filter(present.contains),
            missingWords: terms.filter { !present.contains($0) },
            hits: hits)
    }

    /// A document's passages as candidates, best first, also those that no lane found; and how many
    /// have no vector.
    private func candidates(
        _ numbers: [Int64], _ text: String, _ ranking: Ranking
    ) async throws -> (candidates: ArraySlice<Fusion.Candidate>, withoutVector: Int) {
        let matches: [PassageStore.Match] =
            if let expression = KeywordQuery.expression(for: text) {
                try await passages.matches(expression, amongPassages: numbers)
            } else {
                []
            }
        let scores = Dictionary(
            matches.map { ($0.passage, $0.score) }, uniquingKeysWith: { first, _ in first })
        var elements: [Int64: [Float]] = [:]
        var withoutVector = 0
        if let question = ranking.question {
            elements = try await vectors.elements(
                of: Set(numbers), candidate: question.candidate,
                dimensions: question.elements.count)
            withoutVector = numbers.count - elements.count
        } else {
            withoutVector = try await passages.countWithoutVector(numbers)
        }
        let found = Dictionary(
            (ranking.kept + ranking.dropped).map { ($0.passage, $0) },
            uniquingKeysWith: { first, _ in first })
        let order = Dictionary(
            ranking.kept.enumerated().map { ($1.passage, $0) },
            uniquingKeysWith: { first, _ in first })
        let candidates = numbers.map { number in
            if let candidate = found[number] { return candidate }
            var candidate = Fusion.Candidate(passage: number)
            candidate.keywordScore = scores[number]
            if let question = ranking.question {
                candidate.similarity = elements[number].map {
                    zip($0, question.elements).reduce(0) { $0 + Double($1.0 * $1.1) }
                }
            }
            return candidate
        }
        let sorted = candidates.sorted { left, right in
            let places = (order[left.passage] ?? .max, order[right.passage] ?? .max)
            if places.0 != places.1 { return places.0 < places.1 }
            let scores = (Self.loneScore(left), Self.loneScore(right))
            return scores.0 != scores.1 ? scores.0 > scores.1 : left.passage < right.passage
        }
        return (sorted[...], withoutVector)
    }

    /// For an order among those that were not found: meaning, and words where there is none.
    private static func loneScore(_ candidate: Fusion.Candidate) -> Double {
        (candidate.similarity ?? 0) + (candidate.keywordScore ?? 0) / 1000
    }
}
