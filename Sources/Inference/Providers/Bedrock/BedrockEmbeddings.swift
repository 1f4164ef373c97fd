import Core
import Egress
import OrderedJSON

/// The bodies by which Bedrock's embedding models are invoked: each maker has its own.
enum BedrockEmbeddings {
    case titan, cohere

    /// Throws `unsupported` for a model whose body is not known.
    init(model: String) throws {
        if model.contains("amazon.titan-embed") {
            self = .titan
        } else if model.contains("cohere.embed") {
            self = .cohere
        } else {
            throw Failure(
                .unsupported,
                "Of Bedrock's models, amazon.titan-embed and cohere.embed make embeddings here;"
                    + " \(model) is neither.")
        }
    }

    /// Texts of one call.
    var textsMax: Int {
        switch self {
        case .titan: 1
        case .cohere: 96
        }
    }

    func body(of texts: [String]) -> [UInt8] {
        let body: JSONValue =
            switch self {
            case .titan: .of("inputText", texts.first ?? "")
            case .cohere:
                .object([
                    .init("texts", .array(texts.map(JSONValue.string))),
                    .init("input_type", .string("search_document")),
                    .init("truncate", .string("END")),
                ])
            }
        return Array(body.text.utf8)
    }

    /// Nil for what is no answer.
    func rows(_ answer: JSONValue) -> [[Float]]? {
        switch self {
        case .titan: Self.vector(answer["embedding"]).map { [$0] }
        case .cohere:
            // The fourth version says of which type they are.
            (answer["embeddings"]?["float"] ?? answer["embeddings"])?.array.flatMap { rows in
                let vectors = rows.compactMap(Self.vector)
                return vectors.count == rows.count ? vectors : nil
            }
        }
    }

    /// How many tokens the texts had; nil where neither body nor header says.
    func tokens(_ answer: JSONValue, _ headers: [HTTPHeader]) -> Int? {
        answer["inputTextTokenCount"]?.int
            ?? headers["x-amzn-bedrock-input-token-count"].flatMap { Int($0) }
    }

    private static func vector(_ value: JSONValue?) -> [Float]? {
        guard let numbers = value?.array else { return nil }
        let floats = numbers.compactMap { $0.double.map { Float($0) } }
        return floats.count == numbers.count ? floats : nil
    }
}
