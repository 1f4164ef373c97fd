import Core
import Logging
import Metrics
import Synchronization

/// Reads the question of a request, and remembers the vectors of the last ones: a question that is
/// looked up is, where nothing is found, looked up again to be kept.
final class QuestionReader: Sendable {
    private struct Asked: Hashable {
        let user: Identifier
        let text: String
    }

    private struct State {
        var vectors = RecencyMap<Asked, QuestionVector>()
        var restsUntil: Timestamp?
    }

    private let embedder: any Embedder
    private let environment: Environment
    private let state = Mutex(State())
    private let logger = Logger(label: "heptad.cache")

    static let vectorsMax = 256
    /// The longest that an answer waits for the vector of its question.
    static let waitMax = Duration.seconds(2)

    /// How long the embedder is left alone after it failed, so that not every answer waits for it.
    static let rest = Duration.seconds(10)

    init(_ embedder: any Embedder, environment: Environment) {
        self.embedder = embedder
        self.environment = environment
    }

    /// Nil where questions are not compared, and where no vector can be had: then the model is asked.
    func question(_ request: ChatRequest) async throws -> SimilarQuestion? {
        guard let text = SimilarQuestion.text(of: request),
            let around = CacheKey(around: request)
        else { return nil }
        do {
            guard let vector = try await vector(of: text, for: request.principal) else {
                return nil
            }
            return SimilarQuestion(
                around: around, text: text, traits: QuestionTraits(text), vector: vector)
        } catch {
            try Task.checkCancellation()
            // That one user has nothing left to spend says nothing of the embedder.
            guard Failure(error).code != .budgetExceeded else { return nil }
            let until = environment.now() + Self.rest
            state.withLock { $0.restsUntil = until }
            Counter(label: "heptad_cache_unread_questions").increment()
            logger.warning("A question has no vector", metadata: ["error": "\(Failure(error))"])
            return nil
        }
    }

    private func vector(of text: String, for principal: Principal) async throws -> QuestionVector? {
        let asked = Asked(user: principal.userID, text: text)
        let (known, restsUntil) = state.withLock { ($0.vectors.use(asked), $0.restsUntil) }
        if let known { return known }
        guard restsUntil.map({ $0 <= environment.now() }) ?? true else { return nil }
        let request = EmbeddingRequest(principal: principal, texts: [text], purpose: "cache")
        let made = try await Self.first(within: Self.waitMax) { [embedder] in
            try await embedder.embed(request)
        }
        let vector = QuestionVector(candidate: made.candidate, values: Array(made[0]))
        state.withLock { state in
            state.vectors.insert(vector, for: asked)
            if state.vectors.count > Self.vectorsMax { _ = state.vectors.removeOldest() }
        }
        return vector
    }

    static func first<Value: Sendable>(
        within limit: Duration, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: limit)
                throw Failure(.timeout, "There was no result within \(limit).")
            }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }
}
