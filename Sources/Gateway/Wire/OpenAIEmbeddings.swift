import Core
import Foundation
import OrderedJSON

/// `POST /v1/embeddings`.
struct OpenAIEmbeddingsRequest {
    let model: String?
    let encodingFormat: String?
    let dimensions: Int?
    /// Nil for the numbers of tokens.
    private let input: [String]?

    /// Throws a refusal that names the field.
    init(_ fields: JSONFields) throws {
        model = try fields.string("model")
        encodingFormat = try fields.string("encoding_format")
        dimensions = try fields.int("dimensions")
        let given = try fields.required("input", fields["input"])
        let first = given.array?.first
        let isTokens = first?.int != nil || first?.array != nil
        input = isTokens ? nil : try fields.oneOrMany("input")
    }

    static let textsMax = 2048

    /// Throws a refusal that names the parameter.
    func texts() throws -> [String] {
        guard let texts = input else {
            throw OpenAIChatRequest.unsupported(
                "input", "Send texts: token arrays mean different words to each model.")
        }
        guard (1...Self.textsMax).contains(texts.count) else {
            throw OpenAIChatRequest.refusal("input", "has to have 1 to \(Self.textsMax) texts.")
        }
        guard texts.allSatisfy({ !$0.isEmpty }) else {
            throw OpenAIChatRequest.refusal("input", "has an empty text.")
        }
        guard ["float", "base64"].contains(encodingFormat ?? "float") else {
            throw OpenAIChatRequest.refusal("encoding_format", "has to be `float` or `base64`.")
        }
        return texts
    }
}

struct OpenAIEmbeddingsAnswer: Encodable {
    enum Vector: Encodable {
        case floats([Float])
        /// Little-endian 32-bit floats, which is what the official clients ask for.
        case base64(String)

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .floats(let values): try container.encode(values)
            case .base64(let text): try container.encode(text)
            }
        }
    }

    struct Entry: Encodable {
        let object = "embedding"
        let index: Int
        let embedding: Vector
    }

    struct Usage: Encodable {
        let promptTokens: Int
        let totalTokens: Int

        enum CodingKeys: String, CodingKey {
            case promptTokens = "prompt_tokens"
            case totalTokens = "total_tokens"
        }
    }

    let object = "list"
    let data: [Entry]
    let model: String
    let usage: Usage

    init(_ embeddings: Embeddings, model: String, asBase64: Bool) {
        data = (0..<embeddings.count).map { index in
            let values = Array(embeddings[index])
            return Entry(
                index: index,
                embedding: asBase64 ? .base64(Self.base64(values)) : .floats(values))
        }
        self.model = model
        usage = Usage(
            promptTokens: embeddings.usage.input, totalTokens: embeddings.usage.input)
    }

    private static func base64(_ values: [Float]) -> String {
        var bytes = Data(capacity: values.count * 4)
        for value in values {
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes.base64EncodedString()
    }
}
