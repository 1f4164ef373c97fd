import Accounting
import Core
import Egress
import Gateway
import Inference
import Logging
import Observability
import Orchestration
import Retrieval
import ServiceLifecycle
import UnixSignals
import WebChat

/// All seven layers, wired. The only place that sees every one of them; it connects and decides
/// nothing.
struct Appliance: Sendable {
    let router: ModelRouter
    let identity: IdentityStore
    private let group: ServiceGroup

    /// Opens every store and maps every model; nothing listens yet.
    ///
    /// - Parameters:
    ///   - companions: services that run beside the layers and stop before them.
    ///   - signals: what asks the process to stop, in order.
    ///   - onListening: called once with the host and port that answer.
    init(
        _ configuration: Configuration, data: String, models: String, telemetry: Telemetry,
        operatorToken: String, companions: [any Service], stoppingOn signals: [UnixSignal],
        environment: Environment,
        onListening: @escaping @Sendable (String, Int) async -> Void
    ) throws {
        let client = HTTPClient(configuration.egress)
        let ledger = try SpendLedger(
            configuration.accounting, folder: data, environment: environment)
        router = try ModelRouter(
            configuration.inference, modelsFolder: models, dataFolder: data, client: client,
            environment: environment, pricing: ledger,
            contextTokens: { ledger.contextTokens(of: $0) })
        // Layers are handed metered models only, so none can forget to account.
        let embedder = MeteredEmbedder(router, ledger: ledger)
        let audit = CacheAudit(
            configuration.inference.cache.audit, model: MeteredModel(router, ledger: ledger),
            embedder: embedder, environment: environment)
        let model = MeteredModel(
            CachedModel(
                router, configuration.inference, embedder: embedder, audit: audit,
                environment: environment), ledger: ledger)
        router.summarize(with: model)

        let conversations = try OrchestrationStore(folder: data)
        let jobs = try JobStore(
            store: conversations, environment: environment,
            configuration: configuration.orchestration)
        let library = try Library(
            configuration.retrieval, folder: data, embedder: embedder,
            embedderName: router.inventory.embedder,
            reranker: MeteredReranker(router, ledger: ledger), model: model, jobs: jobs,
            client: client, environment: environment)
        let orchestrator = try Orchestrator(
            configuration.orchestration, store: conversations, model: model, embedder: embedder,
            knowledge: library, environment: environment)
        identity = try IdentityStore(folder: data, environment: environment)
        let server = GatewayServer(
            configuration.gateway,
            GatewayLayers(
                assistant: orchestrator, conversations: orchestrator, knowledge: library,
                catalogue: library, archive: library, batches: library, jobs: jobs, model: model,
                grounded: orchestrator, embedder: embedder, gateway: router, ledger: ledger,
                traces: telemetry.reader, assets: WebClient()),
            identity: identity, operatorToken: operatorToken, environment: environment,
            onListening: onListening)
        // Stopped in reverse: first the door, last what records how it went.
        group = ServiceGroup(
            configuration: .init(
                services: [
                    telemetry.service, client, audit, library,
                    JobRunner(
                        store: jobs,
                        handlers: [library, library.reembedding, SiteReader(library)],
                        longKinds: [library.reembedding.kind, SiteReader.kind]),
                    orchestrator, server,
                ] + companions,
                gracefulShutdownSignals: signals, logger: Logger(label: "heptad.appliance")))
    }

    /// Serves until a signal, `stop`, or the task's cancellation, then stops in order.
    func run() async throws { try await group.run() }

    /// Asks a running appliance to stop in order.
    func stop() async { await group.triggerGracefulShutdown() }
}
