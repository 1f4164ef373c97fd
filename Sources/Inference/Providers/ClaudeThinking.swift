import Core
import OrderedJSON

/// How a Claude is asked to think, wherever it is served. Those up to 4.5 take a number of tokens,
/// those after it a word for how hard, and refuse the other way.
struct ClaudeThinking: Hashable, Sendable {
    /// As it stands in the body.
    let thinking: JSONValue
    /// Of `output_config`; nil leaves it to the model.
    let effort: String?

    // The least that the API takes.
    private static let budgetMin = 1024

    /// Nil where nothing of it is to be said: it was not asked for, it has no room, or it does not go
    /// with what else is asked.
    init?(_ request: ProviderRequest, outputTokensMax: Int, isForced: Bool) {
        guard let reasoning = request.reasoning, !isForced,
            request.messages.last?.role != .assistant
        else { return nil }
        if reasoning.isOff {
            thinking = .of("type", "disabled")
            effort = nil
        } else if Self.isAdaptive(request.model) {
            thinking = .object([
                .init("type", .string("adaptive")), .init("display", .string("summarized")),
            ])
            effort = reasoning.effort.map { $0 == .minimal ? "low" : $0.rawValue }
        } else {
            let wanted = reasoning.budgetTokens ?? Self.budget(reasoning.effort ?? .medium)
            let budget = min(max(wanted, Self.budgetMin), outputTokensMax - 1)
            guard budget >= Self.budgetMin else { return nil }
            thinking = .object([
                .init("type", .string("enabled")), .init("budget_tokens", .of(budget)),
            ])
            effort = nil
        }
    }

    var isOn: Bool { thinking["type"]?.string != "disabled" }

    /// A model that thinks picks its words as it likes.
    func options(of sampling: SamplingOptions) -> SamplingOptions {
        guard isOn else { return sampling }
        var sampling = sampling
        (sampling.temperature, sampling.topK, sampling.topP) = (nil, nil, nil)
        return sampling
    }

    private static func budget(_ effort: ReasoningRequest.Effort) -> Int {
        switch effort {
        case .none, .minimal, .low: budgetMin
        case .medium: 8 * 1024
        case .high: 16 * 1024
        case .xhigh, .max: 32 * 1024
        }
    }

    /// `claude-opus-4-6` and later; a name of another making is asked the older way.
    private static func isAdaptive(_ model: String) -> Bool {
        guard
            let version = model.firstMatch(of: /claude-[a-z]+-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/),
            let major = Int(version.output.1)
        else { return false }
        return major > 4 || major == 4 && Int(version.output.2 ?? "0") ?? 0 >= 6
    }
}
