import Core

/// `provider/model`: who is asked, and for what.
struct CandidateName: Hashable, Sendable, CustomStringConvertible {
    static let local = "local"

    let provider: String
    let model: String
    /// Made once: a call asks for it many times.
    let description: String

    init(provider: String, model: String) {
        self.provider = provider
        self.model = model
        description = "\(provider)/\(model)"
    }

    // The first slash parts the two, so that one text says both.
    static func == (left: CandidateName, right: CandidateName) -> Bool {
        left.description == right.description && left.provider == right.provider
    }

    func hash(into hasher: inout Hasher) { hasher.combine(description) }

    /// Nil where a part is missing. What follows the first slash is the model's, more slashes
    /// included (`openrouter/meta-llama/llama-3.3-70b`).
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        self.init(provider: String(parts[0]), model: String(parts[1]))
    }

    static func check(
        _ text: String, key: String, providers: [String: ProviderConfiguration]
    ) throws {
        guard let name = CandidateName(text) else {
            throw Failure(.invalid, "\(key): \"\(text)\" is not of the form provider/model.")
        }
        guard name.provider == local || providers[name.provider] != nil else {
            throw Failure(
                .invalid,
                "\(key): \"\(text)\" names the provider \"\(name.provider)\", which is not under"
                    + " inference.providers.")
        }
    }
}
