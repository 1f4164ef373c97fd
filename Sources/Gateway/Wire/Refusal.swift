import Core
import HTTPTypes

/// A failure with what only HTTP knows about it. Everything else throws `Failure`.
struct Refusal: Error {
    let failure: Failure
    var status: HTTPResponse.Status
    var headers: HTTPFields = [:]
    /// The field of an OpenAI request that is meant.
    var parameter: String?
    /// The code of an OpenAI error.
    var openAICode: String?
    /// Whether the owner has yet to claim the server, told to a client that asks who it is.
    var isSetupNeeded: Bool?

    init(_ failure: Failure, status: HTTPResponse.Status? = nil) {
        self.failure = failure
        self.status = status ?? Self.status(of: failure.code)
    }

    /// Any error as a refusal.
    init(of error: any Error) {
        self = error as? Refusal ?? Refusal(Failure(error))
    }

    static func invalid(_ message: String, cause: Any? = nil) -> Refusal {
        Refusal(Failure(.invalid, message, cause: cause))
    }

    /// The one place that turns a code into a status.
    static func status(of code: Failure.Code) -> HTTPResponse.Status {
        switch code {
        case .invalid: .badRequest
        case .unauthenticated: .unauthorized
        case .budgetExceeded: HTTPResponse.Status(code: 402, reasonPhrase: "Payment Required")
        case .forbidden: .forbidden
        case .notFound: .notFound
        case .conflict: .conflict
        case .tooLarge: .contentTooLarge
        case .unsupported: .unsupportedMediaType
        case .rateLimited: .tooManyRequests
        // Nobody is there to read it; the log has it.
        case .cancelled: HTTPResponse.Status(code: 499, reasonPhrase: "Client Closed Request")
        case .internalError: .internalServerError
        case .upstream: .badGateway
        case .unavailable: .serviceUnavailable
        case .timeout: .gatewayTimeout
        }
    }
}
