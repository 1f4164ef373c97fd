import Core
import HTTPTypes
import Hummingbird

/// Teams and who is in them, for administrators.
struct TeamRoutes: Sendable {
    let identity: IdentityStore

    private static let teams = "/api/admin/teams"

    var routes: [Route] {
        let member = Self.teams + "/{team}/members/{user}"
        return [
            Route(
                .get, "/api/admin/users", "All accounts by name; for administrators.",
                answers: [
                    .ok(
                        .record([
                            "users": .array(.record(["name": .string, "role": .string]))
                        ]))
                ], handler: users),
            Route(
                .post, Self.teams, "Make a team; for administrators.",
                body: .json(.record(["name": .string])),
                answers: [.created(.reference("Team"))], handler: add),
            Route(
                .put, member, "Put a user into a team; for administrators.",
                answers: [.noContent], handler: join),
            Route(
                .delete, member, "Take a user out of a team; for administrators.",
                answers: [.noContent], handler: leave),
            Route(
                .delete, Self.teams + "/{team}",
                "Take a team away, and what its members had through it; for administrators.",
                answers: [.noContent], handler: remove),
        ]
    }

    /// A key that is limited to collections decides about nobody.
    private func check(_ call: Call) throws {
        let principal = try call.principal
        guard principal.isAdministrator, principal.collectionIDs == nil else {
            throw Failure(.forbidden, "Teams are made and changed by administrators.")
        }
    }

    @Sendable private func users(_ call: Call) async throws -> Response {
        try check(call)
        let users = try await identity.users().sorted { $0.name < $1.name }
        return try .json([
            "users": users.map { ["name": $0.name, "role": $0.role.rawValue] }
        ])
    }

    @Sendable private func add(_ call: Call) async throws -> Response {
        try check(call)
        let body = try await call.json(TeamBody.self)
        return try .json(try await identity.addTeam(name: body.name), status: .created)
    }

    @Sendable private func remove(_ call: Call) async throws -> Response {
        try check(call)
        try await identity.removeTeam(name: call.text("team"))
        return .noContent
    }

    @Sendable private func join(_ call: Call) async throws -> Response {
        try await set(call, isMember: true)
    }

    @Sendable private func leave(_ call: Call) async throws -> Response {
        try await set(call, isMember: false)
    }

    private func set(_ call: Call, isMember: Bool) async throws -> Response {
        try check(call)
        try await identity.setMember(
            call.text("user"), of: call.text("team"), isMember: isMember)
        return .noContent
    }
}

private struct TeamBody: Decodable {
    let name: String
}
