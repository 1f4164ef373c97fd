import Core
import LocalModels
import Metrics

/// The models that run in this process.
struct LocalProvider: Provider {
    let telemetryName = "heptad.local"
    let isLocal = true
    private let shelf: ModelShelf
    private let environment: Environment

    // No token of any vocabulary we read has more bytes, so a prompt past this many bytes a token
    // does not fit, and need not be tokenized to know it.
    private static let bytesPerTokenMax = 128

    init(_ shelf: ModelShelf, environment: Environment) {
        self.shelf = shelf
        self.environment = environment
    }

    /// The call stands in the model's line when this returns, or runs.
    func open(_ request: ProviderRequest) async throws -> ProviderCall {
        guard let engine = shelf.chatModels[request.model] else {
            throw Failure(.unavailable, shelf.chatAdvice(request.model))
        }
        guard !request.messages.contains(where: \.hasImages) else {
            // Well as it is, it cannot take this one; another candidate may.
            throw CandidateFailure(
                .content,
                Failure(
                    .invalid,
                    "\(request.model) reads text only, and the conversation has an image."))
        }
        let context = request.contextTokens
        let output = try OutputRules(
            format: request.responseFormat, tools: request.tools, choice: request.toolChoice,
            parallel: request.allowsParallelToolCalls, syntax: engine.toolSyntax)
        let prompt = try prompt(of: request, engine)
        var sampling = request.sampling
        let room = context - prompt.count
        sampling.outputTokensMax = min(sampling.outputTokensMax ?? room, room)
        let call = try engine.open(
            GenerationRequest(
                prompt: prompt, sampling: sampling,
                principal: request.principal.userID.description, output: output))
        record(engine)
        let now = environment.now
        return ProviderCall(
            run: { emit in
                defer { record(engine) }
                var firstTextAt: Timestamp?
                var answer = LocalAnswer(engine, output, random: environment.random)
                let generation = try await call.run { piece in
                    for event in answer.events(of: piece) {
                        if firstTextAt == nil { firstTextAt = now() }
                        try await emit(event)
                    }
                }
                for event in answer.finish() { try await emit(event) }
                return ProviderOutcome(
                    finishReason: answer.finishReason(generation.finishReason),
                    stopSequence: generation.stopSequence,
                    usage: TokenUsage(
                        freshInput: generation.promptTokens - generation.promptTokensReused,
                        cacheRead: generation.promptTokensReused, output: generation.outputTokens),
                    responseModel: engine.name, firstTextAt: firstTextAt,
                    local: LocalFigures(
                        waitedMilliseconds: generation.waitedMilliseconds,
                        promptMilliseconds: generation.promptMilliseconds,
                        batchMean: generation.batchMean))
            },
            abandon: { call.cancel() })
    }

    func embed(_ texts: [String], model: String, headers: [String: String]) async throws
        -> ProviderEmbeddings
    {
        guard let embedder = shelf.embedders[model] else {
            throw Failure(.unavailable, shelf.embedderAdvice(model))
        }
        let (values, tokens) = try await embedder.embed(texts)
        return ProviderEmbeddings(
            values: values, dimensions: embedder.dimensions,
            usage: TokenUsage(freshInput: tokens), responseModel: embedder.name)
    }

    func countTokens(_ texts: [String], model: String) throws -> [Int] {
        guard let engine = shelf.chatModels[model] else {
            throw Failure(.unavailable, shelf.chatAdvice(model))
        }
        return texts.map(engine.countTokens)
    }

    private func prompt(of request: ProviderRequest, _ engine: LocalEngine) throws -> [Int32] {
        let context = request.contextTokens
        let messages = request.messages
        // An answer that has to begin with its form has no place for reasoning.
        let isFree = request.responseFormat == .text && [.auto, .none].contains(request.toolChoice)
        let thinking: Bool? = isFree && request.reasoning?.isOff != true ? nil : false
        let tools = request.toolChoice == .none ? [] : request.tools
        func prompt(dropping count: Int) throws -> [Int32] {
            let kept = messages.withoutOldest(count)
            let bytes = kept.reduce(0) { $0 + $1.text.utf8.count }
            guard bytes / Self.bytesPerTokenMax < context else {
                throw tooLarge(bytes / Self.bytesPerTokenMax, context, atLeast: true)
            }
            let prompt = try engine.prompt(kept, tools, thinking)
            guard prompt.count < context else {
                throw tooLarge(prompt.count, context, atLeast: false)
            }
            return prompt
        }
        guard request.truncates else { return try prompt(dropping: 0) }
        // The fewest that leave enough: halving, since every try reads the whole conversation.
        var (least, most) = (0, messages.count)
        var found: [Int32]?
        while least < most {
            let middle = (least + most) / 2
            do {
                found = try prompt(dropping: middle)
                most = middle
            } catch let failure as Failure where failure.code == .tooLarge {
                least = middle + 1
            }
        }
        return try found ?? prompt(dropping: messages.count)
    }

    private func record(_ engine: LocalEngine) {
        let (running, waiting) = engine.load()
        let dimensions = [("model", engine.name)]
        Gauge(label: "heptad_local_calls_running", dimensions: dimensions).record(running)
        Gauge(label: "heptad_local_calls_waiting", dimensions: dimensions).record(waiting)
    }

    private func tooLarge(_ tokens: Int, _ context: Int, atLeast: Bool) -> Failure {
        Failure(
            .tooLarge,
            "The prompt has \(atLeast ? "more than " : "")\(tokens) tokens; this model reads fewer"
                + " than \(context), its answer included. Shorten it, or pick a model with more"
                + " context.")
    }
}

extension [ChatMessage] {
    /// Without the oldest that are neither the system's nor the last.
    fileprivate func withoutOldest(_ count: Int) -> [ChatMessage] {
        let old = indices.dropLast().filter { self[$0].role != .system }.prefix(count)
        return indices.filter { !old.contains($0) }.map { self[$0] }
    }
}
