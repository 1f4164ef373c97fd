import Core

/// The vectors of one call after the other, in the texts' order, each of length 1.
struct EmbeddingRows {
    private let provider: String
    private var values: [Float] = []
    private var dimensions = 0
    private var tokens = 0
    private var isEstimated = false

    private static let dimensionsMax = 65_536

    init(provider: String) { self.provider = provider }

    /// - Parameter tokens: what the provider says the texts had; nil estimates.
    /// Throws for vectors that are too few or too many, that differ in their lengths, or that have
    /// numbers which are none.
    mutating func add(_ rows: [[Float]], of texts: [String], tokens: Int? = nil) throws {
        guard rows.count == texts.count, let count = rows.first?.count,
            (1...Self.dimensionsMax).contains(count), dimensions == 0 || dimensions == count,
            rows.allSatisfy({ $0.count == count })
        else { throw Self.unreadable(provider) }
        dimensions = count
        let unit = rows.flatMap { row in
            let length = row.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
            return length > 0 ? row.map { $0 / length } : row
        }
        guard unit.allSatisfy(\.isFinite) else { throw Self.unreadable(provider) }
        values += unit
        let estimate = TokenEstimate.tokens(bytes: texts.reduce(0) { $0 + $1.utf8.count })
        self.tokens += min(max(0, tokens ?? estimate), 1 << 40)
        isEstimated = isEstimated || tokens == nil
    }

    var embeddings: ProviderEmbeddings {
        ProviderEmbeddings(
            values: values, dimensions: dimensions,
            usage: TokenUsage(freshInput: tokens, isEstimated: isEstimated))
    }

    static func unreadable(_ provider: String) -> CandidateFailure {
        CandidateFailure(
            .broken,
            Failure(.upstream, "The provider \(provider) sent embeddings that cannot be read."))
    }
}
