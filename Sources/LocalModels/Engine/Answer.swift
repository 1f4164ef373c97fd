import CKernels
import Core

/// An answer as it grows. Belongs to whoever runs the call.
struct Answer: Sendable {
    enum Next {
        /// The answer goes on when this token was read, perhaps with the draft.
        case read(Int32, draft: Speculator.Draft)
        case ended(Ending)
    }

    struct Ending {
        let outcome: Result<Generation, any Error>
        /// Whether what was read is of no use to others.
        var isSpoilt = false
    }

    let handover: Handover
    private let endTokens: Set<Int32>
    private let tokenizer: Tokenizer
    private let outputTokensMax: Int
    private let now: @Sendable () -> Timestamp
    private let askedAt: Timestamp
    private var sampler: Sampler
    private var text: TextAssembler
    /// Nil where nothing is drafted.
    private var speculator: Speculator?
    private var admittedAt: Timestamp
    private var batchTotal = 0
    private var steps = 0
    private var figures: Generation

    init(
        promptTokens: Int, promptTokensDropped: Int, outputTokensMax: Int, sampler: Sampler,
        stops: [String], endTokens: Set<Int32>, tokenizer: Tokenizer,
        speculator: Speculator? = nil, environment: Environment
    ) {
        handover = Handover()
        self.endTokens = endTokens
        self.tokenizer = tokenizer
        self.outputTokensMax = outputTokensMax
        self.sampler = sampler
        self.speculator = speculator
        now = environment.now
        askedAt = environment.now()
        admittedAt = askedAt
        text = TextAssembler(stops: stops)
        figures = Generation(
            promptTokens: promptTokens, promptTokensDropped: promptTokensDropped, outputTokens: 0,
            finishReason: .length, promptMilliseconds: 0, firstTokenMilliseconds: nil,
            totalMilliseconds: 0)
    }

    /// The call runs from now on.
    mutating func admit(promptTokensReused: Int) {
        admittedAt = now()
        figures.promptTokensReused = promptTokensReused
        figures.waitedMilliseconds = milliseconds(since: askedAt)
    }

    /// Something was read for it, beside others.
    mutating func count(batch: Int) {
        steps += 1
        batchTotal += batch
    }

    /// Picks the next token, and one more after each token of the draft that is the one picked:
    /// `logits` has a row for the token that was picked last and for each of the draft. Says how many
    /// of the draft stay. May change the logits; `candidates` is scratch as long as one row.
    mutating func take(
        _ logits: UnsafeMutableBufferPointer<Float>, verifying draft: ArraySlice<Int32>,
        _ candidates: UnsafeMutablePointer<kernel_candidate>
    ) -> (Next, accepted: Int) {
        let width = logits.count / (draft.count + 1)
        figures.draftTokens += draft.count
        var accepted = 0
        while true {
            let row = accepted * width..<(accepted + 1) * width
            switch take(UnsafeMutableBufferPointer(rebasing: logits[row]), candidates) {
            case .ended(let ending): return (.ended(ending), accepted)
            case .token(let token):
                speculator?.append(token)
                if accepted < draft.count, draft[draft.startIndex + accepted] == token {
                    accepted += 1
                    figures.draftTokensAccepted += 1
                    continue
                }
                speculator?.verified(draft.count, accepted: accepted)
                return (.read(token, draft: speculator?.draft() ?? Speculator.Draft()), accepted)
            }
        }
    }

    private enum Taken {
        case token(Int32)
        case ended(Ending)
    }

    private mutating func take(
        _ logits: UnsafeMutableBufferPointer<Float>,
        _ candidates: UnsafeMutablePointer<kernel_candidate>
    ) -> Taken {
        if figures.outputTokens == 0 {
            figures.promptMilliseconds = milliseconds(since: admittedAt)
        }
        // The sampler passes over what is not a number while anything is.
        guard let pick = sampler.pick(from: logits, candidates) else {
            return .ended(Ending(outcome: .failure(Self.notANumber), isSpoilt: true))
        }
        let token = pick.token
        figures.outputTokens += 1
        if endTokens.contains(token) { return finish(.stop) }
        let piece = text.append(sampler.bytes(of: token) ?? tokenizer.bytes(of: token))
        hand(GenerationPiece(text: piece, tokens: [GeneratedToken(pick)]))
        if text.stop != nil || sampler.isFinished { return finish(.stop) }
        if figures.outputTokens == outputTokensMax {
            return finish(sampler.isComplete ? .stop : .length)
        }
        return .token(token)
    }

    private mutating func finish(_ reason: Completion.FinishReason) -> Taken {
        hand(GenerationPiece(text: text.finish()))
        figures.finishReason = reason
        figures.stopSequence = text.stop
        figures.totalMilliseconds = milliseconds(since: askedAt)
        figures.batchMean = steps > 0 ? Double(batchTotal) / Double(steps) : 1
        return .ended(Ending(outcome: .success(figures)))
    }

    private mutating func hand(_ piece: GenerationPiece) {
        if !piece.text.isEmpty, figures.firstTokenMilliseconds == nil {
            figures.firstTokenMilliseconds = milliseconds(since: askedAt)
        }
        handover.write(piece)
    }

    private func milliseconds(since start: Timestamp) -> Double {
        // The machine's clock may be set back while we run.
        max(0, (now() - start).milliseconds)
    }

    private static let notANumber = Failure(
        .internalError,
        "The model came to no number for any token; its file may be damaged.")
}
