import Core
import HTTPTypes

/// The body of an error on the native API (RFC 9457).
struct Problem: Codable {
    var type = "about:blank"
    let title: String
    let status: Int
    let detail: String
    let code: String
    let traceID: String?
    var setupNeeded: Bool?

    init(_ refusal: Refusal, traceID: String?) {
        title = refusal.status.reasonPhrase
        status = refusal.status.code
        detail = refusal.failure.message
        code = refusal.failure.code.rawValue
        self.traceID = traceID
        setupNeeded = refusal.isSetupNeeded
    }
}

/// The body of an error on the OpenAI surface.
struct OpenAIError: Codable {
    struct Body: Codable {
        let message: String
        let type: String
        let param: String?
        let code: String?

        func encode(to encoder: any Encoder) throws {
            // The API sends null where there is nothing, and clients look the fields up.
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(message, forKey: .message)
            try container.encode(type, forKey: .type)
            try container.encode(param, forKey: .param)
            try container.encode(code, forKey: .code)
        }
    }

    let error: Body

    init(_ refusal: Refusal) {
        let (type, code): (String, String?) =
            switch refusal.failure.code {
            case .unauthenticated: ("invalid_request_error", "invalid_api_key")
            case .budgetExceeded: ("insufficient_quota", "insufficient_quota")
            case .forbidden: ("permission_error", nil)
            case .notFound: ("invalid_request_error", "not_found")
            case .rateLimited: ("rate_limit_error", "rate_limit_exceeded")
            case .invalid, .conflict, .tooLarge, .unsupported: ("invalid_request_error", nil)
            case .cancelled, .internalError, .upstream, .unavailable, .timeout:
                ("server_error", refusal.failure.code.rawValue)
            }
        error = Body(
            message: refusal.failure.message, type: type, param: refusal.parameter,
            code: refusal.openAICode ?? code)
    }
}
