import Core
import Foundation
import OrderedJSON

/// One chunk of a stream, or a whole answer: the two differ in the name of one field. Everything is
/// optional and of a type that may be wrong, since every server leaves out something else.
struct OpenAIChunk {
    struct Choice {
        let delta: Delta?
        let finishReason: String?
        let logprobs: [TokenLogprob]
        /// OpenRouter puts an error that it was given in here.
        let hasError: Bool

        init(_ value: JSONValue) {
            let said = value["delta"] ?? value["message"]
            delta = said?.members == nil ? nil : said.map(Delta.init)
            finishReason = value["finish_reason"]?.string
            logprobs = (value["logprobs"]?["content"]?.array ?? []).compactMap(TokenLogprob.init)
            hasError = value.holds("error")
        }
    }

    struct Delta {
        let content: String
        let reasoning: String
        let toolCalls: [ToolCallPiece]

        // Calls in one event; a provider is not ours.
        private static let toolCallsMax = 128

        init(_ value: JSONValue) {
            // Mistral's models that think write their answer in parts.
            let parts = value["content"]?.array ?? []
            let text = value["content"]?.string ?? parts.compactMap { $0["text"]?.string }.joined()
            content = text + (value["refusal"]?.string ?? "")
            reasoning =
                value["reasoning_content"]?.string ?? value["reasoning"]?.string
                ?? parts.flatMap { $0["thinking"]?.array ?? [] }
                .compactMap { $0["text"]?.string }.joined()
            toolCalls = (value["tool_calls"]?.array ?? []).prefix(Self.toolCallsMax).enumerated()
                .map { ToolCallPiece($1, at: $0) }
        }
    }

    let model: String
    let choices: [Choice]
    let usage: OpenAIUsage?
    /// What it is, `OpenAIError` reads.
    let hasError: Bool

    /// Nil for what is no object.
    init?(parsing bytes: [UInt8]) {
        guard let value = try? JSONValue(parsing: bytes), value.members != nil else { return nil }
        model = value["model"]?.string ?? ""
        choices = (value["choices"]?.array ?? []).map(Choice.init)
        // Groq has a place of its own for the usage of a stream.
        usage = OpenAIUsage(value["usage"]) ?? OpenAIUsage(value["x_groq"]?["usage"])
        hasError = value.holds("error") || choices.contains(where: \.hasError)
    }

    /// The text of a chunk in which nothing else is said.
    var onlyText: String? {
        guard !hasError, usage == nil, let choice = choices.first, choice.finishReason == nil,
            choice.logprobs.isEmpty, let delta = choice.delta, !delta.content.isEmpty,
            delta.reasoning.isEmpty, delta.toolCalls.isEmpty
        else { return nil }
        return delta.content
    }
}

/// Counts that are cumulative in every protocol we know: what comes later replaces.
struct OpenAIUsage {
    let promptTokens: Int?
    let completionTokens: Int?
    let cachedTokens: Int?
    let cacheWriteTokens: Int?
    let reasoningTokens: Int?
    /// OpenRouter's, in dollars.
    let cost: Decimal?

    /// Nil for what is no object.
    init?(_ value: JSONValue?) {
        guard let value, value.members != nil else { return nil }
        promptTokens = value["prompt_tokens"]?.int
        completionTokens = value["completion_tokens"]?.int
        let prompt = value["prompt_tokens_details"]
        cachedTokens =
            prompt?["cached_tokens"]?.int
            // Where DeepSeek and Together say it too, or only.
            ?? value["prompt_cache_hit_tokens"]?.int ?? value["cached_tokens"]?.int
        cacheWriteTokens = prompt?["cache_write_tokens"]?.int
        reasoningTokens = value["completion_tokens_details"]?["reasoning_tokens"]?.int
        // With a key of one's own, the cost is the fee, and its owner pays the call beside it.
        let isOwnKey = value["is_byok"]?.bool == true
        let upstream = value["cost_details"]?["upstream_inference_cost"]
        let beside = isOwnKey ? upstream?.decimal ?? 0 : 0
        cost = value["cost"]?.decimal.map { $0 + beside }
    }
}

extension ToolCallPiece {
    /// A piece of a call; of a whole answer, all of it.
    fileprivate init(_ value: JSONValue, at place: Int) {
        self.init(
            index: min(max(0, value["index"]?.int ?? place), 1 << 16), id: value["id"]?.string,
            name: value["function"]?["name"]?.string,
            arguments: value["function"]?["arguments"]?.string ?? "")
    }
}

extension TokenLogprob {
    fileprivate init?(_ value: JSONValue) {
        guard let token = value["token"]?.string, let logprob = value["logprob"]?.double else {
            return nil
        }
        let bytes = value["bytes"]?.array?.compactMap { $0.int.flatMap { UInt8(exactly: $0) } }
        self.init(
            token: token, bytes: bytes ?? Array(token.utf8), logprob: logprob,
            top: (value["top_logprobs"]?.array ?? []).compactMap(TokenLogprob.init))
    }
}

extension JSONValue {
    /// A number to its last digit.
    fileprivate var decimal: Decimal? {
        guard case .number(let text) = self else { return nil }
        return Decimal(string: text)
    }

    /// Something is there, whatever it is.
    fileprivate func holds(_ key: String) -> Bool { self[key].map { $0 != .null } ?? false }
}
