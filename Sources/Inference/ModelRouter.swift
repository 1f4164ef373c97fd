package import Core
package import Egress
import Logging
import ServiceContextModule
import Synchronization
import Tracing

/// Every model behind one door: a public name leads to candidates, and the first that begins to
/// answer is the one that answers.
package final class ModelRouter: ChatModel, Embedder {
    /// What models there are, and what is missing.
    package var inventory: Inventory { routes.inventory }

    private let routes: Routes
    private let environment: Environment
    private let tracer: @Sendable () -> any Tracer
    private let logger = Logger(label: "heptad.inference")

    /// The most texts that one call embeds.
    package static let textsMax = 4096

    /// Maps the local models; their weights are not read before the first call. A model file that
    /// is missing or broken is not an error here: `inventory` names it, and calls of it throw.
    /// Throws `invalid` for a configuration that contradicts itself.
    package convenience init(
        _ configuration: InferenceConfiguration, modelsFolder: String, client: HTTPClient,
        environment: Environment
    ) throws {
        try self.init(
            configuration,
            shelf: ModelShelf(folder: modelsFolder, options: configuration.local.modelOptions()),
            client: client, environment: environment)
    }

    init(
        _ configuration: InferenceConfiguration, shelf: ModelShelf, client: HTTPClient,
        environment: Environment,
        tracer: @escaping @Sendable () -> any Tracer = { InstrumentationSystem.tracer }
    ) throws {
        try configuration.validate()
        self.environment = environment
        self.tracer = tracer
        var providers: [String: any Provider] = [
            CandidateName.local: LocalProvider(shelf, environment: environment)
        ]
        for (name, entry) in configuration.providers where name != CandidateName.local {
            providers[name] = try ProviderFactory.make(
                name, entry, client: client, environment: environment)
        }
        routes = Routes(configuration, shelf: shelf, providers: providers)
    }

    package func models() async -> [ModelCard] { routes.inventory.models }

    /// The highest count over the model's candidates, since any of them may answer.
    package func countTokens(_ texts: [String], model: String) async throws -> [Int] {
        let counts = try routes.route(named: model).candidates.map { candidate in
            try candidate.provider.countTokens(texts, model: candidate.name.model)
        }
        return texts.indices.map { index in counts.map { $0[index] }.max() ?? 0 }
    }

    // MARK: Chat

    /// Asks one candidate after the other, as `FailureClass` allows, until one begins to answer.
    /// An empty model name means the default. When nobody answers, the last failure is thrown.
    package func open(_ request: ChatRequest) async throws -> ChatCall {
        let route = try routes.route(named: request.model)
        try check(request)
        let openedAt = environment.now()
        var failures: [Failure] = []
        for candidate in route.candidates {
            try Task.checkCancellation()
            // Retries of the same candidate, breakers and keys that are out will be asked here.
            do {
                return try await open(request, at: candidate, since: openedAt)
            } catch let error as CancellationError {
                throw error
            } catch {
                let failure = CandidateFailure(error)
                failures.append(failure.failure)
                logger.warning(
                    "a candidate did not answer",
                    metadata: [
                        "candidate": "\(candidate.name)", "class": "\(failure.kind)",
                        "failure": "\(failure.failure)",
                    ])
                guard failure.kind.fallsThrough else { break }
            }
        }
        throw Self.summary(failures, model: route.name)
    }

    private func open(
        _ request: ChatRequest, at candidate: Candidate, since openedAt: Timestamp
    ) async throws -> ChatCall {
        let span = ModelSpan(
            .chat, candidate, purpose: request.purpose, tracer: tracer(), now: environment.now)
        var sampling = request.sampling
        let outputTokensMax = min(
            sampling.outputTokensMax ?? candidate.limits.outputTokensMax,
            candidate.limits.outputTokensMax)
        sampling.outputTokensMax = outputTokensMax
        span.note(request, outputTokensMax: outputTokensMax)
        do {
            let call = try await candidate.provider.open(
                ProviderRequest(
                    principal: request.principal, model: candidate.name.model,
                    messages: request.messages, sampling: sampling,
                    contextTokens: candidate.limits.contextTokens,
                    headers: TraceContext.headers(of: span.context), tools: request.tools,
                    toolChoice: request.toolChoice,
                    allowsParallelToolCalls: request.allowsParallelToolCalls,
                    responseFormat: request.responseFormat, truncates: request.truncates))
            let running = RunningCall(
                call, candidate: candidate.name, span: span, openedAt: openedAt,
                now: environment.now)
            return ChatCall(
                candidate: candidate.name.description,
                run: { emit in try await running.run(emit) },
                abandon: { await running.abandon() })
        } catch {
            span.failed(error)
            throw error
        }
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

    private static func summary(_ failures: [Failure], model: String) -> Failure {
        guard let last = failures.last else {
            return Failure(.unavailable, "Nobody can answer for the model \(model).")
        }
        guard failures.count > 1 else { return last }
        return Failure(
            last.code,
            "None of the \(failures.count) candidates of \(model) could answer. The last:"
                + " \(last.message)",
            cause: failures.map(\.description).joined(separator: " | "),
            retryAfter: last.retryAfter)
    }

    // MARK: Embeddings

    package func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        guard let candidate = routes.embedding else {
            throw Failure(
                .unavailable, routes.inventory.problems.last ?? "There is no embedding model.")
        }
        // Names of embedding models are written in any case: all-minilm-l6-v2, all-MiniLM-L6-v2.
        let names = [candidate.name.description, candidate.name.model].map { $0.lowercased() }
        if let model = request.model, !model.isEmpty, !names.contains(model.lowercased()) {
            throw Failure(
                .notFound,
                "There is no embedding model \"\(model.prefix(100))\". There is:"
                    + " \(candidate.name.model).")
        }
        guard request.texts.count <= Self.textsMax else {
            throw Failure(
                .tooLarge, "At most \(Self.textsMax) texts can be embedded by one call.")
        }
        let span = ModelSpan(
            .embeddings, candidate, purpose: request.purpose, tracer: tracer(),
            now: environment.now)
        do {
            let made = try await ServiceContext.withValue(span.context) {
                try await candidate.provider.embed(
                    request.texts, model: candidate.name.model,
                    headers: TraceContext.headers(of: span.context))
            }
            span.used(made.usage, responseModel: made.responseModel)
            return Embeddings(
                candidate: candidate.name.description, dimensions: made.dimensions,
                values: made.values, usage: made.usage)
        } catch {
            span.failed(error)
            throw (error as? CandidateFailure)?.failure ?? error
        }
    }
}

/// A candidate's call on its way to the one who asked: counted, timed, and run once.
private final class RunningCall: Sendable {
    private let call: ProviderCall
    private let candidate: CandidateName
    private let span: ModelSpan
    private let openedAt: Timestamp
    private let now: @Sendable () -> Timestamp
    private let isTaken = Mutex(false)

    init(
        _ call: ProviderCall, candidate: CandidateName, span: ModelSpan, openedAt: Timestamp,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.call = call
        self.candidate = candidate
        self.span = span
        self.openedAt = openedAt
        self.now = now
    }

    func run(_ emit: ChatCall.Emit) async throws -> Completion {
        guard take() else { throw Failure(.internalError, "A call can be run only once.") }
        do {
            let outcome = try await ServiceContext.withValue(span.context) {
                try await call.run(emit)
            }
            let completion = Completion(
                candidate: candidate.description, finishReason: outcome.finishReason,
                usage: outcome.usage,
                firstTokenMilliseconds: outcome.firstTextAt.map { milliseconds(to: $0) },
                totalMilliseconds: milliseconds(to: now()))
            if let local = outcome.local { span.note(local) }
            span.completed(completion, responseModel: outcome.responseModel)
            return completion
        } catch {
            span.failed(error)
            throw (error as? CandidateFailure)?.failure ?? error
        }
    }

    func abandon() async {
        guard take() else { return }
        await call.abandon()
        span.failed(CancellationError())
    }

    private func take() -> Bool {
        isTaken.withLock { isTaken in
            defer { isTaken = true }
            return !isTaken
        }
    }

    /// Never negative, though the machine's clock may be set back.
    private func milliseconds(to time: Timestamp) -> Double {
        max(0, (time - openedAt).milliseconds)
    }
}
