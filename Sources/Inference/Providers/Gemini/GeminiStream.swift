import Core
import Egress
import OrderedJSON

/// What a Gemini stream has said so far. Each event is a whole answer with the next parts in it, and
/// the end of the connection is the end. No I/O.
struct GeminiStream: AnswerStream {
    private(set) var hasBegun = false
    /// Never before the connection ends: usage may follow what ends the answer.
    let isDone = false

    private let random: @Sendable () -> UInt64
    private var finishReason: Completion.FinishReason?
    private var callCount = 0
    private var responseModel = ""
    private var textBytes = 0
    private var tally = UsageTally()

    // Calls in one answer, and characters of what a provider calls itself or its ids.
    private static let callsMax = 128
    private static let nameCharactersMax = 200

    /// - Parameter random: for the ids of calls that come without one.
    init(random: @escaping @Sendable () -> UInt64) { self.random = random }

    mutating func receive(_ event: ServerSentEvent) throws -> [ChatEvent] {
        // Proxies that count on OpenAI's protocol add this.
        guard !event.data.elementsEqual("[DONE]".utf8) else { return [] }
        return try receive(whole: event.data)
    }

    mutating func receive(whole body: [UInt8]) throws -> [ChatEvent] {
        guard let value = try? JSONValue(parsing: body) else { throw Self.unreadable }
        // Without `alt=sse` it is a list of the events.
        return try (value.array ?? [value]).flatMap { try take($0) }
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
        guard let finishReason else {
            throw CandidateFailure(
                .truncated, Failure(.upstream, "The provider's answer broke off before its end."))
        }
        return ProviderOutcome(
            // Calls end like any other answer.
            finishReason: finishReason == .stop && callCount > 0 ? .toolCalls : finishReason,
            usage: usage(promptEstimate),
            responseModel: responseModel, firstTextAt: firstTextAt)
    }

    private mutating func take(_ chunk: JSONValue) throws -> [ChatEvent] {
        guard chunk.members != nil else { throw Self.unreadable }
        if let error = chunk["error"] { throw GeminiError.read(error, status: nil) }
        note(chunk["usageMetadata"])
        if let model = chunk["modelVersion"]?.string {
            responseModel = String(model.prefix(Self.nameCharactersMax))
        }
        // One candidate was asked for; a server that sends more does not get to mix them.
        guard let candidate = chunk["candidates"]?.array?.first else {
            if let reason = chunk["promptFeedback"]?["blockReason"]?.string {
                throw ProviderError(
                    message: "It blocked the prompt (\(reason)).", codes: ["content_filter"],
                    status: 400)
            }
            return []
        }
        let events =
            logprobs(candidate["logprobsResult"])
            + (candidate["content"]?["parts"]?.array ?? []).flatMap { self.events(of: $0) }
        if let reason = candidate["finishReason"]?.string {
            finishReason = try Self.reason(reason, candidate["finishMessage"]?.string)
        }
        if !events.isEmpty || finishReason != nil { hasBegun = true }
        return events
    }

    /// Counts are of the whole answer so far, so that the last that are told hold.
    private mutating func note(_ usage: JSONValue?) {
        guard let usage else { return }
        func count(_ key: String) -> Int? { usage[key]?.int }
        func sum(_ keys: String...) -> Int? {
            let counts = keys.compactMap(count).map { min(max(0, $0), 1 << 40) }
            return counts.isEmpty ? nil : counts.reduce(0, +)
        }
        tally.overwrite(
            input: sum("promptTokenCount", "toolUsePromptTokenCount"),
            cacheRead: count("cachedContentTokenCount"),
            output: sum("candidatesTokenCount", "thoughtsTokenCount"),
            reasoning: count("thoughtsTokenCount"))
    }

    private mutating func events(of part: JSONValue) -> [ChatEvent] {
        if let call = part["functionCall"] {
            return [self.call(call, signature: part["thoughtSignature"]?.string)].compactMap { $0 }
        }
        guard let text = part["text"]?.string, !text.isEmpty else { return [] }
        guard part["thought"]?.bool != true else { return [.reasoning(text)] }
        textBytes += text.utf8.count
        return [.text(text)]
    }

    /// Calls come whole.
    private mutating func call(_ call: JSONValue, signature: String?) -> ChatEvent? {
        guard callCount < Self.callsMax, let name = call["name"]?.string else { return nil }
        let arguments = (call["args"] ?? .object([])).text
        defer { callCount += 1 }
        textBytes += name.utf8.count + arguments.utf8.count
        let theirs = call["id"]?.string.map { String($0.prefix(Self.nameCharactersMax)) }
        return .toolCall(
            ToolCallPiece(
                index: callCount,
                id: GeminiCallID.text(theirs: theirs, signature: signature, random: random),
                name: name, arguments: arguments))
    }

    private func logprobs(_ result: JSONValue?) -> [ChatEvent] {
        func token(_ value: JSONValue, top: [TokenLogprob] = []) -> TokenLogprob? {
            guard let text = value["token"]?.string,
                let logprob = value["logProbability"]?.double
            else { return nil }
            return TokenLogprob(token: text, bytes: Array(text.utf8), logprob: logprob, top: top)
        }
        let tops = result?["topCandidates"]?.array ?? []
        let tokens = (result?["chosenCandidates"]?.array ?? []).enumerated().compactMap {
            let top = tops.indices.contains($0) ? tops[$0]["candidates"]?.array ?? [] : []
            return token($1, top: top.compactMap { token($0) })
        }
        return tokens.isEmpty ? [] : [.logprobs(tokens)]
    }

    /// Throws for an answer that the model could not bring to its end.
    private static func reason(_ text: String, _ message: String?) throws
        -> Completion.FinishReason
    {
        switch text {
        case "MAX_TOKENS": return .length
        case "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII":
            return .contentFilter
        case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE":
            throw CandidateFailure(
                .broken,
                Failure(
                    .upstream, "The model's answer cannot be used (\(text)).",
                    cause: message.map { String($0.prefix(nameCharactersMax)) }))
        default: return text.hasPrefix("IMAGE_") ? .contentFilter : .stop
        }
    }

    private static let unreadable = CandidateFailure(
        .broken, Failure(.upstream, "The provider sent an event that cannot be read."))
}
