import Core
import HTTPTypes
import Hummingbird

/// Refuses a body that says it is too large before a byte of it is read. What does not say, or lies,
/// is stopped while it is read.
struct LimitBodies: Middleware {
    func respond(
        to request: Request, _ context: GatewayContext, next: Next
    ) async throws -> Response {
        if let text = request.headers.text(.contentLength) {
            guard let count = Int(text), count >= 0 else {
                throw Refusal.invalid("The Content-Length is no number.")
            }
            let limits = context.route?.bodyLimits ?? BodyLimits(bytesMax: 0, timeout: .zero)
            guard count <= limits.wireBytesMax || context.route == nil else { throw limits.refusal }
        }
        return try await next(request, context)
    }
}
