import Core
import Synchronization

/// One open call and the funds held for it: it is settled once or voided once, never both.
final class CallMeter: Sendable {
    private enum State { case open, closed }

    private let inner: ChatCall
    private let request: ChatRequest
    private let call: CallDetails
    private let hold: Hold?
    private let model: any ChatModel
    private let ledger: SpendLedger
    private let state = Mutex(State.open)

    init(
        _ inner: ChatCall, request: ChatRequest, call: CallDetails, hold: Hold?,
        model: any ChatModel, ledger: SpendLedger
    ) {
        self.inner = inner
        self.request = request
        self.call = call
        self.hold = hold
        self.model = model
        self.ledger = ledger
    }

    func run(_ emit: ChatCall.Emit) async throws -> Completion {
        guard takeOver() else {
            throw Failure(.internalError, "A call was run twice, or after it was given up.")
        }
        var text = ""
        let outcome: Result<Completion, any Error>
        do {
            outcome = .success(
                try await inner.run { event in
                    switch event {
                    case .text(let piece): text += piece
                    case .toolCall(let piece): text += (piece.name ?? "") + piece.arguments
                    case .reasoning(let piece): text += piece
                    case .logprobs: break
                    }
                    try await emit(event)
                })
        } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(var completion):
            let isSilent = completion.usage.input <= 0 && completion.usage.output <= 0
            let usage = isSilent ? await estimate(text) : completion.usage
            completion.usage = usage
            if inner.isCharged {
                completion.cost = await settle(completion.candidate, usage)
            } else {
                completion.saved = await settleNothing(completion.candidate, instead: usage)
            }
            return completion
        case .failure(let error):
            if inner.isCharged {
                _ = await settle(inner.candidate, await estimate(text))
            } else {
                _ = await settleNothing(inner.candidate, instead: TokenUsage())
            }
            throw error
        }
    }

    func abandon() async {
        guard takeOver() else { return }
        await inner.abandon()
        if let hold { await ledger.void(hold, call) }
    }

    private func takeOver() -> Bool {
        state.withLock { state in
            defer { state = .closed }
            return state == .open
        }
    }

    private func settle(_ candidate: String, _ usage: TokenUsage) async -> Picodollars {
        await withSettlementSpan(candidate) {
            await ledger.settle(call, hold: hold, candidate: candidate, usage: usage)
        }
    }

    /// Books a call that used nothing, and returns what it would have cost.
    private func settleNothing(
        _ candidate: String, instead usage: TokenUsage
    ) async -> Picodollars {
        let saved = ledger.worth(of: usage, candidate: candidate)
        _ = await settle(candidate, TokenUsage())
        noteSaved(saved, candidate)
        return saved
    }

    /// What was used as far as we can see: the prompt, and the text that came.
    private func estimate(_ text: String) async -> TokenUsage {
        let (model, request, texts) = (model, request, request.countedTexts)
        // A task of its own, because this one may be cancelled, which the count must not notice.
        let counting = Task {
            try await model.countTokens(
                texts + [text], model: request.model)
        }
        let counts = (try? await counting.value) ?? []
        guard counts.count == texts.count + 1, let output = counts.last else {
            let bytes = texts.reduce(0) { $0 + $1.utf8.count }
            return TokenUsage(
                freshInput: Self.tokens(bytes: bytes), output: Self.tokens(bytes: text.utf8.count),
                isEstimated: true)
        }
        let overhead = request.messages.count * CallEstimate.tokensPerMessage
        return TokenUsage(
            freshInput: CallEstimate.total(counts.dropLast()) + overhead, output: output,
            isEstimated: true)
    }

    // No tokenizer of today makes more tokens than this of ordinary text.
    private static func tokens(bytes: Int) -> Int { (bytes + 2) / 3 }
}
