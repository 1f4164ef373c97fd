import Core
import HTTPTypes
import Hummingbird

/// Collections: what they hold, who has a part in them.
struct CollectionRoutes: Sendable {
    let catalogue: any Catalogue
    let archive: any Archive
    let identity: IdentityStore

    private static let path = "/api/collections"
    static let nameCharactersMax = 200

    var routes: [Route] {
        let one = Self.path + "/{id}"
        return [
            Route(
                .get, Self.path, "Your collections and those shared with you, newest first.",
                answers: [.ok(.record(["collections": .list("Collection")]))], handler: list),
            Route(
                .post, Self.path, "Make a collection.", body: .json(.record(["name": .string])),
                answers: [.created(.reference("Collection"))], handler: create),
            Route(
                .patch, one, "Give a collection another name, settings, metadata or time to live.",
                body: .json(.reference("CollectionChange")),
                answers: [.ok(.reference("Collection"))], handler: change),
            Route(
                .delete, one, "Take a collection and its documents away.",
                query: [
                    QueryParameter(
                        name: "keepDocuments", schema: .boolean,
                        summary: "Its documents go to your default collection instead.")
                ], answers: [.noContent], handler: remove),
            Route(
                .get, one + "/documents", "Its documents, newest first.",
                answers: [.ok(.record(["documents": .list("DocumentSummary")]))],
                handler: documents),
            Route(
                .put, one + "/documents/{document}",
                "Put one of your documents into a collection beside the one it is at home in.",
                answers: [.ok(.reference("DocumentSummary"))], handler: attach),
            Route(
                .delete, one + "/documents/{document}", "Take a document out again.",
                answers: [.noContent], handler: detach),
            Route(
                .get, one + "/shares", "Whom a collection of yours is shared with.",
                answers: [.ok(.record(["shares": .list("Share")]))], handler: shares),
            Route(
                .put, one + "/shares",
                "Share a collection with a user or a team, named one or the other.",
                body: .json(
                    .record([
                        "user?": .string, "team?": .string, "access": .choice(["read", "write"]),
                    ])), answers: [.noContent], handler: share),
            Route(
                .delete, one + "/shares/{grantee}", "End a share at once.",
                answers: [.noContent], handler: unshare),
            Route(
                .get, "/api/teams",
                "The teams you are in, and who else is; all of them for administrators.",
                answers: [.ok(.record(["teams": .list("Team")]))], handler: teams),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let collections = try await catalogue.collections(for: principal)
        let hasOthers = collections.contains { $0.ownerID != principal.userID }
        let names = hasOthers ? try await userNames() : [principal.userID: principal.name]
        return try .json([
            "collections": collections.map {
                CollectionBody(collection: $0, ownerName: names[$0.ownerID])
            }
        ])
    }

    private func userNames() async throws -> [Identifier: String] {
        Dictionary(uniqueKeysWithValues: try await identity.users().map { ($0.userID, $0.name) })
    }

    @Sendable private func create(_ call: Call) async throws -> Response {
        let body = try await call.json(NewCollectionBody.self)
        let isBlank = body.name.allSatisfy(\.isWhitespace)
        guard !isBlank, body.name.count <= Self.nameCharactersMax else {
            throw Failure(
                .invalid, "A collection's name has 1 to \(Self.nameCharactersMax) characters.")
        }
        let principal = try call.principal
        let collection = try await catalogue.createCollection(named: body.name, for: principal)
        return try .json(
            CollectionBody(collection: collection, ownerName: principal.name), status: .created)
    }

    @Sendable private func change(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let change = try await call.json(CollectionChange.self)
        let collection = try await catalogue.changeCollection(call.id(), change, for: principal)
        return try .json(CollectionBody(collection: collection, ownerName: principal.name))
    }

    @Sendable private func remove(_ call: Call) async throws -> Response {
        let keeps = try call.query["keepDocuments"] == "true"
        try await catalogue.removeCollection(
            call.id(), keepingDocuments: keeps, for: call.principal)
        return .noContent
    }

    @Sendable private func documents(_ call: Call) async throws -> Response {
        try .json(["documents": try await archive.documents(in: call.id(), for: call.principal)])
    }

    @Sendable private func attach(_ call: Call) async throws -> Response {
        try .json(
            try await archive.attach(
                call.id("document"), to: call.id(), true, for: call.principal))
    }

    @Sendable private func detach(_ call: Call) async throws -> Response {
        _ = try await archive.attach(
            call.id("document"), to: call.id(), false, for: call.principal)
        return .noContent
    }

    // MARK: Sharing

    @Sendable private func shares(_ call: Call) async throws -> Response {
        let shares = try await catalogue.shares(of: call.id(), for: call.principal)
        let users = try await userNames()
        let teams = Dictionary(
            uniqueKeysWithValues: try await identity.teams().map { ($0.id, $0.name) })
        return try .json([
            "shares": shares.map { share in
                ShareBody(
                    granteeID: share.granteeID, access: share.access,
                    user: users[share.granteeID], team: teams[share.granteeID])
            }
        ])
    }

    @Sendable private func share(_ call: Call) async throws -> Response {
        let (id, principal) = (try call.id(), try call.principal)
        let body = try await call.json(NewShareBody.self)
        // Nobody learns here who is called what without a collection to share.
        _ = try await catalogue.shares(of: id, for: principal)
        let grantee: Identifier
        switch (body.user, body.team) {
        case (let user?, nil): grantee = try await identity.principal(named: user).userID
        case (nil, let team?): grantee = try await identity.team(named: team).id
        default: throw Refusal.invalid("Name a `user` or a `team`.")
        }
        try await catalogue.share(id, with: grantee, body.access, for: principal)
        return .noContent
    }

    @Sendable private func unshare(_ call: Call) async throws -> Response {
        try await catalogue.share(
            call.id(), with: call.id("grantee"), nil, for: call.principal)
        return .noContent
    }

    @Sendable private func teams(_ call: Call) async throws -> Response {
        let principal = try call.principal
        let own = Set(principal.teamIDs ?? [])
        let teams = try await identity.teams().filter {
            principal.isAdministrator || own.contains($0.id)
        }
        return try .json(["teams": teams])
    }
}

private struct NewCollectionBody: Decodable {
    let name: String
}

private struct NewShareBody: Decodable {
    let user: String?
    let team: String?
    let access: CollectionAccess
}

/// A share with the name of whom it is with; none where the account is gone.
struct ShareBody: Codable {
    let granteeID: Identifier
    let access: CollectionAccess
    let user: String?
    let team: String?
}

/// A collection, and whose it is by name.
struct CollectionBody: Encodable {
    let collection: Core.Collection
    let ownerName: String?

    private enum Key: String, CodingKey { case ownerName }

    func encode(to encoder: any Encoder) throws {
        try collection.encode(to: encoder)
        var container = encoder.container(keyedBy: Key.self)
        try container.encodeIfPresent(ownerName, forKey: .ownerName)
    }
}
