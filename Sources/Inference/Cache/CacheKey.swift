import Core
import Egress
import Foundation

/// What two requests have in common when the same answer is right for both: whose they are, and all
/// that a model is shown or told. The SHA-256 of it stands for it.
struct CacheKey: Hashable, Sendable {
    let digest: String

    /// Nil for what cannot be written down, such as a temperature that is no number.
    init?(_ request: ChatRequest) { self.init(Canonical(request)) }

    /// Of everything but the last message, whose text may be put in other words.
    init?(around request: ChatRequest) {
        var request = request
        request.messages = request.messages.dropLast() + [ChatMessage(.user, "")]
        self.init(Canonical(request))
    }

    private init?(_ canonical: Canonical) {
        let encoder = JSONEncoder()
        // The order of a dictionary's keys differs from run to run.
        encoder.outputFormatting = .sortedKeys
        guard let sum = try? SHA256(), let bytes = try? encoder.encode(canonical) else {
            return nil
        }
        bytes.withUnsafeBytes { sum.update($0) }
        digest = sum.hexadecimal
    }

    /// Purpose and conversation are for the ledger and the trace; no model sees them.
    private struct Canonical: Encodable {
        let user: Identifier
        let model: String
        let messages: [ChatMessage]
        let sampling: SamplingOptions
        let tools: [ToolDefinition]
        let toolChoice: ToolChoice
        let allowsParallelToolCalls: Bool
        let responseFormat: ResponseFormat
        let reasoning: ReasoningRequest?
        let truncates: Bool
        let choice: Int

        init(_ request: ChatRequest) {
            user = request.principal.userID
            model = request.model
            messages = request.messages
            sampling = request.sampling
            tools = request.tools
            toolChoice = request.toolChoice
            allowsParallelToolCalls = request.allowsParallelToolCalls
            responseFormat = request.responseFormat
            reasoning = request.reasoning
            truncates = request.truncates
            choice = request.choice
        }
    }
}
