import Core
import HTTPTypes
import Hummingbird
import NIOCore

/// Turns what was thrown into a response: `application/problem+json`, or the error of the OpenAI or
/// Anthropic surface under `/v1`.
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
        let traceID = context.traceID
        var response: Response
        switch Surface(path: request.uri.path, headers: request.headers) {
        case .native:
            response = try .json(
                Problem(refusal, traceID: traceID), status: refusal.status,
                type: "application/problem+json")
        case .openAI: response = try .json(OpenAIError(refusal), status: refusal.status)
        case .anthropic:
            response = try .json(
                AnthropicError(refusal, requestID: traceID),
                status: AnthropicError.status(of: refusal))
            response.headers[.requestID] = traceID
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
