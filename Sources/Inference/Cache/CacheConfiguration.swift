import Core

/// Which answers are kept for those who ask the same again. Every user has answers of their own, and
/// answers that call tools are never kept.
package struct CacheConfiguration: Codable, Sendable, Equatable {
    /// `off`, `deterministic` for requests with a temperature of 0 or a seed, whose answer would be
    /// the same, or `always`, which gives what was said once to all that ask the same.
    package var exact = CacheScope.off
    /// Like `exact`, for a question that means the same as an earlier one. It needs an embedding
    /// model.
    package var semantic = CacheScope.off
    /// How near such a question has to be to the earlier one: the cosine of their vectors, up to 1.
    package var similarityMin = 0.92
    /// The questions of one user that others are compared to; the one used longest ago goes first.
    package var questionsMax = 1000
    /// How long an answer is kept.
    package var ttlSeconds = 3600
    /// How long past that it is kept for models with `degrade_to_cache`.
    package var outageSeconds = 86_400
    /// The memory that all answers may take together; those not asked for longest go first.
    package var bytesMax = 67_108_864
    /// Finds out how often an answer to a similar question is the wrong one.
    package var audit = AuditConfiguration()

    package init() {}

    func validate() throws {
        let key = "inference.cache"
        guard (0.5...1).contains(similarityMin) else {
            throw Failure(.invalid, "\(key).similarity_min must be between 0.5 and 1.")
        }
        guard (1...100_000).contains(questionsMax) else {
            throw Failure(.invalid, "\(key).questions_max must be between 1 and 100000.")
        }
        guard (1...31_536_000).contains(ttlSeconds), (0...31_536_000).contains(outageSeconds) else {
            throw Failure(
                .invalid,
                "\(key).ttl_seconds must be between 1 and 31536000, outage_seconds at most that.")
        }
        guard (65_536...1 << 40).contains(bytesMax) else {
            throw Failure(
                .invalid, "\(key).bytes_max must be between 65536 and \(1 << 40).")
        }
        try audit.validate()
    }
}

/// The check of answers to similar questions: some are asked after all, in the background, and both
/// answers compared.
package struct AuditConfiguration: Codable, Sendable, Equatable {
    /// The share of such answers that is checked; 0 checks none.
    package var share = 0.0
    /// Checks within an hour at most.
    package var callsPerHourMax = 60
    /// Whether the user whose answer is checked pays for it; otherwise it is booked as the
    /// operator's own.
    package var chargesUser = false
    /// The cosine of both answers' vectors below which the one that was given counts as wrong.
    package var similarityMin = 0.7

    package init() {}

    func validate() throws {
        let key = "inference.cache.audit"
        guard (0...1).contains(share), (0...1).contains(similarityMin) else {
            throw Failure(
                .invalid, "\(key): share and similarity_min must be between 0 and 1.")
        }
        guard (1...100_000).contains(callsPerHourMax) else {
            throw Failure(.invalid, "\(key).calls_per_hour_max must be between 1 and 100000.")
        }
    }
}

/// To which requests an answer may be given that was there before.
package enum CacheScope: String, Codable, Sendable, CaseIterable {
    case off, deterministic, always

    func covers(_ request: ChatRequest) -> Bool {
        switch self {
        case .off: false
        case .deterministic: request.sampling.temperature == 0 || request.sampling.seed != nil
        case .always: true
        }
    }
}

/// What one model has instead of `cache.semantic`.
package enum ModelCacheScope: String, Codable, Sendable, CaseIterable {
    case inherit, off, deterministic, always
}
