import Core
import HTTPTypes
import Hummingbird

/// Keeps other sites from using a browser's session: what changes something needs the token that
/// only our own pages can read, and must not come from another origin.
struct RefuseCrossSite: Middleware {
    private let publicOrigin: Origin?

    init(_ configuration: GatewayConfiguration) { publicOrigin = Origin(configuration.publicUrl) }

    func respond(
        to request: Request, _ context: GatewayContext, next: Next
    ) async throws -> Response {
        let isSafe = request.method == .get || request.method == .head
        guard !isSafe else { return try await next(request, context) }
        switch context.credential {
        case .key, .operation: break  // No browser adds these by itself.
        case .session(let session):
            try checkOrigin(of: request)
            let token = request.headers[.csrfToken] ?? ""
            guard Secret.isEqual(token, session.csrfToken) else {
                throw Failure(
                    .forbidden,
                    "The X-CSRF-Token is missing or of another session; reload the page.")
            }
        case nil: try checkOrigin(of: request)  // Logging in is worth forging, too.
        }
        return try await next(request, context)
    }

    private func checkOrigin(of request: Request) throws {
        let refusal = Failure(.forbidden, "Requests from other sites are not taken.")
        if request.headers[.fetchSite] == "cross-site" { throw refusal }
        guard let text = request.headers[.origin] else { return }
        guard let origin = Origin(text) else { throw refusal }
        if let publicOrigin, origin == publicOrigin { return }
        guard let host = request.head.authority.flatMap({ Authority($0) }), origin.matches(host)
        else { throw refusal }
    }
}
