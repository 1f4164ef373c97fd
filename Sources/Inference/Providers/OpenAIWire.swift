import Core
import Foundation

/// The body of `POST /chat/completions`.
struct OpenAIChatRequest: Encodable {
    struct Message: Encodable {
        let role: String
        let content: String
    }

    struct StreamOptions: Encodable {
        let includeUsage = true
        let includeObfuscation: Bool?

        enum CodingKeys: String, CodingKey {
            case includeUsage = "include_usage"
            case includeObfuscation = "include_obfuscation"
        }
    }

    let model: String
    let messages: [Message]
    let stream = true
    let streamOptions: StreamOptions
    let temperature: Double?
    let topP: Double?
    let topK: Int?
    let minP: Double?
    let seed: Int64?
    let stop: [String]?
    let maxTokens: Int?
    let maxCompletionTokens: Int?

    enum CodingKeys: String, CodingKey {
        case model, messages, stream, temperature, seed, stop
        case streamOptions = "stream_options"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case maxTokens = "max_tokens"
        case maxCompletionTokens = "max_completion_tokens"
    }

    /// - Parameter isOpenAI: OpenAI's own API refuses `top_k` and `min_p`, and calls the limit of
    ///   the answer by a newer name; the others know the old name, and many know the two.
    init(_ request: ProviderRequest, isOpenAI: Bool) {
        let sampling = request.sampling
        model = request.model
        messages = request.messages.map { Message(role: $0.role.rawValue, content: $0.text) }
        streamOptions = StreamOptions(includeObfuscation: isOpenAI ? false : nil)
        temperature = sampling.temperature
        topP = sampling.topP
        topK = isOpenAI ? nil : sampling.topK
        minP = isOpenAI ? nil : sampling.minP
        // Signed on the wire; the highest bit says nothing that the others do not.
        seed = sampling.seed.map { Int64(truncatingIfNeeded: $0 & 0x7FFF_FFFF_FFFF_FFFF) }
        stop = sampling.stop.isEmpty ? nil : sampling.stop
        maxTokens = isOpenAI ? nil : sampling.outputTokensMax
        maxCompletionTokens = isOpenAI ? sampling.outputTokensMax : nil
    }
}

/// One chunk of a stream, or a whole answer: the two differ in the name of one field. Everything is
/// optional and of a type that may be wrong, since every server leaves out something else.
struct OpenAIChunk: Decodable {
    struct Choice: Decodable {
        struct Delta: Decodable {
            let content: String?
            let refusal: String?
            let reasoning: String?

            enum CodingKeys: String, CodingKey {
                case content, refusal, reasoning
                case reasoningContent = "reasoning_content"
            }

            init(from decoder: any Decoder) throws {
                let fields = try decoder.container(keyedBy: CodingKeys.self)
                content = fields.lenient(String.self, .content)
                refusal = fields.lenient(String.self, .refusal)
                reasoning =
                    fields.lenient(String.self, .reasoningContent)
                    ?? fields.lenient(String.self, .reasoning)
            }
        }

        let delta: Delta?
        let finishReason: String?

        enum CodingKeys: String, CodingKey {
            case delta, message
            case finishReason = "finish_reason"
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            delta = fields.lenient(Delta.self, .delta) ?? fields.lenient(Delta.self, .message)
            finishReason = fields.lenient(String.self, .finishReason)
        }
    }

    let model: String?
    let choices: [Choice]
    let usage: OpenAIUsage?
    let error: OpenAIError?

    enum CodingKeys: String, CodingKey { case model, choices, usage, error }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        model = fields.lenient(String.self, .model)
        choices = fields.lenient([Choice].self, .choices) ?? []
        usage = fields.lenient(OpenAIUsage.self, .usage)
        error = fields.lenient(OpenAIError.self, .error)
    }
}

/// Counts that are cumulative in every protocol we know: what comes later replaces.
struct OpenAIUsage: Decodable {
    let promptTokens: Int?
    let completionTokens: Int?
    let cachedTokens: Int?
    let cacheWriteTokens: Int?
    let reasoningTokens: Int?

    enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
        case promptDetails = "prompt_tokens_details"
        case completionDetails = "completion_tokens_details"
    }

    enum DetailKeys: String, CodingKey {
        case cachedTokens = "cached_tokens"
        case cacheWriteTokens = "cache_write_tokens"
        case reasoningTokens = "reasoning_tokens"
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        promptTokens = fields.lenient(Int.self, .promptTokens)
        completionTokens = fields.lenient(Int.self, .completionTokens)
        let prompt = try? fields.nestedContainer(keyedBy: DetailKeys.self, forKey: .promptDetails)
        cachedTokens = prompt?.lenient(Int.self, .cachedTokens)
        cacheWriteTokens = prompt?.lenient(Int.self, .cacheWriteTokens)
        let output = try? fields.nestedContainer(
            keyedBy: DetailKeys.self, forKey: .completionDetails)
        reasoningTokens = output?.lenient(Int.self, .reasoningTokens)
    }
}

/// `{"error": {...}}`, or `{"error": "text"}` as Ollama says it. A code may be a word or a status.
struct OpenAIError: Decodable {
    let message: String
    let codes: [String]
    let status: Int?

    enum CodingKeys: String, CodingKey { case message, type, code }

    init(message: String, codes: [String], status: Int?) {
        self.message = message
        self.codes = codes
        self.status = status
    }

    init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            message = text
            codes = []
            status = nil
            return
        }
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        message = fields.lenient(String.self, .message) ?? ""
        codes = [
            fields.lenient(String.self, .code), fields.lenient(String.self, .type),
        ].compactMap { $0 }
        status =
            fields.lenient(Int.self, .code)
            ?? codes.first.flatMap { Int($0) }
    }
}

/// The answer of `POST /embeddings`.
struct OpenAIEmbeddings: Decodable {
    struct Row: Decodable {
        let index: Int?
        let embedding: [Float]
    }

    let model: String?
    let data: [Row]
    let usage: OpenAIUsage?
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

/// The body of an answer that is an error, in whatever of the usual shapes.
struct OpenAIErrorBody: Decodable {
    let error: OpenAIError
}

extension KeyedDecodingContainer {
    /// Nil where the field is missing, null, or of another type.
    fileprivate func lenient<Value: Decodable>(_ type: Value.Type, _ key: Key) -> Value? {
        (try? decodeIfPresent(type, forKey: key)) ?? nil
    }
}
