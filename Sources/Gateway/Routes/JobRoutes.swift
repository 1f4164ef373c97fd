import Core
import HTTPTypes
import Hummingbird

/// Work that goes on after its request.
struct JobRoutes: Sendable {
    let jobs: any JobQueue
    let streams: StreamSlots

    var routes: [Route] {
        [
            Route(
                .get, "/api/jobs/{id}", "A job as it stands.",
                answers: [.ok(.reference("Job"))], handler: job),
            Route(
                .get, "/api/jobs/{id}/events",
                "The job now and after each change, as events `job`, until it has ended.",
                answers: [.events("The events.")], handler: follow),
            Route(
                .post, "/api/jobs/{id}/cancel", "End a job at its next step.",
                answers: [.noContent], handler: cancel),
        ]
    }

    @Sendable private func job(_ call: Call) async throws -> Response {
        try .json(try await jobs.job(call.id(), for: call.principal))
    }

    @Sendable private func follow(_ call: Call) async throws -> Response {
        let id = try call.id()
        let principal = try call.principal
        _ = try await jobs.job(id, for: principal)
        let stream = try streams.stream(for: principal.userID)
        return stream.response(over: call.context.connection) { sink in
            await sink.reportingFailures {
                try await jobs.follow(id, for: principal) { job in
                    try await sink.send(event: "job", data: job)
                }
            }
        }
    }

    @Sendable private func cancel(_ call: Call) async throws -> Response {
        try await jobs.cancel(call.id(), for: call.principal)
        return .noContent
    }
}
