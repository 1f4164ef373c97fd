import Core
import Hummingbird
import Logging
import Metrics

/// One log line and two metrics for each request. Query strings and secrets in paths stay out.
struct LogRequests: Middleware {
    let environment: Core.Environment
    private let logger = Logger(label: "heptad.gateway")

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
        let dimensions = [
            ("http_request_method", method), ("http_route", route),
            ("http_response_status_code", status),
        ]
        Timer(
            label: "http_server_request_duration", dimensions: dimensions,
            preferredDisplayUnit: .seconds
        ).recordNanoseconds(duration.microseconds &* 1000)
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
