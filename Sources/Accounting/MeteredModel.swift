package import Core
import Tracing

/// A model whose every call is paid for. `open` reserves the most that the call may cost and refuses
/// with `budgetExceeded` what the budget does not allow; `run` books what was used, once, however
/// the call ends; `abandon` gives the funds back.
///
/// - An answer that is there and costs nothing is given whatever is left of the budget.
/// - A call that began to run is booked even if it fails or is cancelled before the first word: the
///   provider has read the prompt. Counts that it did not give are ours, from above, and say so.
/// - Where the request names no longest answer and the budget's rest does not cover the model's own,
///   the answer is limited to what it covers, as long as that is `outputTokensMin` tokens or more.
/// - Where candidates went on for each other, each is booked for what it took, at its own price. So
///   is an attempt that came to nothing, where its provider said what it took, also when nobody
///   answered at all.
package struct MeteredModel: ChatModel {
    private let model: any ChatModel
    private let ledger: SpendLedger

    /// From then on the ledger's quotes are for this model's calls.
    package init(_ model: any ChatModel, ledger: SpendLedger) {
        self.model = model
        self.ledger = ledger
        ledger.quoteCalls(of: model)
    }

    package func open(_ request: ChatRequest) async throws -> ChatCall {
        let call = CallDetails(request)
        if let kept = try await model.recall(request) { return metered(kept, request, call, nil) }
        let (request, hold) = try await reserve(request, call)
        do {
            return metered(try await model.open(request), request, call, hold)
        } catch {
            await ledger.giveUp(call, hold: hold, spent: (error as? Failure)?.spent ?? [])
            throw error
        }
    }

    private func metered(
        _ inner: ChatCall, _ request: ChatRequest, _ call: CallDetails, _ hold: Hold?
    ) -> ChatCall {
        let meter = CallMeter(
            inner, request: request, call: call, hold: hold, model: model, ledger: ledger)
        var cached = inner.cached
        if let usage = cached?.usage {
            cached?.saved = ledger.worth(of: usage, candidate: inner.candidate)
        }
        return ChatCall(
            candidate: inner.candidate, decision: inner.decision, notice: inner.notice,
            context: inner.context, cache: inner.cache, cached: cached,
            isCharged: { inner.isCharged }, spent: { inner.spent },
            run: { try await meter.run($0) }, abandon: { await meter.abandon() })
    }

    /// The inner model's cards, each with the price of its first candidate where one is known.
    package func models() async -> [ModelCard] {
        let now = ledger.environment.now()
        return await model.models().map { card in
            var card = card
            card.price = card.candidates.first.flatMap {
                ledger.prices.bookedPrice(of: $0, now: now).tokenPrice
            }
            return card
        }
    }

    package func countTokens(_ texts: [String], model name: String) async throws -> [Int] {
        try await model.countTokens(texts, model: name)
    }

    /// The request as it is sent, and the funds for it; none for a call that is free.
    private func reserve(_ request: ChatRequest, _ call: CallDetails) async throws
        -> (ChatRequest, Hold?)
    {
        let estimate = try await CallEstimate(request, model: model, ledger: ledger)
        guard !estimate.isFree else { return (request, nil) }
        let most = try estimate.ceiling(outputTokens: estimate.outputTokens)
        let isOpenEnded = request.sampling.outputTokensMax == nil
        let shortest =
            isOpenEnded ? min(estimate.outputTokens, Self.outputTokensMin) : estimate.outputTokens
        let least = try estimate.ceiling(outputTokens: shortest)
        let hold = try await ledger.reserve(call, most: most, least: least)
        activeSpan()?.attributes["heptad.hold.picodollars"] = hold.amount.rawValue
        guard hold.amount < most else { return (request, hold) }
        var limited = request
        limited.sampling.outputTokensMax = try estimate.outputTokens(for: hold.amount)
        return (limited, hold)
    }

    /// The shortest limit that is worth an answer.
    static let outputTokensMin = 256
}

extension CallDetails {
    init(_ request: ChatRequest) {
        self.init(
            userID: request.principal.userID, keyID: request.principal.keyID,
            model: request.model, purpose: request.purpose,
            conversationID: request.conversationID, traceID: TraceContext.currentTraceID)
    }
}
