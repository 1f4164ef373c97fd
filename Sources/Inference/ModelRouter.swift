package import Core
package import Egress
import Storage
import Tracing

/// Every model behind one door: a public name leads to candidates, and the first that begins to
/// answer is the one that answers. `CandidateSearch` finds it, `RoutedCall` runs it.
package final class ModelRouter: ChatModel, Embedder {
    /// What models there are, and what is missing.
    package var inventory: Inventory { routes.inventory }

    let routes: Routes
    let around: CandidateSearch.Surroundings
    let configuration: InferenceConfiguration
    /// As they were made, `local` among them.
    let providers: [String: any Provider]
    let startedAt: Timestamp
    /// Nil where there is no folder to keep keys in.
    let sealedKeys: SealedKeys?
    /// By the public name; none where nothing is guarded.
    private let guards: [String: InputGuards]

    /// The most texts that one call embeds.
    package static let textsMax = 4096

    /// Maps the local models; their weights are not read before the first call. A model file that
    /// is missing or broken is not an error here: `inventory` names it, and calls of it throw.
    /// Throws `invalid` for a configuration that contradicts itself.
    /// - Parameters:
    ///   - dataFolder: where keys of providers that an administrator sets are kept; nil keeps none.
    ///   - pricing: who knows what calls cost; without, `cost_max_dollars` limits nothing.
    ///   - contextTokens: what the hosted model `provider/model` reads, where that is known.
    package convenience init(
        _ configuration: InferenceConfiguration, modelsFolder: String, dataFolder: String? = nil,
        client: HTTPClient, environment: Environment, pricing: (any Pricing)? = nil,
        contextTokens: @escaping @Sendable (String) -> Int? = { _ in nil }
    ) throws {
        try self.init(
            configuration,
            shelf: ModelShelf(folder: modelsFolder, options: configuration.local.modelOptions()),
            dataFolder: dataFolder, client: client, environment: environment, pricing: pricing,
            contextTokens: contextTokens)
    }

    /// From then on this model makes the summaries of what has no room: the router behind whatever
    /// accounts for its calls.
    package func summarize(with model: any ChatModel) { around.room.summaries.ask(model) }

    init(
        _ configuration: InferenceConfiguration, shelf: ModelShelf, dataFolder: String? = nil,
        client: HTTPClient, environment: Environment, pricing: (any Pricing)? = nil,
        contextTokens: (String) -> Int? = { _ in nil },
        tracer: any Tracer = InstrumentationSystem.tracer,
        wait: @escaping @Sendable (Duration) async throws -> Void = {
            try await Task.sleep(for: $0)
        }
    ) throws {
        try configuration.validate()
        let untrusted = UntrustedText(environment)
        guards = try configuration.models.mapValues {
            try InputGuards($0.guards, untrusted: untrusted)
        }
        around = CandidateSearch.Surroundings(
            weather: Weather(configuration, now: environment.now), environment: environment,
            limits: configuration.retries.limits, wait: wait, tracer: tracer,
            room: PromptRoom(counter: TokenCounter(), summaries: Summaries()), pricing: pricing)
        var providers: [String: any Provider] = [
            CandidateName.local: LocalProvider(shelf, environment: environment)
        ]
        for (name, entry) in configuration.providers where name != CandidateName.local {
            providers[name] = try ProviderFactory.make(
                name, entry, client: client, environment: environment)
        }
        self.providers = providers
        self.configuration = configuration
        startedAt = environment.now()
        routes = Routes(
            configuration, shelf: shelf, providers: providers, contextTokens: contextTokens)
        sealedKeys = dataFolder.map { folder in
            SealedKeys(
                folder: folder, box: SecretBox(folder: folder, key: configuration.masterKey),
                environment: environment)
        }
        for (name, provider) in providers { sealedKeys?.hand(to: provider.keys, of: name) }
    }

    package func models() async -> [ModelCard] { routes.inventory.models }

    /// The highest count over the model's candidates, since any of them may answer.
    package func countTokens(_ texts: [String], model: String) async throws -> [Int] {
        let counts = try routes.route(named: model).candidates.map { candidate in
            try around.room.counter.tokens(texts, at: candidate)
        }
        return texts.indices.map { index in counts.map { $0[index] }.max() ?? 0 }
    }

    // MARK: Chat

    /// Guards the request, then asks one candidate after the other, in the order of the model's
    /// policy and as `FailureClass` allows, until one begins to answer. An empty model name means
    /// the default. When nobody answers, the last failure is thrown.
    package func open(_ request: ChatRequest) async throws -> ChatCall {
        let route = try routes.route(named: request.model)
        try check(request)
        let guarded = try guards[route.name]?.guarding(request, tracer: around.tracer)
        let request = guarded?.request ?? request
        let openedAt = around.environment.now()
        var search = CandidateSearch(route, request, around)
        let leg: Leg
        do { leg = try await search.next(for: request) } catch let error as CancellationError {
            guard !search.spent.isEmpty else { throw error }
            var failure = Failure(error)
            failure.spent = search.spent
            throw failure
        }
        let call = RoutedCall(leg, search, request, openedAt: openedAt, around: around)
        return ChatCall(
            candidate: leg.candidate.name.description, decision: leg.decision, notice: leg.notice,
            context: leg.context?.header, spent: { call.spent },
            run: { emit in try await call.run(emit) }, abandon: { await call.abandon() }
        ).restoring(guarded?.values)
    }

    private func check(_ request: ChatRequest) throws {
        let sampling = request.sampling
        guard !request.messages.isEmpty else {
            throw Failure(.invalid, "A request needs at least one message.")
        }
        guard sampling.stop.count <= SamplingOptions.stopMax else {
            throw Failure(
                .invalid, "A request may have \(SamplingOptions.stopMax) stop strings at most.")
        }
        let ranges: [(String, Double?, ClosedRange<Double>)] = [
            ("temperature", sampling.temperature, 0...2), ("top_p", sampling.topP, 0...1),
            ("min_p", sampling.minP, 0...1),
        ]
        for (name, value, range) in ranges {
            guard let value, !range.contains(value) else { continue }
            throw Failure(
                .invalid, "\(name) must be between \(range.lowerBound) and \(range.upperBound).")
        }
        guard (sampling.outputTokensMax ?? 1) > 0, (sampling.topK ?? 1) >= 0 else {
            throw Failure(.invalid, "max_tokens must be at least 1, and top_k not negative.")
        }
    }

    // MARK: Embeddings

    /// A call that has many texts asks for as many at a time as all candidates take, and may be
    /// served by several of them.
    package func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        let (route, first) = try routes.embedding(for: request)
        guard request.texts.count <= Self.textsMax else {
            throw Failure(
                .tooLarge, "At most \(Self.textsMax) texts can be embedded by one call.")
        }
        var search = EmbeddingSearch(route, purpose: request.purpose, around)
        let size = route.candidates.map(\.provider.embeddingsPerCall).min() ?? Self.textsMax
        var vectors = EmbeddingBatches(candidate: first.name)
        var texts = request.texts[...]
        repeat {
            let batch = Array(texts.prefix(size))
            texts = texts.dropFirst(size)
            do {
                let (candidate, made) = try await search.embed(batch, beside: texts)
                try vectors.add(made, by: candidate.name)
            } catch let error as CancellationError {
                throw vectors.isEmpty ? error : vectors.failure(error)
            } catch {
                throw vectors.failure(error)
            }
        } while !texts.isEmpty
        return vectors.embeddings
    }
}
