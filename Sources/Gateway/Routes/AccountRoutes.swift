import Core
import HTTPTypes
import Hummingbird

/// A user's keys, traces and spending.
struct AccountRoutes: Sendable {
    let identity: IdentityStore
    let catalogue: any Catalogue
    let traces: any TraceReader
    let ledger: any Ledger

    var routes: [Route] {
        [
            Route(
                .get, "/api/traces", "What happened inside your requests, newest first.",
                query: .page, answers: [.ok(.record(["traces": .list("TraceSummary")]))],
                handler: list),
            Route(
                .get, "/api/traces/{traceID}", "The spans of one trace, by start time.",
                answers: [.ok(.record(["spans": .list("TraceSpan")]))], handler: trace),
            Route(
                .get, "/api/spend", "What you have spent this month.",
                answers: [.ok(.reference("Spend"))], handler: spend),
            Route(
                .get, "/api/keys", "Your API keys, newest first.",
                answers: [.ok(.record(["keys": .list("KeySummary")]))], handler: keys),
            Route(
                .post, "/api/keys",
                "Make an API key, for all that you may do or for some collections. It is shown"
                    + " this once.",
                body: .json(.record(["name": .string, "collectionIDs?": .array(.identifier)])),
                answers: [.created(.reference("NewKey"))], handler: createKey),
            Route(
                .delete, "/api/keys/{id}", "End a key at once.", answers: [.noContent],
                handler: revokeKey),
        ]
    }

    @Sendable private func list(_ call: Call) async throws -> Response {
        let page = try call.page
        let found = try await traces.traces(
            for: call.principal, before: page.before, limit: page.limit)
        return try .json(["traces": found])
    }

    @Sendable private func trace(_ call: Call) async throws -> Response {
        let id = call.text("traceID")
        let isTraceID =
            id.utf8.count == 32
            && id.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        guard isTraceID else { throw Call.notFound }
        return try .json(["spans": try await traces.trace(id, for: call.principal)])
    }

    @Sendable private func spend(_ call: Call) async throws -> Response {
        try .json(try await ledger.spend(of: call.principal))
    }

    @Sendable private func keys(_ call: Call) async throws -> Response {
        try .json(["keys": try await identity.keys(for: call.principal)])
    }

    @Sendable private func createKey(_ call: Call) async throws -> Response {
        let body = try await call.json(NewKeyBody.self)
        let principal = try call.principal
        if let ids = body.collectionIDs {
            let known = Set(try await catalogue.collections(for: principal).map(\.id))
            guard (1...ChatRoutes.collectionsMax).contains(ids.count), known.isSuperset(of: ids)
            else {
                throw Failure(.notFound, "`collectionIDs` names what is no collection of yours.")
            }
        }
        let key = try await identity.createKey(
            name: body.name, collectionIDs: body.collectionIDs, for: principal)
        return try .json(key, status: .created)
    }

    @Sendable private func revokeKey(_ call: Call) async throws -> Response {
        try await identity.revokeKey(call.id(), for: call.principal)
        return .noContent
    }
}

private struct NewKeyBody: Decodable {
    let name: String
    let collectionIDs: [Identifier]?
}
