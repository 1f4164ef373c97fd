import Core

/// One generation, as the engine's thread runs it.
struct GenerationTask: Sendable {
    let prompt: [Int32]
    let outputTokensMax: Int
    let sampler: Sampler
    let stops: [String]
    let endTokens: Set<Int32>
    let tokenizer: Tokenizer
    let environment: Environment
    let askedAt: Timestamp

    /// Throws `CancellationError` when the handover was cancelled.
    func run(_ session: Session, _ handover: Handover) throws -> Generation {
        let isCancelled = { handover.isCancelled }
        let startedAt = environment.now()
        guard let reused = session.begin(prompt, isCancelled: isCancelled) else {
            throw CancellationError()
        }
        let promptMilliseconds = milliseconds(since: startedAt)

        var sampler = sampler
        var text = TextAssembler(stops: stops)
        var firstTokenMilliseconds: Double?
        var outputTokens = 0
        var finishReason = Completion.FinishReason.length
        func hand(_ piece: String) {
            if !piece.isEmpty, firstTokenMilliseconds == nil {
                firstTokenMilliseconds = milliseconds(since: askedAt)
            }
            handover.write(piece)
        }

        while true {
            let token = session.pick(&sampler)
            outputTokens += 1
            if endTokens.contains(token) {
                finishReason = .stop
                break
            }
            hand(text.append(tokenizer.bytes(of: token)))
            if text.isStopped {
                finishReason = .stop
                break
            }
            if outputTokens == outputTokensMax { break }
            guard session.add(token, isCancelled: isCancelled) else { throw CancellationError() }
        }
        hand(text.finish())
        return Generation(
            promptTokens: prompt.count, promptTokensReused: reused, outputTokens: outputTokens,
            finishReason: finishReason, promptMilliseconds: promptMilliseconds,
            firstTokenMilliseconds: firstTokenMilliseconds,
            totalMilliseconds: milliseconds(since: askedAt))
    }

    private func milliseconds(since start: Timestamp) -> Double {
        // The machine's clock may be set back while we run.
        max(0, (environment.now() - start).milliseconds)
    }
}
