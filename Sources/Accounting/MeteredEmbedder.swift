package import Core
import Synchronization
import Tracing

/// An embedder whose every call is paid for. Which model answers is known only afterwards, so a call
/// is held for the dearest embedding price of the book until its model has answered once. A call
/// that throws costs nothing.
package struct MeteredEmbedder: Embedder {
    private let embedder: any Embedder
    private let ledger: SpendLedger
    private let answered = AnsweredBy()

    package init(_ embedder: any Embedder, ledger: SpendLedger) {
        self.embedder = embedder
        self.ledger = ledger
    }

    package func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        let call = CallDetails(request)
        let hold = try await reserve(request, call)
        do {
            var embeddings = try await embedder.embed(request)
            answered.remember(embeddings.candidate, for: request.model)
            embeddings.cost = await withSettlementSpan(embeddings.candidate) {
                await ledger.settle(
                    call, hold: hold, candidate: embeddings.candidate,
                    usage: embeddings.usage.input > 0
                        ? embeddings.usage : Self.usage(of: request.texts))
            }
            return embeddings
        } catch {
            if let hold { await ledger.void(hold, call) }
            throw error
        }
    }

    private func reserve(_ request: EmbeddingRequest, _ call: CallDetails) async throws -> Hold? {
        let candidate = answered.candidate(for: request.model)
        let price = try candidate.map {
            try ledger.prices.price(of: $0, now: ledger.environment.now())
        }
        let assumed = price ?? ledger.prices.dearestEmbedding
        guard !assumed.isFree else { return nil }
        let tokens = Self.usage(of: request.texts).freshInput
        let ceiling = try assumed.ceiling(input: tokens, output: 0)
        return try await withSpan("account reserve") { span in
            span.attributes["heptad.hold.picodollars"] = ceiling.rawValue
            return try await ledger.reserve(
                call, candidate: candidate ?? "", most: ceiling, least: ceiling)
        }
    }

    /// From above: no tokenizer of today makes more than a token of two bytes, on the average.
    private static func usage(of texts: [String]) -> TokenUsage {
        let counts = texts.map { $0.utf8.count / 2 + tokensPerText }
        return TokenUsage(freshInput: CallEstimate.total(counts), isEstimated: true)
    }

    private static let tokensPerText = 2
}

/// Which candidate answered last, by the name that was asked for; "" for no name.
private final class AnsweredBy: Sendable {
    private let candidates = Mutex<[String: String]>([:])

    func candidate(for model: String?) -> String? { candidates.withLock { $0[model ?? ""] } }

    func remember(_ candidate: String, for model: String?) {
        candidates.withLock { candidates in
            guard candidates.count < Self.namesMax || candidates[model ?? ""] != nil else { return }
            candidates[model ?? ""] = candidate
        }
    }

    private static let namesMax = 1000
}

extension CallDetails {
    fileprivate init(_ request: EmbeddingRequest) {
        self.init(
            userID: request.principal.userID, keyID: request.principal.keyID,
            model: request.model ?? "", purpose: request.purpose, conversationID: nil,
            traceID: TraceContext.currentTraceID)
    }
}
