package import Core
import ServiceContextModule

extension ModelRouter: Reranker {
    /// The most texts that one call ranks.
    package static let rankedTextsMax = 1000

    /// One attempt: whoever asks has an order already and would rather keep it than wait.
    package func rerank(_ request: RerankRequest) async throws -> Reranking {
        guard let name = CandidateName(request.candidate), let provider = providers[name.provider]
        else {
            throw Failure(.notFound, "There is no reranker \(request.candidate.prefix(100)).")
        }
        guard request.texts.count <= Self.rankedTextsMax else {
            throw Failure(
                .tooLarge, "At most \(Self.rankedTextsMax) texts can be ranked by one call.")
        }
        guard !request.texts.isEmpty else { return Reranking(scores: [], usage: TokenUsage()) }
        let candidate = Candidate(
            name: name, provider: provider,
            limits: ModelLimits(contextTokens: 0, outputTokensMax: 0))
        let tokens = TokenEstimate.tokens(
            bytes: request.texts.reduce(request.question.utf8.count) { $0 + $1.utf8.count })
        let wait =
            around.weather.breakerWait(name) ?? provider.wait(model: name.model, tokens: tokens)
        if let wait {
            throw Failure(
                .unavailable,
                "\(name) has failed too often or has had too many calls, and is left alone for a"
                    + " moment.", retryAfter: wait)
        }
        return try await rerank(request, at: candidate)
    }

    private func rerank(_ request: RerankRequest, at candidate: Candidate) async throws
        -> Reranking
    {
        let now = around.environment.now
        let span = ModelSpan(
            .rerank, candidate, purpose: "rerank", tracer: around.tracer, meters: around.meters,
            now: now)
        let place: Weather.Call
        do { place = try await around.weather.begin(candidate, for: Self.reranking) } catch {
            span.failed(error)
            throw error
        }
        let openedAt = now()
        do {
            let ranking = try await ServiceContext.withValue(span.context) {
                try await candidate.provider.rerank(
                    request.question, request.texts, model: candidate.name.model,
                    headers: TraceContext.headers(of: span.context))
            }
            place.answered(
                ArmFigures.Answer(total: max(0, (now() - openedAt).milliseconds)))
            span.used(ranking.usage, responseModel: ranking.responseModel)
            return Reranking(scores: ranking.scores, usage: ranking.usage)
        } catch {
            let failure = CandidateFailure(error)
            place.failed(failure.kind)
            span.failed(error)
            if error is CancellationError { throw error }
            throw failure.failure
        }
    }

    /// What the route of rerankers is called where figures are told.
    private static let reranking = "reranking"
}
