import Core
import Egress
import OrderedJSON

/// What a stream of Anthropic's messages has said so far.
struct AnthropicStream: AnswerStream {
    private(set) var hasBegun = false
    /// `message_stop` was read.
    private(set) var isDone = false

    /// The tool whose input is the answer's text.
    private let answerTool: String?
    private var finishReason: Completion.FinishReason?
    private var stopSequence: String?
    private var responseModel = ""
    private var textBytes = 0
    private var tally = UsageTally()
    /// What is open, by its index.
    private var blocks: [Int: Block] = [:]
    private var callCount = 0
    private var usual = RepeatedChunk(key: "text")

    private enum Block {
        case text, thinking
        case call(index: Int, hasInput: Bool)
        /// A call of the tool whose input is the answer.
        case answer
    }

    // What may be open or called in one answer; a provider is not ours.
    private static let blocksMax = 128

    init(answerTool: String? = nil) { self.answerTool = answerTool }

    mutating func receive(_ event: ServerSentEvent) throws -> [ChatEvent] {
        guard !isDone else { return [] }
        if let text = usual.text(in: event.data, read: Self.onlyText) { return said([.text(text)]) }
        guard let value = try? JSONValue(parsing: event.data), value.members != nil else {
            throw unreadable
        }
        if Self.onlyText(value) == nil { usual.forget() } else { usual.remember(event.data) }
        switch value["type"]?.string ?? event.name {
        case "message_start":
            take(model: value["message"]?["model"])
            // The output of a start is one that is still to come.
            take(usage: value["message"]?["usage"], withOutput: false)
        case "content_block_start":
            guard let block = value["content_block"] else { throw unreadable }
            return try start(block, at: index(of: value))
        case "content_block_delta":
            guard let delta = value["delta"] else { throw unreadable }
            return said(try self.delta(delta, at: index(of: value)))
        case "content_block_stop":
            return said(stop(at: try index(of: value)))
        case "message_delta":
            take(usage: value["usage"])
            take(stopReason: value["delta"]?["stop_reason"])
            take(stopSequence: value["delta"]?["stop_sequence"])
        case "message_stop": isDone = true
        case "error": throw AnthropicError.provider(value)
        default: break  // Pings, and what is not known yet.
        }
        return []
    }

    private static func onlyText(_ data: [UInt8]) -> String? {
        (try? JSONValue(parsing: data)).flatMap(onlyText)
    }

    /// The text of an event that is a piece of text.
    private static func onlyText(_ event: JSONValue) -> String? {
        guard event["type"]?.string == "content_block_delta", event["index"]?.int != nil,
            event["delta"]?["type"]?.string == "text_delta"
        else { return nil }
        return event["delta"]?["text"]?.string
    }

    mutating func receive(whole body: [UInt8]) throws -> [ChatEvent] {
        guard let value = try? JSONValue(parsing: body), value.members != nil else {
            throw unreadable
        }
        if value["type"]?.string == "error" { throw AnthropicError.provider(value) }
        take(model: value["model"])
        take(usage: value["usage"])
        var events: [ChatEvent] = []
        for (index, block) in (value["content"]?.array ?? []).enumerated() {
            events += try start(block, at: index) + said(stop(at: index))
        }
        take(stopReason: value["stop_reason"])
        take(stopSequence: value["stop_sequence"])
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
        guard isDone else {
            throw CandidateFailure(
                .truncated,
                Failure(.upstream, "The provider's answer broke off before its end."))
        }
        return ProviderOutcome(
            finishReason: finishReason ?? .stop, stopSequence: stopSequence,
            usage: usage(promptEstimate),
            responseModel: responseModel, firstTextAt: firstTextAt)
    }

    // MARK: Blocks

    private mutating func start(_ block: JSONValue, at index: Int) throws -> [ChatEvent] {
        guard blocks.count < Self.blocksMax else { throw unreadable }
        switch block["type"]?.string {
        case "text":
            blocks[index] = .text
            return said([text(block["text"])])
        case "thinking":
            blocks[index] = .thinking
            return said([thought(block["thinking"]), signature(block["signature"])])
        case "redacted_thinking":
            blocks[index] = .thinking
            return said([block["data"]?.string.map { .seal(.redacted($0)) }])
        case "tool_use":
            let name = block["name"]?.string
            // Some servers give the input at once.
            let input = block["input"].flatMap { $0.members?.isEmpty == false ? $0.text : nil }
            if let answerTool, name == answerTool {
                blocks[index] = .answer
                return said([text(input.map { .string($0) })])
            }
            guard callCount < Self.blocksMax else { throw unreadable }
            blocks[index] = .call(index: callCount, hasInput: input != nil)
            let piece = ToolCallPiece(
                index: callCount, id: block["id"]?.string, name: name, arguments: input ?? "")
            callCount += 1
            return said([.toolCall(piece)])
        default: return []  // What their own tools do is not the answer.
        }
    }

    private mutating func delta(_ delta: JSONValue, at index: Int) throws -> [ChatEvent?] {
        switch (delta["type"]?.string, blocks[index]) {
        case ("text_delta", _): return [text(delta["text"])]
        case ("thinking_delta", _): return [thought(delta["thinking"])]
        case ("signature_delta", .thinking): return [signature(delta["signature"])]
        case ("input_json_delta", .answer): return [text(delta["partial_json"])]
        case ("input_json_delta", .call(let call, _)):
            guard let piece = delta["partial_json"]?.string, !piece.isEmpty else { return [] }
            blocks[index] = .call(index: call, hasInput: true)
            return [.toolCall(ToolCallPiece(index: call, arguments: piece))]
        default: return []  // Citations.
        }
    }

    /// A call that takes nothing says nothing; everyone else writes an empty object.
    private mutating func stop(at index: Int) -> [ChatEvent?] {
        guard case .call(let call, hasInput: false) = blocks.removeValue(forKey: index) else {
            return []
        }
        return [.toolCall(ToolCallPiece(index: call, arguments: "{}"))]
    }

    private func text(_ value: JSONValue?) -> ChatEvent? {
        value?.string.flatMap { $0.isEmpty ? nil : .text($0) }
    }

    private func thought(_ value: JSONValue?) -> ChatEvent? {
        value?.string.flatMap { $0.isEmpty ? nil : .reasoning($0) }
    }

    private func signature(_ value: JSONValue?) -> ChatEvent? {
        value?.string.flatMap { $0.isEmpty ? nil : .seal(.signature($0)) }
    }

    private mutating func said(_ events: [ChatEvent?]) -> [ChatEvent] {
        let events = events.compactMap { $0 }
        for event in events {
            hasBegun = true
            switch event {
            case .text(let piece): textBytes += piece.utf8.count
            case .reasoning(let piece): textBytes += piece.utf8.count
            case .toolCall(let piece):
                textBytes += piece.arguments.utf8.count + (piece.name?.utf8.count ?? 0)
            case .seal, .logprobs, .switched: break
            }
        }
        return events
    }

    private func index(of event: JSONValue) throws -> Int {
        guard let index = event["index"]?.int, index >= 0 else { throw unreadable }
        return index
    }

    private var unreadable: CandidateFailure {
        CandidateFailure(
            .broken, Failure(.upstream, "The provider sent an event that cannot be read."))
    }

    // MARK: The message

    private mutating func take(model: JSONValue?) {
        if let name = model?.string, !name.isEmpty { responseModel = String(name.prefix(200)) }
    }

    private mutating func take(usage: JSONValue?, withOutput: Bool = true) {
        guard let usage else { return }
        func count(_ value: JSONValue?) -> Int? { value?.int }
        let written = usage["cache_creation"].map { parts in
            ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]
                .compactMap { count(parts[$0]) }.reduce(0) { $0 &+ $1 }
        }
        tally.overwrite(
            input: count(usage["input_tokens"]),
            cacheRead: count(usage["cache_read_input_tokens"]),
            cacheWrite: count(usage["cache_creation_input_tokens"]) ?? written,
            output: withOutput ? count(usage["output_tokens"]) : nil,
            reasoning: count(usage["output_tokens_details"]?["thinking_tokens"]))
    }

    private mutating func take(stopSequence: JSONValue?) {
        if let text = stopSequence?.string { self.stopSequence = text }
    }

    private mutating func take(stopReason: JSONValue?) {
        guard let reason = stopReason?.string else { return }
        hasBegun = true
        finishReason =
            switch reason {
            case "max_tokens", "model_context_window_exceeded": .length
            case "refusal": .contentFilter
            // A call of the tool that is the answer is none.
            case "tool_use": callCount > 0 ? .toolCalls : .stop
            default: .stop
            }
    }
}

/// An error inside a stream, which has no status of its own.
enum AnthropicError {
    static func provider(_ event: JSONValue) -> ProviderError {
        let type = event["error"]?["type"]?.string ?? ""
        return ProviderError(
            message: event["error"]?["message"]?.string ?? "", codes: [type],
            status: statuses[type] ?? 0)
    }

    private static let statuses = [
        "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402,
        "permission_error": 403, "not_found_error": 404, "request_too_large": 413,
        "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529,
    ]
}
