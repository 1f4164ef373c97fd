import Core
import Synchronization

/// How much of the sampling options each model takes. Some refuse a temperature beside a `top_p`, the
/// newest any of them, and only their refusal tells which; it comes before anything is read.
final class AnthropicSampling: Sendable {
    enum Taken: Comparable, Sendable {
        case none, oneOfTwo, all

        func options(of sampling: SamplingOptions) -> SamplingOptions {
            var sampling = sampling
            if self < .all { sampling.topP = sampling.temperature == nil ? sampling.topP : nil }
            if self == .none {
                (sampling.temperature, sampling.topP, sampling.topK) = (nil, nil, nil)
            }
            return sampling
        }
    }

    /// By the model's name, of which there are as many as are configured.
    private let known = Mutex<[String: Taken]>([:])

    func taken(by model: String) -> Taken { known.withLock { $0[model] ?? .all } }

    /// What to try after a refusal, which is remembered; nil where it was not about these options.
    func taken(
        by model: String, after failure: CandidateFailure, of sampling: SamplingOptions,
        with tried: Taken
    ) -> Taken? {
        let words = failure.failure.message.lowercased()
        let sent = tried.options(of: sampling)
        guard failure.kind == .caller, tried > .none,
            sent.temperature != nil || sent.topP != nil || sent.topK != nil,
            ["temperature", "top_p", "top_k"].contains(where: words.contains)
        else { return nil }
        let hasBoth = sent.temperature != nil && sent.topP != nil
        let next: Taken = hasBoth && words.contains("both") ? .oneOfTwo : .none
        known.withLock { $0[model] = min($0[model] ?? .all, next) }
        return next
    }
}
