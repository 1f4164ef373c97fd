import HTTPTypes

extension HTTPFields {
    /// The value of a field, of several with the same name all of them. Most fields are there once,
    /// and need not be put together.
    func text(_ name: HTTPField.Name) -> String? {
        let values = self[values: name]
        return values.count == 1 ? values[0] : self[name]
    }
}

extension HTTPField.Name {
    static let actingAs = named("x-heptad-as")
    static let cacheUse = named("x-heptad-cache")
    static let cacheQuestion = named("x-heptad-cache-question")
    static let cacheSimilarity = named("x-heptad-cache-similarity")
    static let callCost = named("x-heptad-cost")
    static let callSaved = named("x-heptad-saved")
    static let context = named("x-heptad-context")
    static let crossOriginOpenerPolicy = named("cross-origin-opener-policy")
    static let crossOriginResourcePolicy = named("cross-origin-resource-policy")
    static let csrfToken = named("x-csrf-token")
    static let fetchSite = named("sec-fetch-site")
    static let forwardedFor = named("x-forwarded-for")
    static let forwardedProtocol = named("x-forwarded-proto")
    static let frameOptions = named("x-frame-options")
    static let lastEventID = named("last-event-id")
    static let permissionsPolicy = named("permissions-policy")
    static let proxyBuffering = named("x-accel-buffering")
    static let rateLimit = named("ratelimit")
    static let rateLimitPolicy = named("ratelimit-policy")
    static let referrerPolicy = named("referrer-policy")
    static let requestID = named("request-id")
    static let route = named("x-heptad-route")
    static let shouldRetry = named("x-should-retry")
    static let traceID = named("x-trace-id")

    static let anthropicKey = named("x-api-key")
    static let anthropicVersion = named("anthropic-version")

    private static func named(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else {
            preconditionFailure("\(text) is no field name")
        }
        return name
    }
}
