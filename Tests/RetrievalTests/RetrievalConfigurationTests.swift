import Core
import Testing

@testable import Retrieval

@Suite struct RetrievalConfigurationTests {
    @Test("The defaults are sound")
    func defaults() throws { try RetrievalConfiguration().validate() }

    typealias Change = @Sendable (inout RetrievalConfiguration) -> Void

    static let changes: [(String, Change)] = [
        ("retrieval.document_bytes_max", { $0.documentBytesMax = 0 }),
        ("retrieval.passage_tokens_max", { $0.passageTokensMax = 3 }),
        ("retrieval.embedding_batch_max", { $0.embeddingBatchMax = 0 }),
        ("retrieval.candidates_max", { $0.candidatesMax = 0 }),
        ("retrieval.vector_share", { $0.vectorShare = 1.5 }),
        ("retrieval.similarity_min", { $0.similarityMin = .nan }),
        ("retrieval.reranker.model", { $0.reranker.model = "judge" }),
        ("retrieval.reranker.candidates_max", { $0.reranker.candidatesMax = 0 }),
        ("retrieval.reranker.score_min", { $0.reranker.scoreMin = 2 }),
        ("retrieval.reranker.timeout_seconds", { $0.reranker.timeoutSeconds = .infinity }),
    ]

    @Test("A value that makes no sense is refused by its key", arguments: changes)
    func refused(key: String, change: Change) {
        var configuration = RetrievalConfiguration()
        change(&configuration)
        #expect {
            try configuration.validate()
        } throws: {
            ($0 as? Failure)?.code == .invalid && ($0 as? Failure)?.message.contains(key) == true
        }
    }
}
