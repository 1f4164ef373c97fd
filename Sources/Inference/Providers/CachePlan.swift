import Core
import OrderedJSON

/// Up to where a provider is asked to keep what it reads, for the calls that begin alike: where the
/// client says it, or else after the tools, the system, and what of the conversation was there before.
struct CachePlan: Hashable, Sendable {
    private(set) var tools: [Int: CacheMark] = [:]
    /// By their places in the request.
    private(set) var messages: [Int: CacheMark] = [:]

    // What Anthropic and Bedrock take.
    private static let marksMax = 4
    // No model keeps less; what is too short for one of them costs nothing there.
    private static let tokensMin = 1024

    init(_ request: ProviderRequest) {
        let marks = Self.stated(request)
        if marks.isEmpty {
            guard TokenEstimate.tokens(request) >= Self.tokensMin else { return }
            plan(request)
        } else {
            // The last hold what is before them too.
            for mark in marks.suffix(Self.marksMax) { mark(&self) }
        }
    }

    private static func stated(_ request: ProviderRequest) -> [(inout CachePlan) -> Void] {
        let tools = request.tools.enumerated().compactMap { place, tool in
            tool.cacheMark.map { mark in { (plan: inout CachePlan) in plan.tools[place] = mark } }
        }
        // The system is read before the conversation.
        let order =
            request.messages.indices.filter { request.messages[$0].role == .system }
            + request.messages.indices.filter { request.messages[$0].role != .system }
        let messages = order.compactMap { place in
            request.messages[place].cacheMark.map { mark in
                { (plan: inout CachePlan) in plan.messages[place] = mark }
            }
        }
        return tools + messages
    }

    private mutating func plan(_ request: ProviderRequest) {
        let messages = request.messages
        if !request.tools.isEmpty { tools[request.tools.count - 1] = .minutes }
        if let system = messages.lastIndex(where: { $0.role == .system && !$0.text.isEmpty }) {
            self.messages[system] = .minutes
        }
        // A conversation goes on from what was said before the newest question, and the rounds of a
        // tool from its newest result.
        let talk = messages.indices.filter { messages[$0].role != .system }
        guard talk.count > 1, let last = talk.last else { return }
        let question = talk.last { messages[$0].role == .user } ?? last
        if let before = talk.last(where: { $0 < question }) { self.messages[before] = .minutes }
        if messages[last].role == .tool { self.messages[last] = .minutes }
    }
}

extension TokenEstimate {
    /// Of all that a model reads.
    static func tokens(_ request: ProviderRequest) -> Int {
        request.tools.reduce(tokens(request.messages)) { sum, tool in
            sum
                + tokens(
                    bytes: tool.name.utf8.count + tool.description.utf8.count
                        + (tool.parameters?.text.utf8.count ?? 0))
        }
    }
}
