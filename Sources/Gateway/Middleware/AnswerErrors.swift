import Core
import HTTPTypes
import Hummingbird
import NIOCore
import Tracing

/// Turns what was thrown into a response: `application/problem+json`, or the error of the OpenAI
/// surface under `/v1`.
struct AnswerErrors: Middleware {
    func respond(
        to request: Request, _ context: GatewayContext, next: Next
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            let refusal = Refusal(of: error)
            context.notes.note(refusal.failure)
            return try response(for: refusal, to: request, context)
        }
    }

    private func response(
        for refusal: Refusal, to request: Request, _ context: GatewayContext
    ) throws -> Response {
        let traceID = context.span.flatMap { TraceContext.traceID(of: $0.context) }
        var response: Response
        if request.uri.path.hasPrefix("/v1/") {
            response = try .json(OpenAIError(refusal), status: refusal.status)
        } else {
            response = try .json(
                Problem(refusal, traceID: traceID), status: refusal.status,
                type: "application/problem+json")
        }
        for field in refusal.headers { response.headers.append(field) }
        if let wait = refusal.failure.retryAfter {
            response.headers[.retryAfter] = "\(max(1, (wait.microseconds + 999_999) / 1_000_000))"
        }
        // The SDKs try again by themselves, and would multiply our own attempts.
        if refusal.failure.hasBeenRetried { response.headers[.shouldRetry] = "false" }
        if refusal.status == .unauthorized {
            response.headers[.wwwAuthenticate] = "Bearer realm=\"heptad\""
        }
        // What is left of a refused body would have to be read to keep the connection.
        if refusal.status == .contentTooLarge || refusal.status == .requestTimeout {
            response.headers[.connection] = "close"
        }
        return response
    }
}
