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
        var parts = CallParts(candidate: inner.candidate)
        let outcome: Result<Completion, any Error>
        do {
            outcome = .success(
                try await inner.run { event in
                    parts.receive(event)
                    try await emit(event)
                })
        } catch {
            outcome = .failure(error)
        }
        switch outcome {
        case .success(var completion):
            let isSilent = completion.usage.input <= 0 && completion.usage.output <= 0
            let usage = isSilent ? await estimate(parts) : completion.usage
            let taken =
                inner.spent + parts.ended + [CallParts.Part(completion.candidate, usage)]
            completion.usage = CallParts.total(taken)
            if inner.isCharged {
                completion.cost = await settle(taken)
            } else {
                (completion.cost, completion.saved) = await settleNothing(
                    instead: Array(taken.dropFirst(inner.spent.count)))
            }
            return completion
        case .failure(let error):
            if inner.isCharged {
                let stated = (error as? Failure)?.spent ?? []
                let last =
                    stated.isEmpty
                    ? [CallParts.Part(parts.candidate, await estimate(parts))] : stated
                _ = await settle(inner.spent + parts.ended + last)
            } else {
                _ = await settleNothing(instead: [CallParts.Part(parts.candidate, TokenUsage())])
            }
            throw error
        }
    }

    func abandon() async {
        guard takeOver() else { return }
        await inner.abandon()
        await ledger.giveUp(call, hold: hold, spent: inner.spent)
    }

    private func takeOver() -> Bool {
        state.withLock { state in
            defer { state = .closed }
            return state == .open
        }
    }

    private func settle(_ parts: [CallParts.Part]) async -> Picodollars {
        noteCosts(await ledger.settle(call, hold: hold, parts), of: parts.map(\.candidate))
    }

    /// Books a call that used nothing, but for what attempts took that came to nothing. Returns what
    /// they cost, and what the call would have cost.
    private func settleNothing(
        instead parts: [CallParts.Part]
    ) async -> (cost: Picodollars, saved: Picodollars) {
        let saved = parts.reduce(Picodollars.zero) { sum, part in
            // Past what can be counted it is as much as can be counted.
            (try? sum.adding(ledger.worth(of: part.usage, candidate: part.candidate))) ?? sum
        }
        let cost = await settle(
            inner.spent + parts.map { CallParts.Part($0.candidate, TokenUsage()) })
        noteSaved(saved, parts.last?.candidate ?? inner.candidate)
        return (cost, saved)
    }

    /// What the last candidate used as far as we can see: the prompt, with what others had written
    /// before it, and the text that came.
    private func estimate(_ parts: CallParts) async -> TokenUsage {
        let text = parts.text
        let (model, request) = (model, request)
        let texts = request.countedTexts + (parts.shown.isEmpty ? [] : [parts.shown])
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
