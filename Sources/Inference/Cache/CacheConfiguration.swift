import Core

/// Which answers are kept for those who ask the same again. Every user has answers of their own, and
/// answers that call tools are never kept.
package struct CacheConfiguration: Codable, Sendable, Equatable {
    /// `off`, `deterministic` for requests with a temperature of 0 or a seed, whose answer would be
    /// the same, or `always`, which gives what was said once to all that ask the same.
    package var exact = ExactCaching.off
    /// How long an answer is kept.
    package var ttlSeconds = 3600
    /// The memory that all answers may take together; those not asked for longest go first.
    package var bytesMax = 67_108_864

    package init() {}

    func validate() throws {
        guard (1...31_536_000).contains(ttlSeconds) else {
            throw Failure(
                .invalid, "inference.cache.ttl_seconds must be between 1 and 31536000.")
        }
        guard (65_536...1 << 40).contains(bytesMax) else {
            throw Failure(
                .invalid, "inference.cache.bytes_max must be between 65536 and \(1 << 40).")
        }
    }
}

package enum ExactCaching: String, Codable, Sendable, CaseIterable {
    case off, deterministic, always

    /// Whether an answer to this request may be given again.
    func covers(_ request: ChatRequest) -> Bool {
        switch self {
        case .off: false
        case .deterministic: request.sampling.temperature == 0 || request.sampling.seed != nil
        case .always: true
        }
    }
}
