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

    private let embedder: any Embedder
    private let vectors = Mutex(RecencyMap<Asked, QuestionVector>())
    private let logger = Logger(label: "heptad.cache")

    static let vectorsMax = 256
    /// The longest that an answer waits for the vector of its question.
    static let waitMax = Duration.seconds(2)

    init(_ embedder: any Embedder) { self.embedder = embedder }

    /// Nil where questions are not compared, and where no vector can be had: then the model is asked.
    func question(_ request: ChatRequest) async throws -> SimilarQuestion? {
        guard let text = SimilarQuestion.text(of: request),
            let around = CacheKey(around: request)
        else { return nil }
        do {
            let vector = try await vector(of: text, for: request.principal)
            return SimilarQuestion(
                around: around, text: text, traits: QuestionTraits(text), vector: vector)
        } catch {
            try Task.checkCancellation()
            Counter(label: "heptad_cache_unread_questions").increment()
            logger.warning("A question has no vector", metadata: ["error": "\(Failure(error))"])
            return nil
        }
    }

    private func vector(of text: String, for principal: Principal) async throws -> QuestionVector {
        let asked = Asked(user: principal.userID, text: text)
        if let known = vectors.withLock({ $0.use(asked) }) { return known }
        let request = EmbeddingRequest(principal: principal, texts: [text], purpose: "cache")
        let made = try await Self.first(within: Self.waitMax) { [embedder] in
            try await embedder.embed(request)
        }
        let vector = QuestionVector(candidate: made.candidate, values: Array(made[0]))
        vectors.withLock { vectors in
            vectors.insert(vector, for: asked)
            if vectors.count > Self.vectorsMax { _ = vectors.removeOldest() }
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
