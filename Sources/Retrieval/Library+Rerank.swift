import Core
import Logging
import Metrics
import Synchronization
import Tracing

/// The best of what was found, put in order once more by a model that reads question and passage
/// together. How many it reads does not depend on how many are asked for.
extension Library {
    /// What becomes of a passage's place and score.
    func rerank(
        _ ranking: inout Ranking, for request: SearchRequest, _ span: any Span
    ) async throws {
        let settings = configuration.reranker
        guard let reranker, !settings.model.isEmpty, !ranking.kept.isEmpty else { return }
        let best = ranking.kept.prefix(settings.candidatesMax).map(\.passage)
        let began = ContinuousClock.now
        do {
            let found = try await passages.passages(best, for: request.principal)
            let passages = best.compactMap { number in found[number].map { (number, $0) } }
            guard !passages.isEmpty else { return }
            let call = RerankRequest(
                principal: request.principal, candidate: settings.model,
                question: Self.embedded(request.text), texts: passages.map { Self.ranked($1) })
            let answer = try await Self.limited(to: settings.timeoutSeconds) {
                try await reranker.rerank(call)
            }
            guard answer.scores.count == passages.count else {
                throw Failure(
                    .upstream, "The reranker answered for \(answer.scores.count) passages.")
            }
            var scores: [Int64: Double] = [:]
            for ((number, _), score) in zip(passages, answer.scores) {
                if let score, score.isFinite { scores[number] = score }
            }
            let (kept, dropped) = Fusion.reranked(
                ranking.kept, by: scores, scoreMin: settings.scoreMin)
            (ranking.kept, ranking.dropped) = (kept, dropped + ranking.dropped)
            ranking.reranker = settings.model
            span.attributes["heptad.retrieval.rerank_ms"] =
                (ContinuousClock.now - began).milliseconds
            span.attributes["heptad.retrieval.reranked"] = scores.count
            rerankFailures.withLock { $0 = 0 }
        } catch {
            let failure = Failure(error)
            if failure.code == .cancelled || Task.isCancelled { throw error }
            Meters.searchesNotReranked.increment()
            span.attributes["heptad.retrieval.rerank_failed"] = failure.code.rawValue
            let isFirst = rerankFailures.withLock { count in
                count += 1
                return count == 1
            }
            log.log(
                level: isFirst ? .warning : .debug,
                "Passages keep the order in which they were found.",
                metadata: ["reranker": "\(settings.model)", "why": "\(failure)"])
            ranking.notes.append(
                "The reranker \(settings.model) did not answer, so the passages have the order in"
                    + " which they were found. \(failure.message)")
        }
    }

    /// What the reranker reads of a passage, under its headings.
    private static func ranked(_ passage: Passage) -> String {
        let headings = passage.headings.joined(separator: " > ")
        let text = headings.isEmpty ? passage.text : headings + "\n" + passage.text
        return String(text.prefix(charactersRankedMax))
    }

    /// No model reads more of one.
    private static let charactersRankedMax = 4000

    static func limited<Result: Sendable>(
        to seconds: Double, _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(for: .seconds(seconds))
                throw Failure(.timeout, "It took longer than \(seconds) seconds.")
            }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { throw CancellationError() }
            return first
        }
    }
}

extension Fusion {
    /// The candidates with those that have a score first, best first, and behind them the others as
    /// they were; those below `scoreMin` are left out, unless it is zero. Scores fall from place to
    /// place: who was not ranked has less than who was, and is left out where one of those is.
    static func reranked(
        _ candidates: [Candidate], by scores: [Int64: Double], scoreMin: Double
    ) -> (kept: [Candidate], dropped: [Candidate]) {
        var ranked: [Candidate] = []
        var rest: [Candidate] = []
        for var candidate in candidates {
            guard let score = scores[candidate.passage] else {
                rest.append(candidate)
                continue
            }
            (candidate.rerankScore, candidate.score) = (score, score)
            ranked.append(candidate)
        }
        // Equal ones stay as they were: Swift's sort is stable.
        ranked.sort { $0.score > $1.score }
        for place in ranked.indices { ranked[place].rerankRank = place + 1 }
        let least = ranked.last?.score ?? 1
        let best = rest.reduce(0) { max($0, $1.score) }
        for place in rest.indices where best > 0 {
            rest[place].score = least * (rest[place].score / best)
        }
        guard scoreMin > 0 else { return (ranked + rest, []) }
        let count = ranked.prefix { $0.score >= scoreMin }.count
        guard count < ranked.count else { return (ranked + rest, []) }
        return (Array(ranked.prefix(count)), ranked.suffix(from: count) + rest)
    }
}
