import Core
import Hummingbird
import Logging
import Metrics
import Synchronization

/// One log line and two metrics for each request. Query strings and secrets in paths stay out.
struct LogRequests: Middleware {
    private let environment: Core.Environment
    private let logger = Logger(label: "heptad.gateway")
    private let meters = RequestMeters()

    init(environment: Core.Environment) { self.environment = environment }

    func respond(
        to request: Request, _ context: GatewayContext, next: Next
    ) async throws -> Response {
        let startedAt = environment.now()
        let response = try await next(request, context)
        let duration = environment.now() - startedAt
        let route = context.route?.path ?? "none"
        let status = "\(response.status.code)"
        // The method of a request that found no route is whatever the sender liked.
        let method = context.route.map { $0.method.rawValue } ?? "other"
        meters.timer(method: method, route: route, status: status)
            .recordNanoseconds(duration.microseconds &* 1000)
        guard logger.logLevel <= .info || response.status.kind == .serverError else {
            return response
        }

        let notes = context.notes.current
        let path = context.route?.hasSecretPath == true ? route : request.uri.path
        var metadata: Logger.Metadata = [
            "method": "\(request.method.rawValue)", "path": "\(path.prefix(256))",
            "status": "\(status)", "milliseconds": "\(duration.milliseconds)",
        ]
        if let user = notes.principal { metadata["user.id"] = "\(user.userID)" }
        if let failure = notes.failure {
            metadata["failure"] = "\(failure.code.rawValue)"
            if let cause = failure.cause { metadata["cause"] = "\(cause.prefix(2000))" }
        }
        let level: Logger.Level =
            response.status.kind == .serverError
            ? .error
            : context.route?.isTraced == true
                ? .info : .debug
        logger.log(level: level, "Answered a request.", metadata: metadata)
        return response
    }
}

/// The timers of all routes, each looked up once: making one formats its labels and takes the
/// registry's lock.
private final class RequestMeters: Sendable {
    private struct Key: Hashable {
        let method: String
        let route: String
        let status: String
    }

    private let timers = Mutex<[Key: Timer]>([:])

    // Methods and routes are those of the table, and there are few statuses.
    private static let timersMax = 1000

    func timer(method: String, route: String, status: String) -> Timer {
        let key = Key(method: method, route: route, status: status)
        if let known = timers.withLock({ $0[key] }) { return known }
        let timer = Timer(
            label: "http_server_request_duration",
            dimensions: [
                ("http_request_method", method), ("http_route", route),
                ("http_response_status_code", status),
            ], preferredDisplayUnit: .seconds)
        timers.withLock { if $0.count < Self.timersMax { $0[key] = timer } }
        return timer
    }
}
