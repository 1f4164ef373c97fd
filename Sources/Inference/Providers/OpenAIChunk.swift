import Core
import Foundation

/// One chunk of a stream, or a whole answer: the two differ in the name of one field. Everything is
/// optional and of a type that may be wrong, since every server leaves out something else.
struct OpenAIChunk: Decodable {
    struct Choice: Decodable {
        struct Delta: Decodable {
            /// Mistral's models that think write their answer in parts.
            struct Part: Decodable {
                struct Thought: Decodable { let text: String? }

                let text: String?
                let thinking: [Thought]?
            }

            let content: String?
            let refusal: String?
            let reasoning: String?
            let toolCalls: [ToolCallDelta]?

            enum CodingKeys: String, CodingKey {
                case content, refusal, reasoning
                case toolCalls = "tool_calls"
                case reasoningContent = "reasoning_content"
            }

            init(from decoder: any Decoder) throws {
                let fields = try decoder.container(keyedBy: CodingKeys.self)
                let text = fields.lenient(String.self, .content)
                let parts = text == nil ? fields.lenient([Part].self, .content) ?? [] : []
                content = text ?? parts.compactMap(\.text).joined()
                refusal = fields.lenient(String.self, .refusal)
                toolCalls = fields.lenient([ToolCallDelta].self, .toolCalls)
                reasoning =
                    fields.lenient(String.self, .reasoningContent)
                    ?? fields.lenient(String.self, .reasoning)
                    ?? parts.flatMap { $0.thinking ?? [] }.compactMap(\.text).joined()
            }
        }

        let delta: Delta?
        let finishReason: String?
        let logprobs: Logprobs?
        /// OpenRouter puts an error that it was given in here.
        let hasError: Bool

        enum CodingKeys: String, CodingKey {
            case delta, message, logprobs, error
            case finishReason = "finish_reason"
        }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            delta = fields.lenient(Delta.self, .delta) ?? fields.lenient(Delta.self, .message)
            finishReason = fields.lenient(String.self, .finishReason)
            logprobs = fields.lenient(Logprobs.self, .logprobs)
            hasError = fields.holds(.error)
        }
    }

    let model: String?
    let choices: [Choice]
    let usage: OpenAIUsage?
    /// What it is, `OpenAIError` reads.
    let hasError: Bool

    enum CodingKeys: String, CodingKey {
        case model, choices, usage, error
        case groq = "x_groq"
    }

    /// Groq's own place for the usage of a stream.
    private struct Groq: Decodable { let usage: OpenAIUsage? }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        model = fields.lenient(String.self, .model)
        choices = fields.lenient([Choice].self, .choices) ?? []
        usage =
            fields.lenient(OpenAIUsage.self, .usage) ?? fields.lenient(Groq.self, .groq)?.usage
        hasError = fields.holds(.error) || choices.contains(where: \.hasError)
    }
}

extension OpenAIChunk.Choice {
    /// A piece of a call; of a whole answer, all of it.
    struct ToolCallDelta: Decodable {
        struct Function: Decodable {
            let name: String?
            let arguments: String?
        }

        let index: Int?
        let id: String?
        let function: Function?

        func piece(at place: Int) -> ToolCallPiece {
            ToolCallPiece(
                index: min(max(0, index ?? place), 1 << 16), id: id, name: function?.name,
                arguments: function?.arguments ?? "")
        }
    }

    struct Logprobs: Decodable {
        struct Token: Decodable {
            let token: String
            let bytes: [UInt8]?
            let logprob: Double
            let topLogprobs: [Token]?

            enum CodingKeys: String, CodingKey {
                case token, bytes, logprob
                case topLogprobs = "top_logprobs"
            }

            var value: TokenLogprob {
                TokenLogprob(
                    token: token, bytes: bytes ?? Array(token.utf8), logprob: logprob,
                    top: (topLogprobs ?? []).map(\.value))
            }
        }

        let content: [Token]?

        var tokens: [TokenLogprob] { (content ?? []).map(\.value) }
    }
}

/// Counts that are cumulative in every protocol we know: what comes later replaces.
struct OpenAIUsage: Decodable {
    let promptTokens: Int?
    let completionTokens: Int?
    let cachedTokens: Int?
    let cacheWriteTokens: Int?
    let reasoningTokens: Int?
    /// OpenRouter's, in dollars.
    let cost: Decimal?

    enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
        case promptDetails = "prompt_tokens_details"
        case completionDetails = "completion_tokens_details"
        // Where DeepSeek and Together say it too, or only.
        case cacheHits = "prompt_cache_hit_tokens"
        case cachedTokens = "cached_tokens"
        case cost
        case isOwnKey = "is_byok"
        case costDetails = "cost_details"
    }

    enum CostKeys: String, CodingKey { case upstream = "upstream_inference_cost" }

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
        cachedTokens =
            prompt?.lenient(Int.self, .cachedTokens) ?? fields.lenient(Int.self, .cacheHits)
            ?? fields.lenient(Int.self, .cachedTokens)
        cacheWriteTokens = prompt?.lenient(Int.self, .cacheWriteTokens)
        let output = try? fields.nestedContainer(
            keyedBy: DetailKeys.self, forKey: .completionDetails)
        reasoningTokens = output?.lenient(Int.self, .reasoningTokens)
        // With a key of one's own, the cost is the fee, and its owner pays the call beside it.
        let details = try? fields.nestedContainer(keyedBy: CostKeys.self, forKey: .costDetails)
        let isOwnKey = fields.lenient(Bool.self, .isOwnKey) == true
        let beside = isOwnKey ? details?.lenient(Decimal.self, .upstream) ?? 0 : 0
        cost = fields.lenient(Decimal.self, .cost).map { $0 + beside }
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

extension KeyedDecodingContainer {
    /// Something is there, whatever it is.
    fileprivate func holds(_ key: Key) -> Bool {
        contains(key) && (try? decodeNil(forKey: key)) == false
    }

    /// Nil where the field is missing, null, or of another type.
    fileprivate func lenient<Value: Decodable>(_ type: Value.Type, _ key: Key) -> Value? {
        (try? decodeIfPresent(type, forKey: key)) ?? nil
    }
}
