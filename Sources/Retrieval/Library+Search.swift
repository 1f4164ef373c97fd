package import Core
import Logging
import Metrics
import Synchronization
import Tracing

extension Library {
    package func search(_ request: SearchRequest) async throws -> [SearchHit] {
        let began = ContinuousClock.now
        let hits = try await withSpan("retrieval", ofKind: .internal) { span in
            let limit = min(max(0, request.limit), configuration.candidatesMax)
            span.attributes["gen_ai.operation.name"] = "retrieval"
            span.attributes["gen_ai.request.top_k"] = limit
            let hits = try await search(request, limit: limit, span)
            span.attributes["heptad.retrieval.hits"] = hits.count
            return hits
        }
        Meters.searches.increment()
        Meters.searchHits.record(hits.count)
        Meters.searchDuration.recordNanoseconds((ContinuousClock.now - began).microseconds * 1000)
        return hits
    }

    private func search(
        _ request: SearchRequest, limit: Int, _ span: any Span
    ) async throws -> [SearchHit] {
        let owner = request.principal.userID
        let scope = try await documents.scope(request.collectionIDs, of: owner)
        guard limit > 0, !scope.isEmpty else { return [] }
        async let found = keywordLane(request.text, scope, span)
        async let near = vectorLane(request, scope, span)
        let (keywords, neighbours) = try await (found, near)
        let candidates = Fusion(
            constant: configuration.fusionConstant, similarityMin: configuration.similarityMin
        ).candidates(keywords: keywords, neighbours: neighbours).prefix(limit)
        let passages = try await passages.passages(candidates.map(\.passage), of: owner)
        return candidates.compactMap { candidate in
            passages[candidate.passage].map { passage in
                SearchHit(
                    passage: passage, score: candidate.score, keywordRank: candidate.keywordRank,
                    vectorRank: candidate.vectorRank, similarity: candidate.similarity)
            }
        }
    }

    /// Both lanes are read to one depth whatever the limit is, so that a larger limit only adds.
    private func keywordLane(
        _ text: String, _ scope: [Int64], _ span: any Span
    ) async throws -> [Int64] {
        guard let expression = KeywordQuery.expression(for: text) else { return [] }
        let began = ContinuousClock.now
        let matches = try await passages.matches(
            expression, in: scope, limit: configuration.candidatesMax)
        span.attributes["heptad.retrieval.keyword_hits"] = matches.count
        span.attributes["heptad.retrieval.keyword_ms"] =
            (ContinuousClock.now - began).milliseconds
        return matches
    }

    /// Empty where the question cannot be embedded: then words alone decide.
    private func vectorLane(
        _ request: SearchRequest, _ scope: [Int64], _ span: any Span
    ) async throws -> [VectorRows.Neighbour] {
        let text = TextHygiene.cleanLine(request.text).trimmed()
        guard !text.isEmpty else { return [] }
        do {
            let began = ContinuousClock.now
            let vectors = try await embedder.vectors(
                of: [String(text.prefix(Self.questionMax))], for: request.principal,
                purpose: "search")
            guard let question = vectors.first else { return [] }
            questionModel.withLock { $0 = question.candidate }
            let embedded = ContinuousClock.now
            let neighbours = try await index.nearest(
                to: question, in: scope, limit: configuration.candidatesMax)
            span.attributes["heptad.retrieval.embed_ms"] = (embedded - began).milliseconds
            span.attributes["heptad.retrieval.vector_ms"] =
                (ContinuousClock.now - embedded).milliseconds
            span.attributes["heptad.retrieval.vector_hits"] = neighbours.count
            return neighbours
        } catch {
            let failure = Failure(error)
            if failure.code == .cancelled || Task.isCancelled { throw error }
            Meters.searchesWithoutVectors.increment()
            span.attributes["heptad.retrieval.vectors_failed"] = failure.code.rawValue
            log.notice("Searching by keywords alone.", metadata: ["why": "\(failure)"])
            return []
        }
    }

    /// Characters of a question that are embedded; no model reads more of one.
    private static let questionMax = 4000
}
