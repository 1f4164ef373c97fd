import Core

/// What of a turn goes into the model's context. The rule, which the reader is told the outcome of:
///
/// 1. The instructions and the question always go in; a question that does not fit is refused.
/// 2. Then passages by rank, each that still fits, within the budget for passages.
/// 3. Then earlier messages from the newest back, up to the first that does not fit, within theirs.
struct ContextFit: Equatable {
    /// Places of the passages that go in, by rank.
    var passages: [Int] = []
    /// How many of the newest messages go in.
    var historyCount = 0

    /// Tokens that a chat template puts around each message, at most.
    static let tokensPerMessage = 8
    /// Room for what the counts of single pieces miss when they are put together.
    static let margin = 32

    /// - Parameters:
    ///   - room: what the context has beside the answer.
    ///   - fixed: tokens of the instructions and the question.
    ///   - history: tokens of each earlier message, oldest first.
    init(room: Int, fixed: Int, passages: [Int], history: [Int], shape: TurnShape) throws {
        var left = room - fixed - 2 * Self.tokensPerMessage - Self.margin
        guard left >= 0 else {
            throw Failure(
                .tooLarge,
                "The question does not fit into the model's context. Shorten it, or choose a model"
                    + " with a larger one.")
        }
        var passageRoom = min(left, shape.passageTokensMax)
        for (place, tokens) in passages.enumerated() where tokens <= passageRoom {
            guard self.passages.count < shape.passagesMax else { break }
            self.passages.append(place)
            passageRoom -= tokens
            left -= tokens
        }
        var historyRoom = min(left, shape.historyTokensMax)
        for tokens in history.reversed() {
            let tokens = tokens + Self.tokensPerMessage
            guard tokens <= historyRoom, historyCount < shape.historyMessagesMax else { break }
            historyRoom -= tokens
            historyCount += 1
        }
    }

    /// The sentence that says what was left out; nil when nothing was.
    static func notice(messagesLeftOut: Int, passagesLeftOut: Int) -> String? {
        let parts = [
            count(messagesLeftOut, "earlier message"), count(passagesLeftOut, "passage"),
        ].compactMap { $0 }
        guard !parts.isEmpty else { return nil }
        let isOne = messagesLeftOut + passagesLeftOut == 1
        return parts.joined(separator: " and ")
            + " did not fit and \(isOne ? "was" : "were") left out."
    }

    private static func count(_ count: Int, _ noun: String) -> String? {
        count > 0 ? "\(count) \(noun)\(count == 1 ? "" : "s")" : nil
    }
}
