import Core

/// The vectors of a request whose texts are embedded in several calls, and who took what for them.
struct EmbeddingBatches {
    private let candidate: CandidateName
    private var values: [Float] = []
    private var dimensions = 0
    private var parts: [CandidateUsage] = []

    /// - Parameter candidate: whose vectors they are, whoever makes them.
    init(candidate: CandidateName) { self.candidate = candidate }

    var isEmpty: Bool { parts.isEmpty }

    /// Throws for vectors that cannot be of the same model as those before.
    mutating func add(_ made: ProviderEmbeddings, by candidate: CandidateName) throws {
        let name = candidate.description
        if let last = parts.last, last.candidate == name {
            parts[parts.count - 1] = CandidateUsage(name, Self.sum(last.usage, made.usage))
        } else {
            parts.append(CandidateUsage(name, made.usage))
        }
        guard dimensions == 0 || made.dimensions == 0 || dimensions == made.dimensions else {
            throw Failure(
                .upstream,
                "\(name) makes vectors of \(made.dimensions) numbers instead of \(dimensions), so"
                    + " it is not the same model. Correct inference.embedding_fallbacks.")
        }
        dimensions = max(dimensions, made.dimensions)
        values += made.values
    }

    var embeddings: Embeddings {
        var embeddings = Embeddings(
            candidate: candidate.description, dimensions: dimensions, values: values,
            usage: parts.map(\.usage).reduce(TokenUsage(), Self.sum))
        if parts.map(\.candidate) != [candidate.description] { embeddings.parts = parts }
        return embeddings
    }

    /// What failed, with what was made before it, which is to be paid all the same.
    func failure(_ error: any Error) -> Failure {
        var failure = Failure(error)
        failure.spent = parts
        return failure
    }

    /// Bounded, since a provider may claim anything.
    private static func sum(_ one: TokenUsage, _ other: TokenUsage) -> TokenUsage {
        func sum(_ path: KeyPath<TokenUsage, Int>) -> Int {
            min(one[keyPath: path], 1 << 40) + min(other[keyPath: path], 1 << 40)
        }
        return TokenUsage(
            freshInput: sum(\.freshInput), cacheRead: sum(\.cacheRead),
            cacheWrite: sum(\.cacheWrite), output: sum(\.output), reasoning: sum(\.reasoning),
            isEstimated: one.isEstimated || other.isEstimated)
    }
}
