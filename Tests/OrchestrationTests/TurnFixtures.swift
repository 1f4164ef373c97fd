import Core
import Foundation
import Synchronization
import TestSupport

@testable import Orchestration

/// An orchestrator on a folder of its own, running for as long as `body` does.
func withOrchestrator<Value: Sendable>(
    model: any ChatModel = ScriptedModel(),
    knowledge: ScriptedKnowledge = ScriptedKnowledge(),
    embedder: any Embedder = NoEmbedder(),
    folder: TemporaryFolder? = nil,
    clock: ManualClock = ManualClock(),
    configuration: OrchestrationConfiguration = OrchestrationConfiguration(),
    _ body: @escaping @Sendable (Orchestrator) async throws -> Value
) async throws -> Value {
    let folder = try folder ?? TemporaryFolder()
    var configuration = configuration
    configuration.shutdownGraceSeconds = 0
    let orchestrator = try Orchestrator(
        configuration, folder: folder.path, model: model, embedder: embedder,
        knowledge: knowledge, environment: .manual(clock, seed: UInt64.random(in: 1...(.max))))
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await orchestrator.run() }
        try await until { orchestrator.isServing }
        let value = try await body(orchestrator)
        group.cancelAll()
        return value
    }
}

extension OrchestrationConfiguration {
    static func with(_ change: (inout OrchestrationConfiguration) -> Void) -> Self {
        var configuration = OrchestrationConfiguration()
        change(&configuration)
        return configuration
    }
}

extension Orchestrator {
    var isServing: Bool { intake.withLock { $0 != nil } }

    func newChat(for principal: Principal = .alice) async throws -> Identifier {
        try await createChat(titled: "", for: principal).id
    }

    func ask(
        _ question: String = "Hello there?", in chat: Identifier? = nil,
        for principal: Principal = .alice, model: String? = nil,
        collections: [Identifier]? = nil, sampling: SamplingOptions = SamplingOptions()
    ) async throws -> TurnStarted {
        let chatID: Identifier
        if let chat { chatID = chat } else { chatID = try await newChat(for: principal) }
        return try await begin(
            TurnRequest(
                principal: principal, chatID: chatID, question: question, model: model,
                collectionIDs: collections, sampling: sampling))
    }

    func events(
        of turn: Identifier, after number: Int = 0, for principal: Principal = .alice
    ) async throws -> [TurnEvent] {
        var events: [TurnEvent] = []
        try await follow(turn: turn, after: number, for: principal) { events.append($0) }
        return events
    }

    func outcome(of turn: Identifier) async throws -> TurnOutcome {
        guard let outcome = try await events(of: turn).last?.kind.outcome else {
            throw Failure(.internalError, "The turn has no end.")
        }
        return outcome
    }
}

extension TurnEventKind {
    var outcome: TurnOutcome? {
        guard case .ended(let outcome) = self else { return nil }
        return outcome
    }

    var text: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    /// `passages`, `text`, `notice` or `ended`.
    var name: String {
        switch self {
        case .passages: "passages"
        case .text: "text"
        case .notice: "notice"
        case .progress: "progress"
        case .ended: "ended"
        }
    }
}

/// Looks again and again until `condition` holds, for five seconds at most.
func until(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<1000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw Failure(.timeout, "What the test waits for did not happen.")
}

/// The failure that `body` throws; nil where it throws none of ours.
func refusal(of body: () async throws -> Void) async -> Failure? {
    do {
        try await body()
        return nil
    } catch {
        return error as? Failure
    }
}

/// An embedder that is not there.
struct NoEmbedder: Embedder {
    func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        throw Failure(.unavailable, "There is no embedding model.")
    }
}

/// Texts with words in common are close; it also knows a few words that mean the same.
final class WordEmbedder: Embedder {
    private static let dimensions = 256
    private let synonyms: [String: String]
    private let counter = Mutex(0)

    init(synonyms: [String: String] = [:]) {
        self.synonyms = synonyms
    }

    var callCount: Int { counter.withLock { $0 } }

    func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        counter.withLock { $0 += 1 }
        let rows = request.texts.map { text in
            var row = [Float](repeating: 0, count: Self.dimensions)
            for word in Set(Words.content(of: text)) {
                let meant = synonyms[word] ?? word
                let place = meant.utf8.reduce(5381) { ($0 &* 33 &+ Int($1)) & 0xFFFF }
                row[place % Self.dimensions] = 1
            }
            let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return length == 0 ? row : row.map { $0 / length }
        }
        return Embeddings(
            candidate: "test/words", dimensions: Self.dimensions, values: rows.flatMap { $0 },
            usage: TokenUsage())
    }
}

/// Passages as retrieval cuts them, from the first of the project's own source documents.
enum Seeds {
    static let finOps = """
        Layer 7: Cost and FinOps
        AI apps bill in a unit most cloud teams had never managed before: the token, a fragment of \
        text the model reads or writes. The FinOps Foundation frames the cost of any cloud service \
        as price times quantity, and notes that cost-per-token is now the dominant metric for \
        generative AI services. The share of FinOps teams managing AI spend has risen sharply, from \
        under a third two years ago to nearly all of them today, according to the foundation’s \
        community reports. Three habits keep the bill down:
        - Model tiering: send easy requests to a small cheap model and only escalate hard ones to a \
        large model.
        - Semantic caching: reuse a stored answer when a near-identical question has already been \
        asked. Reports cite reductions of 30 to 60 percent in model calls.
        - Context management: trim long prompts so the model is not charged for text it does not \
        need.
        The FinOps Foundation suggests growing this discipline in three stages, crawl, walk, then \
        run, starting with simple visibility and ending with cost tied to return on investment.
        """

    static let retrieval = """
        Layer 4: Retrieval, how the app knows your data
        A base model only knows what it learned during training. It has never seen your company \
        handbook or last week’s tickets. Retrieval fixes that. Your documents are turned into \
        numbers that capture meaning, then stored in a vector database. Reports put retrieval at \
        roughly 50 to 300 milliseconds, depending on the database and the embedding model. Common \
        vector stores include Pinecone, Weaviate, and pgvector on Postgres.
        """

    static let gateway = """
        Layer 2: The API gateway, the front door
        Every request from the app first hits an API gateway. Think of it as the reception desk of a \
        building. It checks your identity, confirms you are allowed in, and counts how often you \
        knock so no single user can overwhelm the system. The gateway also decides where to send \
        each request next. It holds no model and stores little.
        """

    static let all = [finOps, retrieval, gateway]
    static let passages = all.enumerated().map { Passage.sample($1, number: $0 + 1) }
    static let threeHabits = "Which three habits keep the bill down?"
}
