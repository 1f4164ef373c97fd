import Core

/// In which order a route's candidates are asked for one request, and why in that one.
struct RoutePlan: Sendable {
    let policy: RoutePolicy
    let candidates: [Candidate]
    /// What decided the order; empty where it is the configuration's.
    let reason: String
    /// How many at the front are cheaper tiers, whose answers are checked before they are shown.
    var checkedCount = 0

    /// - Parameters:
    ///   - figures: how each candidate has done for this route.
    ///   - random: decides between equals.
    init(
        _ route: Route, _ request: ChatRequest, figures: (Candidate) -> ArmFigures, random: UInt64
    ) {
        policy = route.rules.policy
        let all = route.candidates
        switch policy {
        case .fallback:
            candidates = all
            reason = ""
        case .weighted:
            let hash = StickyHash(request)
            candidates = hash.order(
                of: all.map(\.name.description), weights: all.map(\.weight)
            ).map { all[$0] }
            reason = request.conversationID == nil ? "by first message" : "by conversation"
        case .tiered:
            let difficulty = Difficulty(request)
            let tier = Self.tier(
                difficulty.score, threshold: route.rules.difficultyThreshold, count: all.count)
            // Better ones first when it fails, then those that were too weak.
            candidates = Array(all[tier...]) + all[..<tier].reversed()
            checkedCount = route.rules.escalates ? max(0, all.count - 1 - tier) : 0
            reason = difficulty.description
        case .fastest:
            let speeds = all.map { figures($0).firstTokenMilliseconds }
            // One call in so many asks someone else, or who was slow once would be slow for ever.
            let explored =
                random % Self.explorationInterval == 0
                ? Int(random / Self.explorationInterval % UInt64(max(1, all.count))) : nil
            let order = all.indices.sorted { left, right in
                let leftSpeed = left == explored ? -2 : speeds[left] ?? -1
                let rightSpeed = right == explored ? -2 : speeds[right] ?? -1
                return (leftSpeed, left) < (rightSpeed, right)
            }
            candidates = order.map { all[$0] }
            reason =
                order.first.map { first in
                    first == explored
                        ? "exploring"
                        : speeds[first].map { "first token \(Int($0)) ms" } ?? "not measured yet"
                } ?? ""
        case .leastBusy:
            let running = all.map { figures($0).running }
            // Equals take turns by chance.
            let start = Int(random % UInt64(max(1, all.count)))
            let order = all.indices.sorted { left, right in
                (running[left], (left + all.count - start) % all.count)
                    < (running[right], (right + all.count - start) % all.count)
            }
            candidates = order.map { all[$0] }
            reason = order.first.map { "\(running[$0]) running" } ?? ""
        }
    }

    /// The first tier below the threshold; the others share what is above it equally.
    static func tier(_ score: Double, threshold: Double, count: Int) -> Int {
        guard count > 1, score >= threshold else { return 0 }
        guard threshold < 1 else { return 1 }
        let above = (score - threshold) / (1 - threshold) * Double(count - 1)
        return min(count - 1, 1 + Int(above))
    }

    static let explorationInterval: UInt64 = 20
}
