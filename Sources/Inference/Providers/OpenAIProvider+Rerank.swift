import Core
import Egress
import Foundation

/// `POST /rerank` as Cohere (v2), Jina, vLLM, llama.cpp and others have it: `{model, query, documents,
/// top_n}`, answered with `{results: [{index, relevance_score}]}`. OpenAI itself has none.
extension OpenAIProvider {
    private static let rankingBytesMax = 4 * 1024 * 1024

    func rerank(
        _ question: String, _ texts: [String], model: String, headers: [String: String]
    ) async throws -> ProviderRanking {
        let tokens = TokenEstimate.tokens(
            bytes: texts.reduce(question.utf8.count) { $0 + $1.utf8.count })
        let body = RerankBody(model: model, query: question, documents: texts, topN: texts.count)
        let response = try await endpoint.post(
            path("/rerank", model), Array(try JSONEncoder().encode(body)),
            headers: [HTTPHeader("Accept", "application/json")], trace: headers, model: model,
            tokens: tokens)
        let answer: RerankAnswer
        do {
            let bytes = try await response.body.collect(bytesMax: Self.rankingBytesMax)
            answer = try JSONDecoder().decode(RerankAnswer.self, from: Data(bytes))
        } catch is DecodingError {
            throw unreadableRanking
        } catch {
            throw endpoint.candidateFailure(error, model: model, hasBegun: false)
        }
        guard let scores = answer.scores(of: texts.count) else { throw unreadableRanking }
        let stated = answer.tokens.map { min(max(0, $0), 1 << 40) }
        return ProviderRanking(
            scores: scores,
            usage: TokenUsage(freshInput: stated ?? tokens, isEstimated: stated == nil),
            responseModel: answer.model ?? "")
    }

    private var unreadableRanking: CandidateFailure {
        CandidateFailure(
            .broken,
            Failure(.upstream, "The provider \(endpoint.name) sent a ranking that cannot be read."))
    }
}

struct RerankBody: Encodable {
    let model: String
    let query: String
    let documents: [String]
    let topN: Int

    enum CodingKeys: String, CodingKey {
        case model, query, documents
        case topN = "top_n"
    }
}

struct RerankAnswer: Decodable {
    struct Result: Decodable {
        let index: Int
        let score: Double

        enum CodingKeys: String, CodingKey {
            case index
            case score = "relevance_score"
        }
    }

    /// Jina and vLLM count here.
    struct Usage: Decodable {
        let totalTokens: Int?

        enum CodingKeys: String, CodingKey { case totalTokens = "total_tokens" }
    }

    /// Cohere counts here, where it counts tokens; it charges by the search.
    struct Meta: Decodable {
        struct Tokens: Decodable {
            let input: Int?

            enum CodingKeys: String, CodingKey { case input = "input_tokens" }
        }

        let tokens: Tokens?
    }

    let model: String?
    let results: [Result]
    let usage: Usage?
    let meta: Meta?

    var tokens: Int? { usage?.totalTokens ?? meta?.tokens?.input }

    /// In the texts' order, from 0 to 1; nil where there is none, or one twice, or for no text.
    func scores(of count: Int) -> [Double?]? {
        var scores: [Double?] = Array(repeating: nil, count: count)
        for result in results {
            guard scores.indices.contains(result.index), scores[result.index] == nil,
                result.score.isFinite
            else { return nil }
            scores[result.index] = result.score
        }
        guard !results.isEmpty else { return nil }
        // Some servers give the model's output as it is, which has no bounds.
        guard results.allSatisfy({ (0...1).contains($0.score) }) else {
            return scores.map { $0.map { 1 / (1 + exp(-$0)) } }
        }
        return scores
    }
}
