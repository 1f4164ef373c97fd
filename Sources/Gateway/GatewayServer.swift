package import Core
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import OrderedJSON
import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The HTTP server: everything the appliance says to the world goes through it.
package struct GatewayServer: Service {
    private let configuration: GatewayConfiguration
    private let responder: Responder
    private let connections = ConnectionTable()
    private let onListening: @Sendable (String, Int) async -> Void

    /// - Parameters:
    ///   - operatorToken: a bearer token that acts as the owner, for the command line on this
    ///     machine; with the header `X-Heptad-As: NAME` it acts as that user.
    ///   - isReady: what `/readyz` asks beside the identity store.
    ///   - onListening: told host and port once connections are taken.
    package init(
        _ configuration: GatewayConfiguration, _ layers: GatewayLayers, identity: IdentityStore,
        operatorToken: String? = nil, environment: Core.Environment = .system,
        isReady: @escaping @Sendable () async -> Bool = { true },
        onListening: @escaping @Sendable (String, Int) async -> Void = { _, _ in }
    ) {
        self.configuration = configuration
        self.onListening = onListening
        let limits = RateLimits(configuration, environment: environment)
        let table = Self.table(
            configuration, layers, identity: identity, environment: environment, isReady: isReady)
        responder = Responder(
            table: table, clients: ClientResolver(configuration), connections: connections,
            middleware: [
                TraceRequests(), LogRequests(environment: environment), SecureResponses(),
                AnswerErrors(), CheckHost(configuration), LimitBodies(),
                Authenticate(
                    identity: identity, sessions: configuration.sessions,
                    operatorToken: operatorToken, limits: limits),
                RefuseCrossSite(configuration), limits,
            ])
    }

    /// Serves until the service group shuts down gracefully. Throws `unavailable` when the address
    /// cannot be listened on.
    package func run() async throws {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await application.run() }
                group.addTask {
                    // Streams end by themselves at a shutdown; what else runs has a moment.
                    do { try await gracefulShutdown() } catch { return }
                    try await Task.sleep(for: .seconds(configuration.shutdownSeconds))
                    throw ShutdownOverdue()
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch is ShutdownOverdue {
            Logger(label: "heptad.gateway").warning("Requests were cut off to shut down in time.")
        } catch let error as IOError {
            throw Failure(.unavailable, bindingSentence(error.errnoCode), cause: error)
        } catch let error as SocketAddressError {
            throw Failure(
                .unavailable,
                "The host \(configuration.host) has no address; choose another with --host.",
                cause: error)
        }
    }

    private var application: Application<Responder> {
        var logger = Logger(label: "heptad.gateway.http")
        // The start of the server is the banner's to tell.
        logger.logLevel = max(logger.logLevel, .warning)
        let bytesMax = max(configuration.uploadBytesMax, configuration.bodyBytesMax)
        return Application(
            responder: responder,
            server: .http1(
                configuration: HTTP1Channel.Configuration(
                    additionalChannelHandlers: [
                        FinishConnections(declaredBytesMax: bytesMax, table: connections)
                    ],
                    idleTimeout: .seconds(Int64(configuration.idleTimeoutSeconds)),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: Self.headerBytesMax,
                        maxHeaderListSize: Self.headerBytesMax,
                        maxHeaderFieldCount: Self.headersMax))),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port),
                availableConnectionsDelegate: MaximumAvailableConnections(
                    configuration.connectionsMax)),
            onServerRunning: { channel in
                let address = channel.localAddress
                await onListening(
                    address?.ipAddress ?? configuration.host, address?.port ?? configuration.port)
            }, logger: logger)
    }

    private static let headerBytesMax = 32 << 10
    private static let headersMax = 100

    static func table(
        _ configuration: GatewayConfiguration, _ layers: GatewayLayers, identity: IdentityStore,
        environment: Core.Environment, isReady: @escaping @Sendable () async -> Bool
    ) -> RouteTable {
        let streams = StreamSlots(
            limit: configuration.streamsMax, keepAlive: .seconds(configuration.keepAliveSeconds))
        var routes =
            SessionRoutes(
                identity: identity, sessions: configuration.sessions,
                attempts: LoginAttempts(
                    burst: configuration.loginAttemptsBurst, environment: environment)
            ).routes
        routes +=
            ChatRoutes(
                conversations: layers.conversations, assistant: layers.assistant,
                model: layers.model, knowledge: layers.knowledge, streams: streams
            ).routes
        let uploads = UploadReader(environment: environment)
        routes +=
            KnowledgeRoutes(
                knowledge: layers.knowledge, archive: layers.archive, uploads: uploads
            ).routes
        routes +=
            CollectionRoutes(
                catalogue: layers.catalogue, archive: layers.archive, identity: identity
            ).routes
        routes +=
            FileRoutes(
                knowledge: layers.knowledge, archive: layers.archive, uploads: uploads,
                environment: environment
            ).routes
        routes +=
            VectorStoreRoutes(
                knowledge: layers.knowledge, catalogue: layers.catalogue, archive: layers.archive,
                environment: environment
            ).routes
        routes += FileBatchRoutes(batches: layers.batches).routes
        routes +=
            ExplainRoutes(
                assistant: layers.assistant, conversations: layers.conversations,
                knowledge: layers.knowledge
            ).routes
        routes += JobRoutes(jobs: layers.jobs, streams: streams).routes
        routes +=
            AccountRoutes(
                identity: identity, catalogue: layers.catalogue, traces: layers.traces,
                ledger: layers.ledger
            ).routes
        routes += AdminRoutes(gateway: layers.gateway).routes
        routes += TeamRoutes(identity: identity).routes
        routes +=
            OpenAIRoutes(
                model: layers.model, embedder: layers.embedder, environment: environment,
                streams: streams
            ).routes
        routes +=
            AnthropicRoutes(
                model: layers.model, environment: environment, streams: streams
            ).routes
        routes +=
            ResponsesRoutes(
                model: layers.model, grounded: layers.grounded, archive: layers.archive,
                environment: environment, streams: streams
            ).routes
        routes +=
            HealthRoutes(
                identity: identity, traces: layers.traces,
                isMetricsOpen: configuration.metricsOpenOnLoopback, isReady: isReady
            ).routes
        let assets = AssetRoutes(assets: layers.assets).routes
        return RouteTable(
            describing(routes, assets, publicURL: configuration.publicUrl), configuration)
    }

    /// Adds the route that describes all routes, itself included.
    private static func describing(
        _ routes: [Route], _ assets: [Route], publicURL: String
    ) -> [Route] {
        func description(_ text: String) -> Route {
            Route(
                .get, OpenAPI.path, "This description.", access: .open,
                answers: [.ok(Schema(["type": "object"]))], isTraced: false,
                handler: { _ in .text(text, type: "application/json") })
        }
        let all = routes + [description("")] + assets
        let document = OpenAPI(routes: all, publicURL: publicURL).document
        // Written once: it is large, and strangers may ask for it.
        return routes + [description(document.text)] + assets
    }

    private func bindingSentence(_ code: Int32) -> String {
        let port = configuration.port
        return switch code {
        case EADDRINUSE: "Port \(port) is in use; choose another with --port."
        case EACCES: "Port \(port) needs more rights; choose one above 1023 with --port."
        case EADDRNOTAVAIL:
            "The address \(configuration.host) is not this machine's; choose another with --host."
        default: "The server cannot listen on \(configuration.host), port \(port)."
        }
    }
}

private struct ShutdownOverdue: Error {}
