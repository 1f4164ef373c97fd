import Core

/// What went wrong at a candidate, and with it what may be done about it. The table is the only
/// place that decides; retries, breakers and key rotation read it too.
enum FailureClass: String, Sendable, CaseIterable {
    /// Nothing was answered: connection, lookup, TLS, or no first token in time.
    case transport
    /// The candidate is ill, probably not for long.
    case transient
    /// Too many calls.
    case throttled
    /// The account has no quota or money left.
    case exhausted
    /// The key is refused.
    case credential
    /// The request itself is refused.
    case caller
    /// The prompt is too long for this candidate.
    case context
    /// The candidate's policy refuses the content.
    case content
    /// The stream broke, or said something that is not the protocol.
    case broken
    /// The stream ended, in good order but without saying so: never an answer that is complete.
    case truncated
    case cancelled

    /// The class of an answer that is an error, by its status and its code or type.
    static func of(status: Int, codes: [String] = []) -> FailureClass {
        let row = table.first { row in
            row.statuses.contains(status) || codes.contains(where: row.codes.contains)
        }
        return row?.kind ?? .transient
    }

    // First match wins, so what a code says in so many words stands before any status.
    private static let table: [Row] = [
        Row(
            .exhausted,
            codes: [
                "insufficient_quota", "billing_hard_limit_reached", "billing_not_active",
                "insufficient_credits", "billing_error", "quota_per_day",
                "ServiceQuotaExceededException",
            ]),
        Row(
            .context,
            codes: [
                "context_length_exceeded", "exceed_context_size_error", "string_above_max_length",
            ]),
        Row(
            .content,
            codes: ["content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"]),
        Row(
            .credential,
            codes: [
                "invalid_api_key", "authentication_error", "permission_error",
                // Google answers some of these with 400; the last when the account may not be here.
                "API_KEY_INVALID", "UNAUTHENTICATED", "PERMISSION_DENIED", "FAILED_PRECONDITION",
                "AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException",
                "InvalidSignatureException", "IncompleteSignatureException",
                "MissingAuthenticationTokenException",
            ]),
        Row(
            .throttled,
            codes: [
                "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED",
                "ThrottlingException",
            ]),
        Row(
            .transient,
            codes: [
                "server_error", "overloaded_error", "api_error", "unavailable_error",
                "timeout_error", "INTERNAL",
                "UNAVAILABLE", "DEADLINE_EXCEEDED", "InternalServerException",
                "ServiceUnavailableException", "ModelErrorException", "ModelStreamErrorException",
                "ModelTimeoutException", "ModelNotReadyException",
            ]),
        // The model wrote what is no call or no JSON (Groq): another may do better.
        Row(.broken, codes: ["tool_use_failed", "json_validate_failed"]),
        // Some say `invalid_request_error` to everything: what these statuses say is more.
        Row(.exhausted, [402...402]),
        Row(.credential, [401...401, 403...403]),
        Row(.throttled, [429...429]),
        Row(
            .caller,
            codes: [
                "invalid_request_error", "model_not_found", "invalid_prompt", "not_found_error",
                "request_too_large", "INVALID_ARGUMENT", "NOT_FOUND", "ValidationException",
                "ResourceNotFoundException",
            ]),
        // 498 is Groq's: no capacity left.
        Row(.transient, [408...408, 424...424, 498...498, 500...599]),
        Row(.caller, [400...499]),
    ]

    private struct Row {
        let kind: FailureClass
        let statuses: [ClosedRange<Int>]
        let codes: Set<String>

        init(_ kind: FailureClass, _ statuses: [ClosedRange<Int>] = [], codes: Set<String> = []) {
            self.kind = kind
            self.statuses = statuses
            self.codes = codes
        }
    }

    /// The class of what Egress threw before a status was seen.
    static func of(_ failure: Failure) -> FailureClass {
        switch failure.code {
        case .upstream, .timeout, .unavailable, .forbidden: .transport
        case .cancelled: .cancelled
        case .tooLarge: .broken
        default: .transient
        }
    }
}

extension [ClosedRange<Int>] {
    fileprivate func contains(_ number: Int) -> Bool { contains { $0.contains(number) } }
}

/// A candidate's failure: the class for the router, the sentence for the user.
struct CandidateFailure: Error {
    let kind: FailureClass
    let failure: Failure
    /// What the provider says that the attempt took; nil where it did not say.
    var usage: TokenUsage?

    init(_ kind: FailureClass, _ failure: Failure) {
        self.kind = kind
        self.failure = failure
    }

    /// Any error of a provider. Ours that are thrown before a call goes out (a model that is not
    /// there, a prompt that does not fit) are of the class their code says.
    init(_ error: any Error) {
        switch error {
        case let failure as CandidateFailure: self = failure
        case is CancellationError: self.init(.cancelled, Failure(error))
        case let failure as Failure:
            let kind: FailureClass =
                switch failure.code {
                case .tooLarge: .context
                case .invalid: .caller
                default: .of(failure)
                }
            self.init(kind, failure)
        default: self.init(.transient, Failure(error))
        }
    }
}
