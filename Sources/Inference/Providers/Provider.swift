import Core

/// Someone who has models: this process, or an endpoint.
protocol Provider: Sendable {
    /// What traces call it (`gen_ai.provider.name`).
    var telemetryName: String { get }
    var isLocal: Bool { get }

    /// Opens a call: when it returns, the candidate has begun to answer, or will without fail.
    /// Throws `CandidateFailure`, or a `Failure` before anything was sent.
    func open(_ request: ProviderRequest) async throws -> ProviderCall

    /// One unit-length vector for each text.
    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings

    /// A score for each text, of how well it answers the question.
    func rerank(
        _ question: String, _ texts: [String], model: String, headers: [String: String]
    ) async throws -> ProviderRanking

    /// Tokens of each text, exactly; nil where only the provider knows.
    func countTokens(_ texts: [String], model: String) throws -> [Int]?

    /// Tokens of a whole prompt, exactly; nil where only the provider knows.
    func promptTokens(_ request: ChatRequest, model: String) throws -> Int?

    /// How long until a call of so many tokens may go out, as far as the endpoint has told its
    /// limits; nil when it may go now.
    func wait(model: String, tokens: Int) -> Duration?

    /// Texts that one call of `embed` takes.
    var embeddingsPerCall: Int { get }

    /// Nil where none are needed.
    var keys: ProviderKeys? { get }
}

extension Provider {
    func countTokens(_ texts: [String], model: String) throws -> [Int]? { nil }
    func promptTokens(_ request: ChatRequest, model: String) throws -> Int? { nil }
    func wait(model: String, tokens: Int) -> Duration? { nil }
    var embeddingsPerCall: Int { .max }
    func rerank(
        _ question: String, _ texts: [String], model: String, headers: [String: String]
    ) async throws -> ProviderRanking {
        throw Failure(
            .unsupported,
            "\(telemetryName) does not rank texts. Name another provider in retrieval.reranker.model."
        )
    }
    var keys: ProviderKeys? { nil }
}

/// One call of one candidate, with every default filled in.
struct ProviderRequest: Sendable {
    let principal: Principal
    let model: String
    var messages: [ChatMessage]
    /// `outputTokensMax` is set.
    let sampling: SamplingOptions
    let contextTokens: Int
    /// What carries the trace to another server.
    let headers: [String: String]
    var tools: [ToolDefinition] = []
    var toolChoice = ToolChoice.auto
    var allowsParallelToolCalls = true
    var responseFormat = ResponseFormat.text
    var reasoning: ReasoningRequest?
    /// Whether the answer is wanted piece by piece; a provider may do so unasked.
    var streams = true
}

extension ReasoningRequest {
    var isOff: Bool { effort == Effort.none || budgetTokens == 0 }
}

/// A call that is open. Run it once, or abandon it.
struct ProviderCall: Sendable {
    typealias Emit = (ChatEvent) async throws -> Void

    let run: @Sendable (_ emit: Emit) async throws -> ProviderOutcome
    var abandon: @Sendable () async -> Void = {}
}

struct ProviderOutcome: Hashable, Sendable {
    let finishReason: Completion.FinishReason
    /// Which of the texts that may end an answer did.
    var stopSequence: String?
    let usage: TokenUsage
    /// What the provider says it answered with; empty when it does not.
    var responseModel = ""
    /// When the first piece of text was there; nil when there was none.
    let firstTextAt: Timestamp?
    /// Only of a model of this machine.
    var local: LocalFigures?
}

/// How a call went in this machine's own engine.
struct LocalFigures: Hashable, Sendable {
    let waitedMilliseconds: Double
    let promptMilliseconds: Double
    /// How many calls ran together, on average over the steps of this one.
    let batchMean: Double
    /// Tokens that were guessed, and how many of them were right.
    let draftTokens: Int
    let draftTokensAccepted: Int
}

struct ProviderEmbeddings: Sendable {
    let values: [Float]
    let dimensions: Int
    let usage: TokenUsage
    var responseModel = ""
}

struct ProviderRanking: Sendable {
    /// In the texts' order, from 0 to 1; nil for a text that was left out.
    let scores: [Double?]
    let usage: TokenUsage
    var responseModel = ""
}

/// Tokens where nobody counts for us. English has about four bytes a token, code and other
/// languages less, so three is above the truth for nearly all.
enum TokenEstimate {
    private static let bytesPerToken = 3
    // What a chat template wraps around a message.
    static let tokensPerMessage = 4

    static func tokens(bytes: Int) -> Int {
        bytes / bytesPerToken + (bytes % bytesPerToken).signum()
    }

    static func tokens(_ messages: [ChatMessage]) -> Int {
        messages.reduce(tokensPerMessage) {
            $0
                + tokens(
                    bytes: $1.text.utf8.count
                        + $1.toolCalls.reduce(0) {
                            $0 + $1.name.utf8.count + $1.arguments.utf8.count
                        }) + tokensPerMessage
        }
    }
}
