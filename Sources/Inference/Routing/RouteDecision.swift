import Core

/// Who answers and why, in one line for a header and the trace:
/// `fallback far/b (near/a: breaker open)`.
struct RouteDecision: Sendable {
    let policy: RoutePolicy
    private(set) var notes: [String] = []

    init(_ plan: RoutePlan) {
        policy = plan.policy
        if !plan.reason.isEmpty { notes.append(plan.reason) }
    }

    // A header has room for a few candidates; the trace has a span for each.
    private static let notesMax = 8

    /// Why a candidate is not the one.
    mutating func passedOver(_ candidate: CandidateName, _ reason: String) {
        guard notes.count < Self.notesMax else { return }
        notes.append("\(candidate): \(reason)")
    }

    func text(chosen candidate: CandidateName, isDegraded: Bool) -> String {
        let name = isDegraded ? "degraded" : policy.rawValue
        return "\(name) \(candidate)" + (notes.isEmpty ? "" : " (\(notes.joined(separator: "; ")))")
    }
}
