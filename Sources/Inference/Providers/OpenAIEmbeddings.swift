/// The answer of `POST /embeddings`.
struct OpenAIEmbeddings: Decodable {
    struct Row: Decodable {
        let index: Int?
        let embedding: [Float]
    }

    struct Usage: Decodable {
        let promptTokens: Int?

        enum CodingKeys: String, CodingKey { case promptTokens = "prompt_tokens" }
    }

    let model: String?
    let data: [Row]
    let usage: Usage?

    /// In the texts' order.
    var vectors: [[Float]] {
        let isNumbered = data.allSatisfy { $0.index != nil }
        let rows = isNumbered ? data.sorted { ($0.index ?? 0) < ($1.index ?? 0) } : data
        return rows.map(\.embedding)
    }
}

struct OpenAIEmbeddingRequest: Encodable {
    let model: String
    let input: [String]
    let encodingFormat = "float"

    enum CodingKeys: String, CodingKey {
        case model, input
        case encodingFormat = "encoding_format"
    }
}
