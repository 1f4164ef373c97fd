import Core

/// What may be done about a failure of each class.
extension FailureClass {
    /// What a failure says about the candidate's health.
    enum Health: Hashable, Sendable {
        /// It answered, if only with a refusal.
        case well
        case ill
        /// Nothing: the account or the caller was the reason.
        case unknown
    }

    /// Whether the next candidate is asked, as long as nothing was shown of this one's answer.
    var fallsThrough: Bool {
        switch self {
        case .transport, .transient, .throttled, .exhausted, .credential, .context, .content,
            .broken, .truncated:
            true
        case .caller, .cancelled: false
        }
    }

    /// Whether the same candidate may be asked again a little later.
    var mayPass: Bool {
        switch self {
        case .transport, .transient, .throttled: true
        case .exhausted, .credential, .caller, .context, .content, .broken, .truncated, .cancelled:
            false
        }
    }

    var health: Health {
        switch self {
        case .transport, .transient, .broken, .truncated: .ill
        case .caller, .context, .content: .well
        case .throttled, .exhausted, .credential, .cancelled: .unknown
        }
    }

    /// Whether it means that the candidate is down, rather than that it will not take this request.
    var isOutage: Bool {
        switch self {
        case .transport, .transient, .throttled, .exhausted, .credential, .broken, .truncated: true
        case .caller, .context, .content, .cancelled: false
        }
    }
}

extension CandidateFailure {
    /// Whether the same candidate may be asked again: not where it had the prompt and fell silent,
    /// which would pay for the prompt twice and most likely wait as long again.
    var isSafeToRepeat: Bool { kind.mayPass && failure.code != .timeout }

    /// Whether the provider may charge for it: it had the whole request, and did not refuse it.
    var mayBeCharged: Bool {
        switch kind {
        case .broken, .truncated: true
        case .transport: failure.code == .timeout
        default: false
        }
    }
}
