import OrderedJSON

/// Why something was refused or went wrong. The message is a sentence for the user and says what to
/// do next where there is something to do; the cause is for the log and never leaves the server.
package struct Failure: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Codable, Sendable, CaseIterable {
        case invalid, unauthenticated, budgetExceeded, forbidden, notFound, conflict, tooLarge
        case unsupported, rateLimited, cancelled, internalError, upstream, unavailable, timeout
    }

    package let code: Code
    package let message: String
    package let cause: String?
    /// How long to wait before the same call may succeed, where that is known.
    package let retryAfter: Duration?
    /// We have tried again ourselves; a client that does too multiplies the calls.
    package var hasBeenRetried = false
    /// What providers say that attempts took which came to nothing; to be paid all the same.
    package var spent: [CandidateUsage] = []

    package init(
        _ code: Code, _ message: String, cause: Any? = nil, retryAfter: Duration? = nil
    ) {
        (self.code, self.message, self.retryAfter) = (code, message, retryAfter)
        self.cause = cause.map { String(describing: $0) }
    }

    package var description: String {
        "\(code.rawValue): \(message)" + (cause.map { " (\($0))" } ?? "")
    }
}

extension Failure {
    /// Any error as a failure: one of ours as it is, a cancellation as `cancelled`, the rest as
    /// `internalError` with the error kept as the cause.
    package init(_ error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as JSONError: self = Failure(.invalid, error.description)
        case is CancellationError: self = Failure(.cancelled, "The request was cancelled.")
        default:
            self = Failure(
                .internalError, "Something went wrong on the server; its log has the details.",
                cause: error)
        }
    }
}
