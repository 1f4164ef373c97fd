import Core

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the small files beside the weights say about a sentence-embedding model. Every one of them
/// may be missing; then it is a BERT model like all-MiniLM-L6-v2.
struct EncoderConfiguration: Equatable {
    /// Zero where nothing says how many.
    var heads = 0
    var epsilon: Float = 1e-12
    /// Tokens of one text, `[CLS]` and `[SEP]` included.
    var tokensMax = 256
    /// Tokens of a question and a text together, of a model that reads pairs.
    var pairTokensMax = 512
    var lowercases = true

    static let fileBytesMax = 1 << 20

    init() {}

    /// Throws `unsupported` where a file names something else than this engine computes, and
    /// `invalid` where it cannot be read.
    init(folder: String) throws {
        if let model: Model = try Self.read("config.json", in: folder) {
            try Self.require(model.modelType ?? "bert", is: "bert", "model type")
            try Self.require(model.hiddenAct ?? "gelu", is: "gelu", "activation")
            try Self.require(
                model.positionEmbeddingType ?? "absolute", is: "absolute", "position embedding")
            heads = model.numAttentionHeads ?? heads
            epsilon = model.layerNormEps ?? epsilon
        }
        if let sentence: Sentence = try Self.read("sentence_bert_config.json", in: folder) {
            tokensMax = sentence.maxSeqLength ?? tokensMax
            lowercases = sentence.doLowerCase ?? false || lowercases
        }
        if let tokenizer: Tokenizer = try Self.read("tokenizer_config.json", in: folder) {
            lowercases = tokenizer.doLowerCase ?? lowercases
            // Where there is no limit these files have an enormous number.
            if let tokens = tokenizer.modelMaxLength, (3...512).contains(tokens) {
                pairTokensMax = Int(tokens)
            }
        }
        if let pooling: Pooling = try Self.read("1_Pooling/config.json", in: folder) {
            guard pooling.poolingModeMeanTokens ?? true,
                !(pooling.poolingModeClsToken ?? false)
            else {
                throw Failure(
                    .unsupported, "\(folder) does not pool by the mean; only that runs here.")
            }
        }
        guard heads >= 0, epsilon > 0, epsilon < 1, tokensMax > 2 else {
            throw Failure(.invalid, "\(folder)/config.json has numbers that make no sense.")
        }
    }

    private static func require(_ found: String, is expected: String, _ what: String) throws {
        guard found == expected else {
            throw Failure(
                .unsupported,
                "The \(what) \(found.prefix(100)) does not run here, only \(expected).")
        }
    }

    private static func read<File: Decodable>(_ name: String, in folder: String) throws -> File? {
        let file: MappedModel
        do {
            file = try MappedModel(path: folder + "/" + name)
        } catch let failure as Failure where failure.code == .notFound {
            return nil
        }
        do {
            guard file.bytes.count <= fileBytesMax else {
                throw Failure(.invalid, "It is too large.")
            }
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(File.self, from: Data(file.bytes))
        } catch {
            throw Failure(.invalid, "\(folder)/\(name) cannot be read.", cause: error)
        }
    }

    private struct Model: Decodable {
        let modelType: String?
        let hiddenAct: String?
        let positionEmbeddingType: String?
        let numAttentionHeads: Int?
        let layerNormEps: Float?
    }

    private struct Sentence: Decodable {
        let maxSeqLength: Int?
        let doLowerCase: Bool?
    }

    private struct Tokenizer: Decodable {
        let doLowerCase: Bool?
        let modelMaxLength: Double?
    }

    private struct Pooling: Decodable {
        let poolingModeMeanTokens: Bool?
        let poolingModeClsToken: Bool?
    }
}
