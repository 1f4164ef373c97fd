package import Core
import Synchronization
import Tracing

/// An embedder whose every call is paid for. A call that throws costs what providers said of it.
///
/// Which model answers is known only afterwards, so the first call of each name runs without a hold
/// and the rest are held for at that model's price: a user who has spent the budget must still be
/// able to search with the local model after a restart, and a hosted one costs less than a cent.
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
            if request.candidate == nil {
                answered.remember(embeddings.candidate, for: request.model)
            }
            let usage =
                embeddings.usage.input > 0 ? embeddings.usage : Self.usage(of: request.texts)
            let parts =
                embeddings.parts.isEmpty
                ? [CandidateUsage(embeddings.candidate, usage)] : embeddings.parts
            embeddings.cost = noteCosts(
                await ledger.settle(call, hold: hold?.hold, parts), of: parts.map(\.candidate))
            return embeddings
        } catch {
            var spent = (error as? Failure)?.spent ?? []
            // It was on its way when nobody waited any more: whoever has it charges for it.
            if let hold, spent.isEmpty, error is CancellationError || Task.isCancelled {
                spent = [CandidateUsage(hold.candidate, Self.usage(of: request.texts))]
            }
            await ledger.giveUp(call, hold: hold?.hold, spent: spent)
            throw error
        }
    }

    /// Nil where nobody knows yet who will answer, or it costs nothing.
    private func reserve(
        _ request: EmbeddingRequest, _ call: CallDetails
    ) async throws -> (hold: Hold, candidate: String)? {
        guard let candidate = request.candidate ?? answered.candidate(for: request.model)
        else { return nil }
        let price = try ledger.prices.price(of: candidate, now: ledger.environment.now())
        guard !price.isFree else { return nil }
        let tokens = Self.usage(of: request.texts).freshInput
        let ceiling = try price.ceiling(input: tokens, output: 0)
        return (try await ledger.reserve(call, most: ceiling, least: ceiling), candidate)
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
