/// A language model, as those who need answers see it. Made by Inference, wrapped by Accounting.
package protocol ChatModel: Sendable {
    /// Chooses who answers and opens the call. Throws while an HTTP status can still say so:
    /// `invalid`, `budgetExceeded`, `notFound` for an unknown model, `tooLarge` for a prompt that
    /// does not fit, `rateLimited`, `upstream`, `unavailable`, `timeout`.
    func open(_ request: ChatRequest) async throws -> ChatCall

    /// The call of an answer that is there and costs nothing, so that no funds are needed for it; nil
    /// where there is none.
    func recall(_ request: ChatRequest) async throws -> ChatCall?

    /// The models that can be named in a request, in the order of the configuration. The first is
    /// the default.
    func models() async -> [ModelCard]

    /// How many tokens each text has for this model: exact for local models, an estimate from above
    /// for hosted ones. Throws `notFound` for an unknown model.
    func countTokens(_ texts: [String], model: String) async throws -> [Int]
}

extension ChatModel {
    package func recall(_ request: ChatRequest) async throws -> ChatCall? { nil }
}

/// A call that is open and has not begun to stream. Either `run` it, once, or `abandon` it: a call
/// that is dropped keeps its funds reserved until the reservation expires.
package struct ChatCall: Sendable {
    package typealias Emit = (ChatEvent) async throws -> Void

    /// Who will answer, as `provider/model`.
    package let candidate: String
    /// What a cache had of the answer; nil where none was asked.
    package var cache: CacheUse?
    /// What is known of an answer that was there before; nil for one that is being made.
    package var cached: CachedAnswer?
    /// By which policy it was chosen, and why others were not, in one line for a header.
    package let decision: String
    /// What the reader should know of the choice, in a sentence; nil for nothing.
    package let notice: String?
    /// What was left out of a prompt that was too long, in one line for a header; nil for nothing.
    package let context: String?
    private let charges: @Sendable () -> Bool
    private let spender: @Sendable () -> [CandidateUsage]
    private let runner: @Sendable (_ emit: Emit) async throws -> Completion
    private let abandoner: @Sendable () async -> Void

    package init(
        candidate: String, decision: String = "", notice: String? = nil, context: String? = nil,
        cache: CacheUse? = nil, cached: CachedAnswer? = nil,
        isCharged: @escaping @Sendable () -> Bool = { true },
        spent: @escaping @Sendable () -> [CandidateUsage] = { [] },
        run: @escaping @Sendable (_ emit: Emit) async throws -> Completion,
        abandon: @escaping @Sendable () async -> Void = {}
    ) {
        (self.candidate, self.cache, self.cached) = (candidate, cache, cached)
        charges = isCharged
        spender = spent
        (self.decision, self.notice, self.context) = (decision, notice, context)
        runner = run
        abandoner = abandon
    }

    /// Streams the answer through `emit`, one event at a time: the next is not read before `emit`
    /// returns, which is all the back-pressure there is. Cancelling the task, or throwing from
    /// `emit`, ends the call upstream; what it used until then is settled all the same.
    package func run(_ emit: Emit) async throws -> Completion { try await runner(emit) }

    /// Whether what was used is this call's to pay, once it has ended: not where the answer was there
    /// already, or is on its way to somebody else who pays for it.
    package var isCharged: Bool { charges() }

    /// What attempts of others took that came to nothing, so far; to be paid beside the answer.
    package var spent: [CandidateUsage] { spender() }

    /// Gives the call up before it runs.
    package func abandon() async { await abandoner() }
}
