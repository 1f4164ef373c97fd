import Core
import HTTPTypes

/// The body of an error on the Anthropic surface, and the status that goes with it there.
struct AnthropicError: Codable {
    struct Body: Codable {
        let type: String
        let message: String
    }

    let type: String
    let error: Body
    let requestID: String?

    enum CodingKeys: String, CodingKey {
        case type, error
        case requestID = "request_id"
    }

    init(_ refusal: Refusal, requestID: String?) {
        type = "error"
        error = Body(type: Self.type(of: refusal.failure.code), message: refusal.failure.message)
        self.requestID = requestID
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(type, forKey: .type)
        try container.encode(error, forKey: .error)
        // The API sends null where there is nothing.
        try container.encode(requestID, forKey: .requestID)
    }

    /// What HTTP alone knows keeps its status; the rest has the API's.
    static func status(of refusal: Refusal) -> HTTPResponse.Status {
        let code = refusal.failure.code
        guard refusal.status == Refusal.status(of: code) else { return refusal.status }
        return switch code {
        case .unsupported, .conflict: .badRequest
        case .upstream: .internalServerError
        case .unavailable: HTTPResponse.Status(code: 529, reasonPhrase: "Overloaded")
        default: refusal.status
        }
    }

    private static func type(of code: Failure.Code) -> String {
        switch code {
        case .invalid, .unsupported, .conflict: "invalid_request_error"
        case .unauthenticated: "authentication_error"
        case .budgetExceeded: "billing_error"
        case .forbidden: "permission_error"
        case .notFound: "not_found_error"
        case .tooLarge: "request_too_large"
        case .rateLimited: "rate_limit_error"
        case .unavailable: "overloaded_error"
        case .timeout: "timeout_error"
        case .cancelled, .internalError, .upstream: "api_error"
        }
    }
}
