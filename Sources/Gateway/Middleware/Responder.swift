import Core
import HTTPTypes
import Hummingbird

/// Decides the route, runs the middleware in its order, and then the route's handler.
struct Responder: HTTPResponder {
    let table: RouteTable
    let clients: ClientResolver
    let connections: ConnectionTable
    /// The outermost first.
    let middleware: [any Middleware]

    func respond(to request: Request, context: GatewayContext) async throws -> Response {
        var context = context
        if let connection = connections[context.channel] { context.connection = connection }
        context.match = table.match(request.method, request.uri.path)
        context.client = clients.client(peer: context.peer, headers: request.headers)
        context.executor = isBrief(request, context) ? context.connection.executor : nil
        let response: Response
        if context.executor == nil {
            response = try await withTaskExecutorPreference(globalConcurrentExecutor) {
                try await run(0, request, context)
            }
        } else {
            response = try await run(0, request, context)
        }
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func isBrief(_ request: Request, _ context: GatewayContext) -> Bool {
        guard let route = context.route, route.isBrief, let bytes = request.declaredBytes else {
            return false
        }
        return bytes <= Self.briefBytesMax
    }

    // To read, guard and count the tokens of as much takes a few milliseconds at most.
    private static let briefBytesMax = 32 << 10

    private func run(
        _ place: Int, _ request: Request, _ context: GatewayContext
    ) async throws -> Response {
        guard place < middleware.count else { return try await dispatch(request, context) }
        return try await middleware[place].respond(to: request, context) {
            try await run(place + 1, $0, $1)
        }
    }

    private func dispatch(_ request: Request, _ context: GatewayContext) async throws -> Response {
        switch context.match {
        case .found(let route, let parameters):
            return try await route.handler(
                Call(
                    request: request, context: context, parameters: parameters,
                    limits: route.bodyLimits))
        case .missing: throw Call.notFound
        case .malformed: throw Refusal.invalid("The path is malformed or too long.")
        case .otherMethods(let methods):
            var refusal = Refusal(
                Failure(.invalid, "This path does not take the method \(request.method.rawValue)."),
                status: .methodNotAllowed)
            refusal.headers[.allow] = methods.map(\.rawValue).joined(separator: ", ")
            throw refusal
        }
    }
}
