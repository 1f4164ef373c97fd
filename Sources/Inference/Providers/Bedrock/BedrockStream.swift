import Core
import Egress
import OrderedJSON

/// What a stream of Bedrock's Converse has said so far. No I/O.
struct BedrockStream: AnswerStream {
    typealias Frames = EventStreamFrames

    private(set) var hasBegun = false
    /// The usage was read, which comes after the end of the answer.
    private(set) var isDone = false

    private var finishReason: Completion.FinishReason?
    private var stopSequence: String?
    /// Which call of the answer each block is.
    private var calls: [Int: Int] = [:]
    private var textBytes = 0
    private var tally = UsageTally()

    // Calls in one answer; a provider is not ours.
    private static let callsMax = 128

    mutating func receive(_ frame: EventStreamFrame) throws -> [ChatEvent] {
        let headers = frame.headers
        switch headers[":message-type"] {
        case "event":
            return try receive(headers[":event-type"] ?? "", try Self.value(frame.payload))
        case "exception":
            throw BedrockError.read(
                name: headers[":exception-type"], body: frame.payload, status: 0)
        case "error":
            throw ProviderError(
                message: headers[":error-message"] ?? "",
                codes: [headers[":error-code"]].compactMap { $0 }, status: 0)
        default: return []
        }
    }

    /// The answer of `converse`, which proxies give that do not stream.
    mutating func receive(whole body: [UInt8]) throws -> [ChatEvent] {
        let answer = try Self.value(body)
        var events: [ChatEvent] = []
        let blocks = answer["output"]?["message"]?["content"]?.array ?? []
        for (place, block) in blocks.enumerated() {
            if let use = block["toolUse"] {
                events += start(use, block: place)
                events += input(use["input"]?.text ?? "{}", block: place)
            } else {
                let thought = block["reasoningContent"]
                events += said(
                    block["text"]?.string, thought: thought?["reasoningText"] ?? thought)
            }
        }
        try end(answer["stopReason"]?.string)
        note(additional: answer)
        note(answer["usage"])
        isDone = finishReason != nil
        return events
    }

    func usageSoFar(promptEstimate: Int) -> TokenUsage? {
        tally.isSilent ? nil : usage(promptEstimate)
    }

    private func usage(_ promptEstimate: Int) -> TokenUsage {
        tally.usage(
            .withoutCached, inputEstimate: promptEstimate,
            outputEstimate: TokenEstimate.tokens(bytes: textBytes))
    }

    func outcome(promptEstimate: Int, firstTextAt: Timestamp?) throws -> ProviderOutcome {
        guard let finishReason else {
            throw CandidateFailure(
                .truncated, Failure(.upstream, "The provider's answer broke off before its end."))
        }
        return ProviderOutcome(
            finishReason: finishReason, stopSequence: stopSequence,
            usage: usage(promptEstimate),
            firstTextAt: firstTextAt)
    }

    private mutating func receive(_ event: String, _ value: JSONValue) throws -> [ChatEvent] {
        switch event {
        case "contentBlockStart":
            guard let use = value["start"]?["toolUse"] else { return [] }
            return start(use, block: value["contentBlockIndex"]?.int ?? 0)
        case "contentBlockDelta":
            guard let delta = value["delta"] else { return [] }
            if let piece = delta["toolUse"]?["input"]?.string {
                return input(piece, block: value["contentBlockIndex"]?.int ?? 0)
            }
            return said(delta["text"]?.string, thought: delta["reasoningContent"])
        case "messageStop":
            try end(value["stopReason"]?.string)
            note(additional: value)
        case "metadata":
            note(value["usage"])
            isDone = finishReason != nil
        default: break
        }
        return []
    }

    private mutating func start(_ use: JSONValue, block: Int) -> [ChatEvent] {
        guard calls[block] == nil, calls.count < Self.callsMax else { return [] }
        calls[block] = calls.count
        hasBegun = true
        let name = use["name"]?.string ?? ""
        textBytes += name.utf8.count
        return [
            .toolCall(
                ToolCallPiece(
                    index: calls.count - 1, id: use["toolUseId"]?.string, name: name))
        ]
    }

    private mutating func input(_ piece: String, block: Int) -> [ChatEvent] {
        guard let index = calls[block], !piece.isEmpty else { return [] }
        textBytes += piece.utf8.count
        return [.toolCall(ToolCallPiece(index: index, arguments: piece))]
    }

    /// - Parameter thought: its text, its signature, or one that only its maker reads.
    private mutating func said(_ text: String?, thought: JSONValue?) -> [ChatEvent] {
        var events: [ChatEvent] = []
        if let text = thought?["text"]?.string, !text.isEmpty { events.append(.reasoning(text)) }
        if let signature = thought?["signature"]?.string, !signature.isEmpty {
            events.append(.seal(.signature(signature)))
        }
        if let data = thought?["redactedContent"]?.string { events.append(.seal(.redacted(data))) }
        if let text, !text.isEmpty { events.append(.text(text)) }
        textBytes += text?.utf8.count ?? 0
        if !events.isEmpty { hasBegun = true }
        return events
    }

    /// Throws for an answer that the model could not bring to its end.
    private mutating func end(_ reason: String?) throws {
        switch reason {
        case nil: return
        case "tool_use": finishReason = .toolCalls
        case "max_tokens", "model_context_window_exceeded": finishReason = .length
        case "guardrail_intervened", "content_filtered": finishReason = .contentFilter
        case "malformed_model_output", "malformed_tool_use":
            throw CandidateFailure(
                .broken,
                Failure(.upstream, "The model's answer cannot be used (\(reason ?? ""))."))
        default: finishReason = .stop
        }
        hasBegun = true
    }

    /// What only some models say, because they were asked to.
    private mutating func note(additional value: JSONValue) {
        stopSequence = value["additionalModelResponseFields"]?["stop_sequence"]?.string
    }

    private mutating func note(_ usage: JSONValue?) {
        guard let usage else { return }
        tally.overwrite(
            input: usage["inputTokens"]?.int, cacheRead: usage["cacheReadInputTokens"]?.int,
            cacheWrite: usage["cacheWriteInputTokens"]?.int, output: usage["outputTokens"]?.int)
    }

    private static func value(_ bytes: [UInt8]) throws -> JSONValue {
        guard let value = try? JSONValue(parsing: bytes), value.members != nil else {
            throw CandidateFailure(
                .broken, Failure(.upstream, "The provider sent an event that cannot be read."))
        }
        return value
    }
}

extension EventStreamFrames: FrameParser {
    init() { self.init(frameBytesMax: Self.frameBytesMaxDefault) }
}
