import Hummingbird

/// One concern of every request, around all the inner ones. Hummingbird's own protocol runs after
/// its router; ours runs after routing is decided and so knows the route, found or not.
protocol Middleware: Sendable {
    typealias Next = (Request, GatewayContext) async throws -> Response

    func respond(to request: Request, _ context: GatewayContext, next: Next) async throws
        -> Response
}
