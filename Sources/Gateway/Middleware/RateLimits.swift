import Core
import HTTPTypes
import Hummingbird

/// How often one user, one key or one address may ask.
struct RateLimits: Middleware {
    /// A key has a bucket of its own, so that a script cannot lock its user out of the page.
    private let principals: TokenBuckets<Identifier>
    private let addresses: TokenBuckets<NetworkAddress?>
    /// What the header says of the limits themselves.
    private let policy: String

    init(_ configuration: GatewayConfiguration, environment: Core.Environment) {
        let window = max(
            1, configuration.requestsBurst * 60 / configuration.requestsPerMinute)
        policy = "\"requests\";q=\(configuration.requestsBurst);w=\(window)"
        principals = TokenBuckets(
            burst: configuration.requestsBurst, perMinute: Double(configuration.requestsPerMinute),
            environment: environment)
        addresses = TokenBuckets(
            burst: configuration.anonymousRequestsBurst,
            perMinute: Double(configuration.anonymousRequestsPerMinute), environment: environment)
    }

    func respond(
        to request: Request, _ context: GatewayContext, next: Next
    ) async throws -> Response {
        guard context.route?.access != .unlimited else { return try await next(request, context) }
        guard let principal = context.principal else {
            try countAnonymous(context.client)
            return try await next(request, context)
        }
        let state = principals.take(principal.keyID ?? principal.userID)
        let fields = fields(for: state)
        guard state.isAllowed else { throw refusal(wait: state.wait, headers: fields) }
        var response = try await next(request, context)
        for field in fields where !response.headers.contains(field.name) {
            response.headers.append(field)
        }
        return response
    }

    /// Throws `rateLimited` when the address has asked too often without proving who it is.
    func countAnonymous(_ client: Client) throws {
        let state = addresses.take(client.address?.network)
        guard state.isAllowed else { throw refusal(wait: state.wait, headers: [:]) }
    }

    private func refusal(wait: Duration, headers: HTTPFields) -> Refusal {
        var refusal = Refusal(
            Failure(
                .rateLimited, "That is too many requests; wait a moment and try again.",
                retryAfter: wait))
        refusal.headers = headers
        return refusal
    }

    /// The fields of draft-ietf-httpapi-ratelimit-headers.
    private func fields(for state: BucketState) -> HTTPFields {
        let seconds = (state.wait.microseconds + 999_999) / 1_000_000
        return [
            .rateLimitPolicy: policy,
            .rateLimit: "\"requests\";r=\(state.remaining);t=\(seconds)",
        ]
    }
}
