import Core
import HTTPTypes
import Hummingbird
import OrderedJSON

/// The model gateway, for administrators: how it does, and its providers' keys.
struct AdminRoutes: Sendable {
    let gateway: any ModelGateway

    private static let keys = "/api/admin/providers/{provider}/keys"

    var routes: [Route] {
        [
            Route(
                .get, "/api/admin/models",
                "How providers, models and routes have done since the process began; for administrators.",
                answers: [.ok(.reference("ModelsOverview"))], handler: overview),
            Route(
                .post, Self.keys,
                "Give a provider a key, which is sealed, used at once in place of the configuration's,"
                    + " and never shown; for administrators.",
                body: .json(.record(["key": .string])),
                answers: [.created(.reference("ProviderKey"))], handler: add),
            Route(
                .put, Self.keys + "/{id}", "Replace a provider's key; for administrators.",
                body: .json(.record(["key": .string])),
                answers: [.ok(.reference("ProviderKey"))], handler: replace),
            Route(
                .delete, Self.keys + "/{id}",
                "Remove a provider's key; with none left the configuration's are used. For"
                    + " administrators.",
                answers: [.noContent], handler: remove),
        ]
    }

    @Sendable private func overview(_ call: Call) async throws -> Response {
        .text(try await gateway.overview(for: call.principal).text, type: "application/json")
    }

    @Sendable private func add(_ call: Call) async throws -> Response {
        let body = try await call.json(KeyBody.self)
        let key = try await gateway.setKey(
            body.key, replacing: nil, of: call.text("provider"), for: call.principal)
        var response = Response.text(key.text, type: "application/json")
        response.status = .created
        return response
    }

    @Sendable private func replace(_ call: Call) async throws -> Response {
        let body = try await call.json(KeyBody.self)
        let key = try await gateway.setKey(
            body.key, replacing: call.id(), of: call.text("provider"), for: call.principal)
        return .text(key.text, type: "application/json")
    }

    @Sendable private func remove(_ call: Call) async throws -> Response {
        try await gateway.removeKey(
            call.id(), of: call.text("provider"), for: call.principal)
        return .noContent
    }
}

private struct KeyBody: Decodable {
    let key: String
}
