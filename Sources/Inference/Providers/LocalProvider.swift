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
                        batchMean: generation.batchMean, draftTokens: generation.draftTokens,
                        draftTokensAccepted: generation.draftTokensAccepted))
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

    func rerank(
        _ question: String, _ texts: [String], model: String, headers: [String: String]
    ) async throws -> ProviderRanking {
        guard let reranker = shelf.rerankers[model] else {
            throw Failure(
                .unavailable,
                "The reranker \(model) is not there. Put its folder, with model.safetensors and"
                    + " vocab.txt, into \(shelf.folder), or correct retrieval.reranker.model.")
        }
        let (scores, tokens) = try await reranker.score(question, texts)
        return ProviderRanking(
            scores: scores, usage: TokenUsage(freshInput: tokens), responseModel: reranker.name)
    }

    func countTokens(_ texts: [String], model: String) throws -> [Int]? {
        guard let engine = shelf.chatModels[model] else {
            throw Failure(.unavailable, shelf.chatAdvice(model))
        }
        return texts.map(engine.countTokens)
    }

    /// At least, of a prompt that is too long for any tokenizer to make it fit.
    func promptTokens(_ request: ChatRequest, model: String) throws -> Int? {
        guard let engine = shelf.chatModels[model] else {
            throw Failure(.unavailable, shelf.chatAdvice(model))
        }
        let least = Self.bytes(request.messages) / Self.bytesPerTokenMax
        guard least < engine.contextTokens else { return least }
        return try Self.prompt(
            request.messages, request.tools, request.toolChoice, request.responseFormat,
            request.reasoning, engine
        ).count
    }

    private func prompt(of request: ProviderRequest, _ engine: LocalEngine) throws -> [Int32] {
        let context = request.contextTokens
        let bytes = Self.bytes(request.messages)
        guard bytes / Self.bytesPerTokenMax < context else {
            throw tooLarge(bytes / Self.bytesPerTokenMax, context, atLeast: true)
        }
        let prompt = try Self.prompt(
            request.messages, request.tools, request.toolChoice, request.responseFormat,
            request.reasoning, engine)
        guard prompt.count < context else {
            throw tooLarge(prompt.count, context, atLeast: false)
        }
        return prompt
    }

    private static func prompt(
        _ messages: [ChatMessage], _ tools: [ToolDefinition], _ choice: ToolChoice,
        _ format: ResponseFormat, _ reasoning: ReasoningRequest?, _ engine: LocalEngine
    ) throws -> [Int32] {
        // An answer that has to begin with its form has no place for reasoning.
        let isFree = format == .text && [.auto, .none].contains(choice)
        let thinking: Bool? = isFree && reasoning?.isOff != true ? nil : false
        return try engine.prompt(messages, choice == .none ? [] : tools, thinking)
    }

    private static func bytes(_ messages: [ChatMessage]) -> Int {
        messages.reduce(0) { $0 + $1.text.utf8.count }
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
