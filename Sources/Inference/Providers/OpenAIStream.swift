import Core
import Egress
import Foundation
import OrderedJSON

/// What an OpenAI-compatible stream has said so far: events in, pieces of text out. No I/O.
struct OpenAIStream: AnswerStream {
    private(set) var finishReason: Completion.FinishReason?
    private(set) var responseModel = ""
    /// `[DONE]` was read.
    private(set) var isDone = false
    private(set) var hasBegun = false
    private(set) var textBytes = 0

    private let statesCost: Bool
    private var tally = UsageTally()
    private var usual = RepeatedChunk(key: "content")

    /// - Parameter statesCost: the usage has what the call cost, in dollars.
    init(statesCost: Bool = false) { self.statesCost = statesCost }

    mutating func receive(_ event: ServerSentEvent) throws -> [ChatEvent] {
        guard !isDone else { return [] }
        if event.data.elementsEqual("[DONE]".utf8) {
            isDone = true
            return []
        }
        if let text = usual.text(in: event.data, read: { OpenAIChunk(parsing: $0)?.onlyText }) {
            return [said(text)]
        }
        guard let chunk = OpenAIChunk(parsing: event.data) else {
            throw CandidateFailure(
                .broken, Failure(.upstream, "The provider sent an event that cannot be read."))
        }
        if chunk.hasError {
            let error = OpenAIError(body: event.data)
            throw ProviderError(error, status: error?.status ?? 0)
        }
        if chunk.onlyText == nil { usual.forget() } else { usual.remember(event.data) }
        return try take(chunk)
    }

    mutating func receive(whole body: [UInt8]) throws -> [ChatEvent] {
        let events = try receive(ServerSentEvent(data: body))
        isDone = finishReason != nil
        return events
    }

    func usageSoFar(promptEstimate: Int) -> TokenUsage? {
        tally.isSilent ? nil : usage(promptEstimate)
    }

    private func usage(_ promptEstimate: Int) -> TokenUsage {
        tally.usage(
            .withCached, inputEstimate: promptEstimate,
            outputEstimate: TokenEstimate.tokens(bytes: textBytes))
    }

    func outcome(promptEstimate: Int, firstTextAt: Timestamp?) throws -> ProviderOutcome {
        guard isDone || finishReason != nil else {
            throw CandidateFailure(
                .truncated,
                Failure(.upstream, "The provider's answer broke off before its end."))
        }
        return ProviderOutcome(
            finishReason: finishReason ?? .stop,
            usage: usage(promptEstimate),
            responseModel: responseModel, firstTextAt: firstTextAt)
    }

    private mutating func take(_ chunk: OpenAIChunk) throws -> [ChatEvent] {
        if !chunk.model.isEmpty { responseModel = String(chunk.model.prefix(200)) }
        if let usage = chunk.usage {
            tally.overwrite(
                input: usage.promptTokens, cacheRead: usage.cachedTokens,
                cacheWrite: usage.cacheWriteTokens, output: usage.completionTokens,
                reasoning: usage.reasoningTokens)
            if statesCost { tally.statedCost = usage.cost.flatMap(Self.picodollars) }
        }
        var events: [ChatEvent] = []
        // One choice was asked for; a server that sends more does not get to mix them.
        guard let choice = chunk.choices.first else { return events }
        if !choice.logprobs.isEmpty { events.append(.logprobs(choice.logprobs)) }
        if let delta = choice.delta {
            if !delta.content.isEmpty { events.append(said(delta.content)) }
            if !delta.reasoning.isEmpty { events.append(.reasoning(delta.reasoning)) }
            for piece in delta.toolCalls {
                textBytes += piece.arguments.utf8.count + (piece.name?.utf8.count ?? 0)
                events.append(.toolCall(piece))
            }
        }
        if let reason = choice.finishReason { finishReason = try Self.reason(reason) }
        if !events.isEmpty || finishReason != nil { hasBegun = true }
        return events
    }

    private mutating func said(_ text: String) -> ChatEvent {
        textBytes += text.utf8.count
        hasBegun = true
        return .text(text)
    }

    /// Nil for what is no amount.
    private static func picodollars(_ dollars: Decimal) -> Picodollars? {
        guard dollars.isFinite, (0...dollarsMax).contains(dollars) else { return nil }
        let exact = NSDecimalNumber(decimal: dollars * Decimal(Picodollars.perDollar))
        return Picodollars(exact.int64Value)
    }

    private static let dollarsMax: Decimal = 1_000_000

    /// Throws for an answer that the server could not bring to its end (Mistral, OpenRouter,
    /// DeepSeek).
    private static func reason(_ text: String) throws -> Completion.FinishReason {
        switch text {
        case "length", "max_tokens", "model_length": return .length
        case "content_filter": return .contentFilter
        case "tool_calls", "function_call": return .toolCalls
        case "error", "insufficient_system_resource":
            throw ProviderError(
                message: "The answer ended in an error.", codes: ["server_error"], status: 0)
        default: return .stop
        }
    }
}
