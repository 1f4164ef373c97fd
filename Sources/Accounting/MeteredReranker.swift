package import Core

/// A reranker whose every call is booked: at its price where one is known, and else as a call whose
/// cost nobody knows, since most who rerank charge by the search and not by the token.
package struct MeteredReranker: Reranker {
    private let reranker: any Reranker
    private let ledger: SpendLedger

    package init(_ reranker: any Reranker, ledger: SpendLedger) {
        self.reranker = reranker
        self.ledger = ledger
    }

    package func rerank(_ request: RerankRequest) async throws -> Reranking {
        let candidate = request.candidate
        let call = CallDetails(request)
        let price = try ledger.prices.knownPrice(of: candidate, now: ledger.environment.now())
        var hold: Hold?
        if let price, !price.isFree {
            let ceiling = try price.ceiling(input: Self.tokens(of: request), output: 0)
            hold = try await ledger.reserve(call, most: ceiling, least: ceiling)
        }
        do {
            var reranking = try await reranker.rerank(request)
            // Tokens without a price would be booked at the ceiling.
            let usage = price == nil ? TokenUsage() : reranking.usage
            reranking.cost = noteCosts(
                await ledger.settle(call, hold: hold, [CallParts.Part(candidate, usage)]),
                of: [candidate])
            return reranking
        } catch {
            var spent = (error as? Failure)?.spent ?? []
            // It was on its way when nobody waited any more: whoever has it charges for it.
            if price != nil, spent.isEmpty, error is CancellationError || Task.isCancelled {
                let usage = TokenUsage(
                    freshInput: Self.tokens(of: request), isEstimated: true)
                spent = [CandidateUsage(candidate, usage)]
            }
            await ledger.giveUp(call, hold: hold, spent: spent)
            throw error
        }
    }

    /// From above, like `MeteredEmbedder`; the question is read once for each text.
    private static func tokens(of request: RerankRequest) -> Int {
        let question = request.question.utf8.count / 2 + tokensPerText
        return CallEstimate.total(request.texts.map { $0.utf8.count / 2 + question })
    }

    private static let tokensPerText = 4
}

extension CallDetails {
    fileprivate init(_ request: RerankRequest) {
        self.init(
            userID: request.principal.userID, keyID: request.principal.keyID,
            model: request.candidate, purpose: "rerank", conversationID: nil,
            traceID: TraceContext.currentTraceID)
    }
}
