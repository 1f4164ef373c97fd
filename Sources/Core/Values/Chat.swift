/// One message of a conversation, as a model is shown it.
package struct ChatMessage: Hashable, Codable, Sendable {
    package enum Role: String, Codable, Sendable { case system, user, assistant, tool }

    package let role: Role
    /// What it says, without its images.
    package let text: String
    /// Each with how many bytes of the text stand before it; in that order.
    private var images: [PlacedImage] = []
    /// What the assistant asked to be called, beside its text.
    package var toolCalls: [ToolCall] = []
    /// Which call a tool's message answers.
    package var toolCallID: String?
    /// Who speaks, where several share a role; for a tool's message the tool.
    package var name: String?
    /// What the assistant thought, in its order; for the provider that sealed it.
    package var thoughts: [Thought]?
    /// All up to the end of this message is to be kept by a provider that can.
    package var cacheMark: CacheMark?

    package init(_ role: Role, _ text: String) {
        self.role = role
        self.text = text
    }

    /// Texts that follow each other are joined by line ends.
    package init(_ role: Role, _ parts: [ContentPart]) {
        var text = ""
        var follows = false
        for part in parts {
            switch part {
            case .text(let piece):
                text += follows ? "\n" + piece : piece
                follows = true
            case .image(let image):
                images.append(PlacedImage(image: image, offset: text.utf8.count))
                follows = false
            }
        }
        self.role = role
        self.text = text
    }

    package var hasImages: Bool { !images.isEmpty }

    /// Text and images in their order; no part is an empty text.
    package var parts: [ContentPart] {
        var parts: [ContentPart] = []
        var start = text.utf8.startIndex
        func addText(to end: String.Index) {
            if start < end { parts.append(.text(String(text[start..<end]))) }
            start = end
        }
        for image in images {
            addText(
                to: text.utf8.index(
                    text.utf8.startIndex, offsetBy: max(0, image.offset),
                    limitedBy: text.utf8.endIndex)
                    ?? text.utf8.endIndex)
            parts.append(.image(image.image))
        }
        addText(to: text.utf8.endIndex)
        return parts
    }

    private struct PlacedImage: Hashable, Codable, Sendable {
        let image: ChatImage
        let offset: Int
    }
}

/// How a model picks its words. Nil means the model's own default.
package struct SamplingOptions: Hashable, Codable, Sendable {
    package var temperature: Double?
    package var topK: Int?
    package var topP: Double?
    package var minP: Double?
    package var seed: UInt64?
    /// Text that ends the answer and is not part of it; at most `stopMax` strings.
    package var stop: [String]
    package var outputTokensMax: Int?
    /// Taken off the logit of a token that the answer has, once and for each time.
    package var presencePenalty: Double?
    package var frequencyPenalty: Double?
    /// Divides the positive and multiplies the negative logits of what prompt and answer have.
    package var repetitionPenalty: Double?
    /// Added to the logits of these tokens; -100 and 100 are as good as never and always.
    package var logitBias: [Int: Double] = [:]
    /// How many alternatives of each token are told; nil for no log probabilities at all.
    package var topLogprobs: Int?

    package static let stopMax = 16
    package static let topLogprobsMax = 20
    package static let logitBiasMax = 1024

    package init(
        temperature: Double? = nil, topK: Int? = nil, topP: Double? = nil, minP: Double? = nil,
        seed: UInt64? = nil, stop: [String] = [], outputTokensMax: Int? = nil
    ) {
        (self.temperature, self.topK, self.topP, self.minP) = (temperature, topK, topP, minP)
        (self.seed, self.stop, self.outputTokensMax) = (seed, stop, outputTokensMax)
    }
}

/// One call of a model, by its public name.
package struct ChatRequest: Codable, Sendable {
    package let principal: Principal
    package var model: String
    package var messages: [ChatMessage]
    package var sampling: SamplingOptions
    package var tools: [ToolDefinition] = []
    package var toolChoice = ToolChoice.auto
    package var allowsParallelToolCalls = true
    package var responseFormat = ResponseFormat.text
    /// Nil leaves thinking to the model.
    package var reasoning: ReasoningRequest?
    /// Leaves the oldest messages out where the conversation is too long, instead of refusing it.
    package var truncates = false
    /// Whether somebody reads the answer as it comes.
    package var streams = true
    /// Which of several answers to the same question this is; each may say something else.
    package var choice = 0
    /// What the call is for, in the ledger and the trace: `turn`, `api`, `title`.
    package let purpose: String
    package let conversationID: Identifier?

    package init(
        principal: Principal, model: String, messages: [ChatMessage],
        sampling: SamplingOptions = SamplingOptions(), purpose: String,
        conversationID: Identifier? = nil
    ) {
        (self.principal, self.model, self.messages) = (principal, model, messages)
        (self.sampling, self.purpose, self.conversationID) = (sampling, purpose, conversationID)
    }
}

/// What a running call emits, in order.
package enum ChatEvent: Hashable, Codable, Sendable {
    /// The next piece of the answer: whole characters, never half a UTF-8 sequence.
    case text(String)
    /// The next piece of what the model thinks before it answers, where it shows that.
    case reasoning(String)
    /// Ends the thought before it, or is one that nobody may read.
    case seal(ThoughtSeal)
    case toolCall(ToolCallPiece)
    /// Of the tokens that the text or call after it is made of; only where they were asked for.
    case logprobs([TokenLogprob])
    /// Another candidate answers from here on.
    case switched(CandidateSwitch)
}

/// One candidate in place of another, in the middle of a call.
package struct CandidateSwitch: Hashable, Codable, Sendable {
    /// Who answered so far, as `provider/model`, and what it took.
    package let from: String
    package let usage: TokenUsage
    package let to: String
    /// It writes on from what was shown; otherwise nothing of the first answer was.
    package let isContinued: Bool

    package init(from: String, usage: TokenUsage, to: String, isContinued: Bool) {
        (self.from, self.usage, self.to, self.isContinued) = (from, usage, to, isContinued)
    }
}

/// How a call ended, and what it took.
package struct Completion: Hashable, Codable, Sendable {
    package enum FinishReason: String, Codable, Sendable {
        case stop, length, contentFilter, toolCalls
    }

    /// The candidate that answered, as `provider/model`; the last where there was a switch.
    package let candidate: String
    package let finishReason: FinishReason
    /// Which text ended it, of those that were asked to; nil where none did or nobody says.
    package var stopSequence: String?
    /// What that candidate took. Accounting adds what those before it took, as the switches say.
    package var usage: TokenUsage
    /// What was booked for the call. Zero until Accounting has settled it.
    package var cost: Picodollars
    /// What a cache had of the answer; nil where none was asked. The usage of an answer that was
    /// there is that of the call that made it.
    package var cache: CacheUse?
    /// What the call would have cost, had its answer not been there.
    package var saved: Picodollars?
    /// Open to first piece of text; nil when there was none.
    package let firstTokenMilliseconds: Double?
    package let totalMilliseconds: Double

    package init(
        candidate: String, finishReason: FinishReason, usage: TokenUsage,
        cost: Picodollars = .zero, firstTokenMilliseconds: Double?, totalMilliseconds: Double
    ) {
        (self.candidate, self.finishReason, self.usage) = (candidate, finishReason, usage)
        (self.cost, self.firstTokenMilliseconds) = (cost, firstTokenMilliseconds)
        self.totalMilliseconds = totalMilliseconds
    }
}

/// A model as a user picks it.
package struct ModelCard: Hashable, Codable, Sendable {
    /// The public name, as a request names it.
    package let name: String
    /// What serves it, in the order tried, each as `provider/model`.
    package let candidates: [String]
    /// Tokens that prompt and answer may have together, for the smallest candidate.
    package let contextTokens: Int
    package let outputTokensMax: Int
    package let isLocal: Bool
    /// How many candidates one call may have to pay for: 1 unless one goes on for another.
    package let answersMax: Int
    /// Of the first candidate; nil until Accounting has added it, or where no price is known.
    package var price: TokenPrice?

    package init(
        name: String, candidates: [String], contextTokens: Int, outputTokensMax: Int,
        isLocal: Bool, answersMax: Int = 1, price: TokenPrice? = nil
    ) {
        (self.name, self.candidates, self.contextTokens) = (name, candidates, contextTokens)
        (self.outputTokensMax, self.isLocal) = (outputTokensMax, isLocal)
        (self.answersMax, self.price) = (answersMax, price)
    }
}

/// Picodollars for one token of each kind, and the day the price was last checked.
package struct TokenPrice: Hashable, Codable, Sendable {
    package let input: Picodollars
    package let cacheRead: Picodollars
    package let cacheWrite: Picodollars
    package let output: Picodollars
    /// `2026-08-01`, or `configured` for a price from the configuration file.
    package let asOf: String

    package init(
        input: Picodollars, cacheRead: Picodollars, cacheWrite: Picodollars, output: Picodollars,
        asOf: String
    ) {
        (self.input, self.cacheRead, self.cacheWrite) = (input, cacheRead, cacheWrite)
        (self.output, self.asOf) = (output, asOf)
    }
}
