/// Scores texts by how well each answers a question. Made by Inference, wrapped by Accounting.
package protocol Reranker: Sendable {
    /// Throws like `Embedder.embed`; `notFound` for a candidate that is not there.
    func rerank(_ request: RerankRequest) async throws -> Reranking
}

package struct RerankRequest: Codable, Sendable {
    package let principal: Principal
    /// As `provider/model`; of the configuration, never what a user named.
    package let candidate: String
    package let question: String
    package let texts: [String]

    package init(principal: Principal, candidate: String, question: String, texts: [String]) {
        (self.principal, self.candidate) = (principal, candidate)
        (self.question, self.texts) = (question, texts)
    }
}

package struct Reranking: Codable, Sendable {
    /// In the texts' order, larger for better, from 0 to 1; nil for a text that was left out.
    package let scores: [Double?]
    package let usage: TokenUsage
    package var cost = Picodollars.zero

    package init(scores: [Double?], usage: TokenUsage) {
        (self.scores, self.usage) = (scores, usage)
    }
}
