package import Core
import Logging
import Metrics
import Synchronization
import Tracing

extension Library {
    package func search(_ request: SearchRequest) async throws -> [SearchHit] {
        let limit = limit(of: request)
        guard limit > 0 else { return [] }
        return try await measured(limit) { span in
            let ranking = try await reranking(request, span)
            return try await hits(
                ranking.kept.prefix(ranking.limit(limit)), for: request.principal)
        }
    }

    func limit(of request: SearchRequest) -> Int {
        min(max(0, request.limit), configuration.candidatesMax)
    }

    func measured(
        _ limit: Int, _ search: (any Span) async throws -> [SearchHit]
    ) async throws -> [SearchHit] {
        let began = ContinuousClock.now
        let hits = try await withSpan("retrieval", ofKind: .internal) { span in
            span.attributes["gen_ai.operation.name"] = "retrieval"
            span.attributes["gen_ai.request.top_k"] = limit
            let hits = try await search(span)
            span.attributes["heptad.retrieval.hits"] = hits.count
            return hits
        }
        Meters.searches.increment()
        Meters.searchHits.record(hits.count)
        Meters.searchDuration.recordNanoseconds((ContinuousClock.now - began).microseconds * 1000)
        return hits
    }

    /// The passages of candidates; those that were removed meanwhile are left out.
    func hits(
        _ candidates: ArraySlice<Fusion.Candidate>, for principal: Principal
    ) async throws -> [SearchHit] {
        let passages = try await passages.passages(candidates.map(\.passage), for: principal)
        return candidates.compactMap { candidate in
            passages[candidate.passage].map { passage in
                var hit = SearchHit(
                    passage: passage, score: candidate.score, keywordRank: candidate.keywordRank,
                    vectorRank: candidate.vectorRank, similarity: candidate.similarity,
                    keywordScore: candidate.keywordScore, isExact: candidate.isExact)
                hit.rerankScore = candidate.rerankScore
                hit.rerankRank = candidate.rerankRank
                return hit
            }
        }
    }

    /// The ways in which a search looks. A search takes both; measuring also takes one.
    enum Lanes: String, CaseIterable {
        case keyword, vector, both

        /// A collection that says 0 or 1 for what meaning weighs wants one lane alone.
        fileprivate init(of settings: CollectionSettings?) {
            self =
                switch settings?.vectorShare {
                case 0: .keyword
                case 1: .vector
                default: .both
                }
        }
    }

    struct Ranking {
        var kept: [Fusion.Candidate] = []
        /// Found, and too far from the question.
        var dropped: [Fusion.Candidate] = []
        var kind: QuestionKind
        var vectorShare: Double
        var similarityMin: Double
        /// The most that the collection gives, where it says so.
        var passagesMax: Int?
        /// Nil where the question could not be embedded.
        var question: Vector?
        /// Who had the last word on the order, where somebody had.
        var reranker: String?
        /// What the reader of an explanation should know.
        var notes: [String] = []

        func limit(_ asked: Int) -> Int { min(asked, passagesMax ?? asked) }
    }

    /// The order that a search has in the end.
    func reranking(_ request: SearchRequest, _ span: any Span) async throws -> Ranking {
        var ranking = try await ranking(request, lanes: .both, span)
        let others = request.queries.prefix(Self.queriesMax - 1)
        if !others.isEmpty {
            var rankings = [ranking]
            for query in others {
                let other = request.asking(query)
                rankings.append(try await self.ranking(other, lanes: .both, span))
            }
            (ranking.kept, ranking.dropped) = QueryFusion.fused(rankings)
            span.attributes["heptad.retrieval.queries"] = rankings.count
        }
        try await rerank(&ranking, for: request, span)
        return ranking
    }

    /// All that is found among the collections, in order. What the limit of the request is makes no
    /// difference, so that a larger limit only adds.
    func ranking(
        _ request: SearchRequest, lanes: Lanes, _ span: any Span
    ) async throws -> Ranking {
        let kind = QuestionKind(request.text)
        let scope = try await documents.scope(of: request)
        // The settings of a collection are for searches in it alone.
        let own = scope.settings
        let share = own?.vectorShare ?? configuration.vectorShare
        let lanes = lanes == .both ? Lanes(of: own) : lanes
        let fusion = Fusion(
            depth: configuration.candidatesMax,
            vectorShare: lanes == .vector ? 1 : kind.vectorShare(share),
            exactBonus: kind.exactBonus,
            similarityMin: own?.similarityMin ?? configuration.similarityMin)
        var ranking = Ranking(
            kind: kind, vectorShare: fusion.vectorShare, similarityMin: fusion.similarityMin,
            passagesMax: own?.passagesMax)
        guard !scope.isEmpty else { return ranking }
        await documents.noteUse(of: scope)
        var evidence = Fusion.Evidence()
        async let found = lanes == .vector ? [] : keywordLane(request.text, scope, span)
        async let exact = lanes == .vector ? [] : exactLane(kind, scope)
        async let near = lanes == .keyword ? nil : vectorLane(request, scope, span)
        evidence.keywords = try await found
        evidence.exact = try await exact
        if let near = try await near {
            evidence.neighbours = near.neighbours
            evidence.question = near.question.elements
            evidence.vectors = try await vectors.elements(
                of: fusion.passages(evidence), candidate: near.question.candidate,
                dimensions: near.question.elements.count)
            ranking.question = near.question
        }
        // Where none of its own words is found, others would not stand beside it but in its place.
        if lanes == .both, kind.shape == .prose, !evidence.keywords.isEmpty {
            let matches = try await passages.feedback(
                of: fusion.best(evidence), among: fusion.passages(evidence))
            evidence.feedback = Fusion.feedback(
                matches, terms: KeywordQuery.terms(of: request.text).count)
        }
        (ranking.kept, ranking.dropped) = fusion.candidates(evidence)
        span.attributes["heptad.retrieval.question"] = kind.shape.rawValue
        return ranking
    }

    private func keywordLane(
        _ text: String, _ scope: SearchScope, _ span: any Span
    ) async throws -> [PassageStore.Match] {
        guard let expression = KeywordQuery.expression(for: text) else { return [] }
        let began = ContinuousClock.now
        // Deeper than candidates go, for the scores of those that only the vectors find.
        let matches = try await passages.best(
            expression, in: scope, limit: configuration.candidatesMax * Self.scoresPerCandidate)
        span.attributes["heptad.retrieval.keyword_hits"] = matches.count
        span.attributes["heptad.retrieval.keyword_ms"] =
            (ContinuousClock.now - began).milliseconds
        return matches
    }

    private func exactLane(_ kind: QuestionKind, _ scope: SearchScope) async throws -> [Int64] {
        guard let expression = kind.exact else { return [] }
        return try await passages.matches(
            expression, in: scope, limit: configuration.candidatesMax
        ).map(\.passage)
    }

    /// Nil where the question cannot be embedded: then words alone decide.
    private func vectorLane(
        _ request: SearchRequest, _ scope: SearchScope, _ span: any Span
    ) async throws -> (question: Vector, neighbours: [VectorRows.Neighbour])? {
        let text = Self.embedded(request.text)
        guard !text.isEmpty else { return nil }
        do {
            let began = ContinuousClock.now
            guard let question = try await embedQuestion(text, for: request.principal) else {
                Meters.searchesWithoutVectors.increment()
                span.attributes["heptad.retrieval.vectors_failed"] = "model_changed"
                return nil
            }
            let embedded = ContinuousClock.now
            let neighbours = try await index.nearest(
                to: question, in: scope, limit: configuration.candidatesMax)
            span.attributes["heptad.retrieval.embed_ms"] = (embedded - began).milliseconds
            span.attributes["heptad.retrieval.vector_ms"] =
                (ContinuousClock.now - embedded).milliseconds
            span.attributes["heptad.retrieval.vector_hits"] = neighbours.count
            return (question, neighbours)
        } catch {
            let failure = Failure(error)
            if failure.code == .cancelled || Task.isCancelled { throw error }
            Meters.searchesWithoutVectors.increment()
            span.attributes["heptad.retrieval.vectors_failed"] = failure.code.rawValue
            log.notice("Searching by keywords alone.", metadata: ["why": "\(failure)"])
            return nil
        }
    }

    /// What the embedder reads of a question.
    static func embedded(_ question: String) -> String {
        String(TextHygiene.cleanLine(question).trimmed().prefix(questionMax))
    }

    /// Characters of a question that are embedded; no model reads more of one.
    private static let questionMax = 4000
    private static let scoresPerCandidate = 10
}

extension SearchRequest {
    /// The same search for other words.
    fileprivate func asking(_ text: String) -> SearchRequest {
        var request = SearchRequest(
            principal: principal, text: text, collectionIDs: collectionIDs, limit: limit)
        request.filter = filter
        return request
    }
}
