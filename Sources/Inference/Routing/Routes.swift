import Core

/// All public names and where they lead, made once from the configuration and the models folder.
struct Routes: Sendable {
    /// Default first, then by name.
    let ordered: [Route]
    /// Who makes the embeddings; the first candidate says whose vectors they are.
    let embedding: Route?
    let inventory: Inventory
    private let byName: [String: Route]
    private let shelf: ModelShelf
    private let providers: [String: any Provider]

    init(
        _ configuration: InferenceConfiguration, shelf: ModelShelf,
        providers: [String: any Provider], contextTokens: (String) -> Int? = { _ in nil }
    ) {
        var routes: [Route] = []
        if configuration.models.isEmpty {
            for model in shelf.chatModels.keys {
                var entry = ModelConfiguration()
                entry.candidates = ["\(CandidateName.local)/\(model)"]
                routes.append(
                    Self.route(
                        model, entry, providers, configuration: configuration, shelf, contextTokens)
                )
            }
        } else {
            routes = configuration.models.map { name, entry in
                Self.route(
                    name, entry, providers, configuration: configuration, shelf, contextTokens)
            }
        }
        let first = configuration.defaultModel
        ordered = routes.sorted { left, right in
            left.name == first || right.name == first
                ? left.name == first : left.name < right.name
        }
        byName = Dictionary(routes.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        self.shelf = shelf
        self.providers = providers
        let embedder =
            CandidateName(configuration.embeddingModel)
            ?? shelf.embedders.keys.sorted().first.map {
                CandidateName(provider: CandidateName.local, model: $0)
            }
        let costMax = Picodollars(dollars: configuration.embeddingCostMaxDollars)
        func candidate(_ name: CandidateName) -> Candidate? {
            Self.embeddingCandidate(name, providers, shelf)
        }
        embedding = embedder.flatMap(candidate).map { first in
            Self.embeddingRoute(
                [first]
                    + configuration.embeddingFallbacks.compactMap { CandidateName($0) }
                    .compactMap(candidate), costMax)
        }
        let cards = ordered.compactMap(\.card)
        var problems = shelf.problems
        problems += ordered.filter { $0.candidates.isEmpty || $0.isLastResortMissing }
            .flatMap(\.missing)
        if cards.isEmpty, problems.isEmpty { problems.append(shelf.chatAdvice(nil)) }
        if embedding == nil {
            problems.append(shelf.embedderAdvice(configuration.embeddingModel))
        }
        inventory = Inventory(
            models: cards, embedder: embedding?.candidates.first?.name.description,
            problems: problems)
    }

    private static func embeddingCandidate(
        _ name: CandidateName, _ providers: [String: any Provider], _ shelf: ModelShelf
    ) -> Candidate? {
        guard let provider = providers[name.provider],
            !provider.isLocal || shelf.embedders[name.model] != nil
        else { return nil }
        return Candidate(
            name: name, provider: provider,
            limits: ModelLimits(contextTokens: 0, outputTokensMax: 0))
    }

    private static func embeddingRoute(
        _ candidates: [Candidate], _ costMax: Picodollars?
    ) -> Route {
        var route = Route(name: embeddings, candidates: candidates, missing: [])
        route.isEmbedding = true
        route.rules.costMax = costMax
        return route
    }

    /// The route of a call for embeddings, and the candidate whose vectors they are. A candidate that
    /// is asked for by its own name may be any that is there, also one that makes embeddings no more.
    func embedding(for request: EmbeddingRequest) throws -> (Route, Candidate) {
        if let text = request.candidate, text != inventory.embedder {
            guard let name = CandidateName(text),
                let candidate = Self.embeddingCandidate(name, providers, shelf)
            else {
                throw Failure(.notFound, "The embedding model \(text.prefix(100)) is not there.")
            }
            return (Self.embeddingRoute([candidate], embedding?.rules.costMax), candidate)
        }
        guard let route = embedding, let first = route.candidates.first else {
            throw Failure(
                .unavailable, inventory.problems.last ?? "There is no embedding model.")
        }
        // Names of embedding models are written in any case: all-minilm-l6-v2, all-MiniLM-L6-v2.
        let names = [first.name.description, first.name.model].map { $0.lowercased() }
        if let model = request.model, !model.isEmpty, !names.contains(model.lowercased()),
            request.candidate == nil
        {
            throw Failure(
                .notFound,
                "There is no embedding model \"\(model.prefix(100))\". There is:"
                    + " \(first.name.model).")
        }
        return (route, first)
    }

    /// What the route of embeddings is called where figures are told.
    static let embeddings = "embeddings"

    /// The route of a public name; an empty name means the default. Throws `notFound` for a name
    /// that is none, and `unavailable` with what to do for one that nobody can answer for.
    func route(named name: String) throws -> Route {
        let found = name.isEmpty ? ordered.first { !$0.candidates.isEmpty } : byName[name]
        if let found, !found.candidates.isEmpty { return found }
        if let reason = found?.missing.first { throw Failure(.unavailable, reason) }
        let known = ordered.compactMap(\.card).map(\.name)
        guard !known.isEmpty else { throw Failure(.unavailable, shelf.chatAdvice(nil)) }
        throw Failure(
            .notFound,
            "There is no model \"\(name.prefix(100))\". There are: \(known.joined(separator: ", "))."
        )
    }

    private static func route(
        _ name: String, _ entry: ModelConfiguration, _ providers: [String: any Provider],
        configuration: InferenceConfiguration, _ shelf: ModelShelf,
        _ contextTokens: (String) -> Int?
    ) -> Route {
        var candidates: [Candidate] = []
        var missing: [String] = []
        for (text, weight) in zip(entry.candidates, entry.weightNumbers) {
            guard let candidate = CandidateName(text), let provider = providers[candidate.provider]
            else { continue }
            guard provider.isLocal else {
                let context = entry.contextTokens > 0 ? entry.contextTokens : contextTokens(text)
                let limits = ModelLimits(
                    contextTokens: context ?? hostedContextTokens,
                    outputTokensMax: entry.outputTokensMax > 0
                        ? entry.outputTokensMax : hostedOutputTokens,
                    isContextKnown: context != nil)
                candidates.append(
                    Candidate(name: candidate, provider: provider, limits: limits, weight: weight))
                continue
            }
            guard let model = shelf.chatModels[candidate.model] else {
                missing.append(shelf.chatAdvice(candidate.model))
                continue
            }
            candidates.append(
                Candidate(
                    name: candidate, provider: provider,
                    limits: localLimits(entry, model, configuration), weight: weight))
        }
        var route = Route(
            name: name, candidates: candidates, missing: missing, rules: RouteRules(entry))
        if !entry.degradeTo.isEmpty, let provider = providers[CandidateName.local] {
            let candidate = CandidateName(provider: CandidateName.local, model: entry.degradeTo)
            if let model = shelf.chatModels[entry.degradeTo] {
                route.lastResort = Candidate(
                    name: candidate, provider: provider,
                    limits: localLimits(entry, model, configuration))
            } else {
                route.missing.append(shelf.chatAdvice(entry.degradeTo))
                route.isLastResortMissing = true
            }
        }
        return route
    }

    private static func localLimits(
        _ entry: ModelConfiguration, _ model: LocalEngine, _ configuration: InferenceConfiguration
    ) -> ModelLimits {
        let context =
            entry.contextTokens > 0
            ? min(entry.contextTokens, model.contextTokens) : model.contextTokens
        let output =
            entry.outputTokensMax > 0
            ? entry.outputTokensMax : configuration.local.outputTokensMax
        return ModelLimits(contextTokens: context, outputTokensMax: min(output, context))
    }

    // A prompt that is trimmed for less than a hosted model reads is an answer; one that is refused
    // for more is none.
    private static let hostedContextTokens = 32_768
    private static let hostedOutputTokens = 4096
}
