import Core

/// Who took what of a call, as its events tell it: a candidate may go on for another.
struct CallParts: Sendable {
    typealias Part = CandidateUsage

    /// Those that do not answer any more.
    private(set) var ended: [Part] = []
    /// Who answers now, and what it wrote.
    private(set) var candidate: String
    private(set) var text = ""
    /// What others wrote that it goes on from.
    private(set) var shown = ""

    init(candidate: String) { self.candidate = candidate }

    mutating func receive(_ event: ChatEvent) {
        switch event {
        case .text(let piece): text += piece
        case .toolCall(let piece): text += (piece.name ?? "") + piece.arguments
        case .reasoning(let piece): text += piece
        case .seal, .logprobs: break
        case .switched(let to):
            ended.append(Part(to.from, to.usage))
            candidate = to.to
            shown = to.isContinued ? shown + text : ""
            text = ""
        }
    }

    /// All parts together. Sums are bounded, since providers may claim anything.
    static func total(_ parts: [Part]) -> TokenUsage {
        guard parts.count > 1 else { return parts.first?.usage ?? TokenUsage() }
        var sum = TokenUsage()
        for usage in parts.map(\.usage.bounded) {
            sum.freshInput += usage.freshInput
            sum.cacheRead += usage.cacheRead
            sum.cacheWrite += usage.cacheWrite
            sum.output += usage.output
            sum.reasoning += usage.reasoning
            sum.isEstimated = sum.isEstimated || usage.isEstimated
        }
        return sum
    }
}
