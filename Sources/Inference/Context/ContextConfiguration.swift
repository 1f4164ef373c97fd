import Core

/// What happens to a prompt that a model has no room for.
package enum ContextPolicy: String, Codable, Sendable, CaseIterable {
    case refuse, trim, summarize
}

/// How a model's prompts are made to fit. Nothing is ever left out without saying so.
package struct ContextConfiguration: Codable, Sendable, Hashable {
    /// `refuse` answers with the numbers; `trim` leaves out the oldest turns; `summarize` has
    /// `summary_model` put them in short, and trims where that fails.
    package var policy = ContextPolicy.refuse
    /// Tokens that are kept for the answer where the request names no longest one; 0 means 1024.
    package var reserve = 0
    /// With `summarize`: the public name of the model that does it, which should be a cheap one.
    package var summaryModel = ""
    /// With `summarize`: the longest summary.
    package var summaryTokensMax = 400

    package init() {}

    func validate(_ key: String, model: String, models: [String: ModelConfiguration]) throws {
        guard (0...10_000_000).contains(reserve) else {
            throw Failure(.invalid, "\(key).reserve must be between 0 and 10000000 tokens.")
        }
        guard (32...8192).contains(summaryTokensMax) else {
            throw Failure(.invalid, "\(key).summary_tokens_max must be between 32 and 8192.")
        }
        guard policy == .summarize else {
            guard summaryModel.isEmpty else {
                throw Failure(.invalid, "\(key).summary_model is for the policy summarize only.")
            }
            return
        }
        guard let other = models[summaryModel], summaryModel != model else {
            throw Failure(
                .invalid,
                "\(key).summary_model must name another model of inference.models, not"
                    + " \"\(summaryModel.prefix(100))\".")
        }
        guard other.context.policy != .summarize else {
            throw Failure(
                .invalid,
                "\(key).summary_model: \(summaryModel) has its own prompts summarized; give it the"
                    + " policy trim.")
        }
    }
}
