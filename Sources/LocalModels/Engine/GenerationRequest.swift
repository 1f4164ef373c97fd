package import Core

/// One answer that is asked for.
package struct GenerationRequest: Sendable {
    /// What to do with a prompt that leaves no room for an answer.
    package enum Truncation: Hashable, Sendable {
        /// It is refused with both lengths.
        case refused
        /// Its oldest tokens are left out, but for the first ones, where a system prompt stands.
        case oldestDropped(keepingFirst: Int)
    }

    package var prompt: [Int32]
    package var sampling: SamplingOptions
    /// Whose call this is. Calls of one principal stand behind those of others who have less.
    package var principal: String
    package var truncation: Truncation
    /// What the answer has to look like; nil for text as it comes.
    package var output: OutputRules?
    /// Whether it may be drafted, where the model's options allow that. The answer is the same.
    package var isSpeculative: Bool

    package init(
        prompt: [Int32], sampling: SamplingOptions, principal: String = "",
        truncation: Truncation = .refused, output: OutputRules? = nil, isSpeculative: Bool = true
    ) {
        self.output = output
        self.isSpeculative = isSpeculative
        self.prompt = prompt
        self.sampling = sampling
        self.principal = principal
        self.truncation = truncation
    }
}

/// What came since the piece before. A slow reader gets several pieces as one.
package struct GenerationPiece: Hashable, Sendable {
    /// Whole characters. Often they are not those of `tokens`: what may turn out to be part of a
    /// stop string, and half a character, is held back.
    package var text: String
    /// The tokens that were picked, end tokens left out.
    package var tokens: [GeneratedToken]

    package init(text: String = "", tokens: [GeneratedToken] = []) {
        self.text = text
        self.tokens = tokens
    }

    package var isEmpty: Bool { text.isEmpty && tokens.isEmpty }
}

/// A token of an answer.
package struct GeneratedToken: Hashable, Sendable {
    package let id: Int32
    /// How likely the model found it; nil where that was not asked for.
    package let logprob: Double?
    /// The likeliest in its place, best first.
    package let top: [GeneratedToken]

    package init(id: Int32, logprob: Double? = nil, top: [GeneratedToken] = []) {
        (self.id, self.logprob, self.top) = (id, logprob, top)
    }

    init(_ pick: Sampler.Pick) {
        self.init(
            id: pick.token, logprob: pick.logprob,
            top: pick.top.map { GeneratedToken(id: $0.token, logprob: $0.logprob) })
    }
}

/// What a generation took, and why it ended.
package struct Generation: Hashable, Sendable {
    package var promptTokens: Int
    /// How many of them were read for a call before, and not read again.
    package var promptTokensReused: Int
    /// How many tokens of the request's prompt were left out, as it allowed.
    package var promptTokensDropped: Int
    package var outputTokens: Int
    package var finishReason: Completion.FinishReason
    /// The stop string that ended it.
    package var stopSequence: String?
    /// From the asking to a place among those that run.
    package var waitedMilliseconds: Double
    /// From there to the prompt's end.
    package var promptMilliseconds: Double
    /// From the asking to the first piece of text; nil when there was none.
    package var firstTokenMilliseconds: Double?
    package var totalMilliseconds: Double
    /// How many calls ran together, this one included, on average over its steps.
    package var batchMean: Double
    /// Tokens that were guessed and read with those before them, and how many of them were right:
    /// so many steps were saved.
    package var draftTokens = 0
    package var draftTokensAccepted = 0

    package init(
        promptTokens: Int, promptTokensReused: Int = 0, promptTokensDropped: Int = 0,
        outputTokens: Int, finishReason: Completion.FinishReason, waitedMilliseconds: Double = 0,
        promptMilliseconds: Double, firstTokenMilliseconds: Double?, totalMilliseconds: Double,
        batchMean: Double = 1
    ) {
        self.promptTokens = promptTokens
        self.promptTokensReused = promptTokensReused
        self.promptTokensDropped = promptTokensDropped
        self.outputTokens = outputTokens
        self.finishReason = finishReason
        self.waitedMilliseconds = waitedMilliseconds
        self.promptMilliseconds = promptMilliseconds
        self.firstTokenMilliseconds = firstTokenMilliseconds
        self.totalMilliseconds = totalMilliseconds
        self.batchMean = batchMean
    }
}
