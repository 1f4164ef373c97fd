import Core
import Synchronization
import TestSupport

@testable import Accounting

/// A model that says what a test wrote down for it.
final class StagedModel: ChatModel {
    enum Ending: Sendable {
        case completes(TokenUsage)
        case fails, hangs
    }

    let cards: [ModelCard]
    private let pieces: [String]
    private let ending: Ending
    private let refusal: Failure?
    /// Set where the answer was there, and nothing is to be paid.
    private let cache: CacheUse?
    /// Whether it is recalled, so that nothing has to be opened for it.
    private let isKept: Bool
    let requests = Mutex<[ChatRequest]>([])
    let abandoned = Mutex(0)

    init(
        candidates: [String] = ["hosted/m"], pieces: [String] = ["Hello", " there"],
        ending: Ending = .completes(TokenUsage(freshInput: 10, output: 2)),
        refusal: Failure? = nil, outputTokensMax: Int = 1000, cache: CacheUse? = nil,
        isKept: Bool = false
    ) {
        cards = [
            ModelCard(
                name: "m", candidates: candidates, contextTokens: 8000,
                outputTokensMax: outputTokensMax, isLocal: false)
        ]
        self.pieces = pieces
        self.ending = ending
        self.refusal = refusal
        self.cache = cache
        self.isKept = isKept
    }

    func recall(_ request: ChatRequest) async throws -> ChatCall? {
        isKept ? call() : nil
    }

    func open(_ request: ChatRequest) async throws -> ChatCall {
        requests.withLock { $0.append(request) }
        if let refusal { throw refusal }
        return call()
    }

    private func call() -> ChatCall {
        let candidate = cards[0].candidates.last ?? ""
        return ChatCall(
            candidate: candidate, cache: cache,
            cached: isKept
                ? CachedAnswer(usage: TokenUsage(freshInput: 10, output: 2)) : nil,
            isCharged: { self.cache == nil },
            run: { emit in
                for piece in self.pieces { try await emit(.text(piece)) }
                switch self.ending {
                case .fails: throw Failure(.upstream, "The provider hung up.")
                case .hangs:
                    try await Task.sleep(for: .seconds(60))
                    throw CancellationError()
                case .completes(let usage):
                    return Completion(
                        candidate: candidate, finishReason: .stop, usage: usage,
                        firstTokenMilliseconds: 1, totalMilliseconds: 2)
                }
            },
            abandon: { self.abandoned.withLock { $0 += 1 } })
    }

    func models() async -> [ModelCard] { cards }

    /// One token for a byte.
    func countTokens(_ texts: [String], model: String) async throws -> [Int] {
        try Task.checkCancellation()
        return texts.map(\.utf8.count)
    }
}

extension ChatRequest {
    /// Twelve bytes of prompt: 20 tokens with what wraps them.
    static func asking(
        _ principal: Principal = .alice, model: String = "m", outputTokensMax: Int? = 100
    ) -> ChatRequest {
        ChatRequest(
            principal: principal, model: model, messages: [ChatMessage(.user, "How are you?")],
            sampling: SamplingOptions(outputTokensMax: outputTokensMax), purpose: "api")
    }
}

extension AccountingConfiguration {
    /// `hosted/m` costs a dollar for a million input tokens and ten for output.
    static func pricing(budget: String = "") -> AccountingConfiguration {
        var configuration = AccountingConfiguration()
        configuration.prices = [
            "hosted/m": PriceConfiguration(input: "1", output: "10"),
            "dear/m": PriceConfiguration(input: "2", output: "20"),
        ]
        configuration.monthlyBudgetDollars = budget
        return configuration
    }
}

/// A ledger in a folder of its own.
struct Bench {
    let folder: TemporaryFolder
    let clock: ManualClock
    let ledger: SpendLedger

    init(
        _ configuration: AccountingConfiguration = .pricing(), folder: TemporaryFolder? = nil,
        clock: ManualClock = ManualClock(), seed: UInt64 = 1
    ) throws {
        let folder = try folder ?? TemporaryFolder()
        self.folder = folder
        self.clock = clock
        ledger = try SpendLedger(
            configuration, folder: folder.path, environment: .manual(clock, seed: seed))
    }

    func details(_ principal: Principal = .alice) -> CallDetails { CallDetails(.asking(principal)) }
}
