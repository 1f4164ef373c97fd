import Core
import HTTPTypes
import Hummingbird

/// What looks after the server asks.
struct HealthRoutes: Sendable {
    let identity: IdentityStore
    let traces: any TraceReader
    let isMetricsOpen: Bool
    let isReady: @Sendable () async -> Bool

    var routes: [Route] {
        [
            Route(
                .get, "/healthz", "Whether the process is alive.", access: .unlimited,
                answers: [.text("text/plain", "It is.")], isTraced: false,
                handler: { _ in .text("ok\n") }),
            Route(
                .get, "/readyz", "Whether the stores are open, so that requests can be answered.",
                access: .unlimited, answers: [.text("text/plain", "They are.")], isTraced: false,
                handler: ready),
            Route(
                .get, "/metrics", "All metrics as Prometheus text, for administrators.",
                access: .optional,
                answers: [.text("text/plain; version=0.0.4", "The metrics.")], isTraced: false,
                handler: metrics),
        ]
    }

    @Sendable private func ready(_ call: Call) async throws -> Response {
        guard await isReady() else {
            throw Failure(
                .unavailable, "The server is starting or stopping.", retryAfter: .seconds(1))
        }
        do {
            try await identity.check()
        } catch {
            throw Failure(.unavailable, "A store cannot be read.", cause: error)
        }
        return .text("ready\n")
    }

    @Sendable private func metrics(_ call: Call) async throws -> Response {
        let isLocal = call.context.peer?.isLoopback == true && !call.context.client.isForwarded
        let isAdministrator = call.context.principal?.isAdministrator == true
        guard isAdministrator || (isMetricsOpen && isLocal) else {
            guard call.context.principal == nil else {
                throw Failure(.forbidden, "Metrics are for administrators.")
            }
            throw Failure(.unauthenticated, "Send an administrator's API key.")
        }
        return .text(
            await traces.metricsText(), type: "text/plain; version=0.0.4; charset=utf-8")
    }
}
