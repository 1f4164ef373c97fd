import Core
import HTTPTypes
import Hummingbird
import Tracing

/// Finds out whose request this is, and refuses those of nobody where the route needs somebody.
struct Authenticate: Middleware {
    static let cookie = "heptad_session"

    let identity: IdentityStore
    let sessions: SessionDurations
    let operatorToken: String?
    let limits: RateLimits

    func respond(
        to request: Request, _ context: GatewayContext, next: Next
    ) async throws -> Response {
        guard let route = context.route, route.access != .open, route.access != .unlimited else {
            return try await next(request, context)
        }
        var context = context
        context.credential = try await credential(of: request)
        guard let principal = context.principal else {
            if route.access == .user {
                // A stranger who tries keys is counted by address.
                try limits.countAnonymous(context.client)
                throw Failure(
                    .unauthenticated,
                    "Log in, or send an API key as `Authorization: Bearer KEY` or `x-api-key: KEY`."
                )
            }
            return try await next(request, context)
        }
        // Observability shows a user the traces that carry this.
        context.span?.attributes["user.id"] = principal.userID.description
        context.notes.note(principal)
        return try await next(request, context)
    }

    /// A header that proves nothing is no reason to look at the cookie.
    private func credential(of request: Request) async throws -> Credential? {
        if let header = request.headers.text(.authorization) {
            let bytes = header.utf8
            guard let space = bytes.firstIndex(of: UInt8(ascii: " ")),
                header[..<space].lowercased() == "bearer"
            else { return nil }
            return try await credential(
                bearer: String(header[bytes.index(after: space)...]),
                as: request.headers[.actingAs])
        }
        // As Anthropic's clients send it.
        if let key = request.headers[.anthropicKey] {
            return try await credential(bearer: key, as: request.headers[.actingAs])
        }
        guard let token = Self.cookieValue(in: request.headers) else { return nil }
        return try await identity.session(token: token, lasting: sessions).map { .session($0) }
    }

    private func credential(bearer token: String, as name: String?) async throws -> Credential? {
        guard token.utf8.count <= Self.tokenBytesMax else { return nil }
        if let operatorToken, Secret.isEqual(token, operatorToken) {
            guard let name else { return .operation(try await identity.owner()) }
            return .operation(try await identity.principal(named: name))
        }
        guard token.hasPrefix(IdentityStore.keyPrefix) else { return nil }
        return try await identity.principal(key: token).map { .key($0) }
    }

    private static let tokenBytesMax = 256

    static func cookieValue(in headers: HTTPFields) -> String? {
        for header in headers[values: .cookie] {
            for pair in header.split(separator: ";") {
                let pair = pair.drop { $0 == " " }
                guard pair.hasPrefix("\(cookie)=") else { continue }
                let value = pair.dropFirst(cookie.count + 1)
                return value.utf8.count <= tokenBytesMax ? String(value) : nil
            }
        }
        return nil
    }
}
