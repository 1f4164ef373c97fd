import Core
import HTTPTypes
import Hummingbird

/// Setting up, logging in and out, and who one is.
struct SessionRoutes: Sendable {
    let identity: IdentityStore
    let sessions: SessionDurations
    let attempts: LoginAttempts

    var routes: [Route] {
        [
            Route(
                .get, "/api/setup/{token}", "Whether a setup link still works.", access: .open,
                answers: [.noContent], hasSecretPath: true, handler: checkSetup),
            Route(
                .post, "/api/setup", "Give the owner's account its name and password.",
                access: .open, body: .json(.reference("Setup")),
                answers: [.created(.reference("Session"))], handler: setUp),
            Route(
                .post, "/api/login", "Log in; sets the session cookie.", access: .open,
                body: .json(.reference("Login")), answers: [.ok(.reference("Session"))],
                handler: logIn),
            Route(
                .post, "/api/logout", "End the session.", answers: [.noContent], handler: logOut),
            Route(
                .get, "/api/session", "Who is asking, and the token that changes need.",
                access: .optional, answers: [.ok(.reference("Session"))], handler: session),
        ]
    }

    @Sendable private func checkSetup(_ call: Call) async throws -> Response {
        try await identity.checkSetupToken(call.text("token"))
        return .noContent
    }

    @Sendable private func setUp(_ call: Call) async throws -> Response {
        let body = try await call.json(SetupBody.self)
        let owner = try await identity.claim(
            token: body.token, name: body.name, password: body.password)
        return try await begin(for: owner, call, status: .created)
    }

    @Sendable private func logIn(_ call: Call) async throws -> Response {
        let body = try await call.json(LoginBody.self)
        let user = try await attempts.limit(name: body.name, client: call.context.client) {
            try await identity.authenticate(name: body.name, password: body.password)
        }
        return try await begin(for: user, call, status: .ok)
    }

    @Sendable private func logOut(_ call: Call) async throws -> Response {
        if case .session(let session) = call.context.credential {
            try await identity.endSession(token: session.token)
        }
        var response = Response.noContent
        response.headers[.setCookie] = cookie("", secondsMax: 0, call)
        return response
    }

    @Sendable private func session(_ call: Call) async throws -> Response {
        guard let credential = call.context.credential else {
            var refusal = Refusal(Failure(.unauthenticated, "Nobody is logged in."))
            refusal.isSetupNeeded = try await !identity.isClaimed
            throw refusal
        }
        guard case .session(let session) = credential else {
            return try .json(SessionBody(credential.principal, csrfToken: nil))
        }
        return try .json(SessionBody(session.principal, csrfToken: session.csrfToken))
    }

    private func begin(
        for user: Principal, _ call: Call, status: HTTPResponse.Status
    ) async throws -> Response {
        // A browser that logs in again leaves its old session.
        if let token = Authenticate.cookieValue(in: call.request.headers) {
            try await identity.endSession(token: token)
        }
        let session = try await identity.beginSession(for: user)
        var response = try Response.json(
            SessionBody(user, csrfToken: session.csrfToken), status: status)
        response.headers[.setCookie] = cookie(
            session.token, secondsMax: sessions.absolute.components.seconds, call)
        return response
    }

    private func cookie(_ value: String, secondsMax: Int64, _ call: Call) -> String {
        "\(Authenticate.cookie)=\(value); Path=/; Max-Age=\(secondsMax); HttpOnly; SameSite=Lax"
            + (call.context.client.isSecure ? "; Secure" : "")
    }
}

private struct SetupBody: Decodable {
    let token: String
    let name: String
    let password: String
}

private struct LoginBody: Decodable {
    let name: String
    let password: String
}

struct SessionBody: Codable {
    struct User: Codable {
        let id: Identifier
        let name: String
        let role: Principal.Role
    }

    let user: User
    /// Only a session has one.
    let csrfToken: String?
    let setupNeeded: Bool

    init(_ principal: Principal, csrfToken: String?) {
        user = User(id: principal.userID, name: principal.name, role: principal.role)
        self.csrfToken = csrfToken
        setupNeeded = false
    }
}
