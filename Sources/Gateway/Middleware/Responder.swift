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
        let response = try await run(0, request, context)
        return request.method == .head ? response.createHeadResponse() : response
    }

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
