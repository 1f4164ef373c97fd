import Core
import Synchronization

/// The turns that run in this process, and the limits on how many may.
final class TurnRegistry: Sendable {
    private struct Claim {
        let chatID: Identifier
        let ownerID: Identifier
        var turn: LiveTurn?
    }

    private let claims = Mutex<[Identifier: Claim]>([:])
    private let perUserMax: Int
    private let max: Int
    /// Rings when a turn is over.
    let ended = Bell()

    init(perUserMax: Int, max: Int) {
        self.perUserMax = perUserMax
        self.max = max
    }

    var count: Int { claims.withLock { $0.count } }

    subscript(id: Identifier) -> LiveTurn? { claims.withLock { $0[id]?.turn } }

    func turn(in chat: Identifier) -> LiveTurn? {
        claims.withLock { $0.values.first { $0.chatID == chat }?.turn }
    }

    /// Takes a place for a turn that is about to begin. Throws `conflict` for a second one in a
    /// chat, `rateLimited` past the user's limit, `unavailable` past everyone's.
    func claim(_ id: Identifier, chat: Identifier, for principal: Principal) throws {
        try claims.withLock { claims in
            guard !claims.values.contains(where: { $0.chatID == chat }) else {
                throw ConversationStore.busy
            }
            let own = claims.values.count { $0.ownerID == principal.userID }
            guard own < perUserMax else {
                throw Failure(
                    .rateLimited,
                    "You have \(own) answers being written, which is the most at once. Wait for one"
                        + " to end, or stop one.", retryAfter: .seconds(5))
            }
            guard claims.count < max else {
                throw Failure(
                    .unavailable,
                    "The server is writing as many answers as it can. Try again soon.",
                    retryAfter: .seconds(5))
            }
            claims[id] = Claim(chatID: chat, ownerID: principal.userID)
        }
    }

    func fill(_ turn: LiveTurn) { claims.withLock { $0[turn.id]?.turn = turn } }

    func release(_ id: Identifier) {
        claims.withLock { _ = $0.removeValue(forKey: id) }
        ended.ring()
    }

    func stop(chat: Identifier) { turn(in: chat)?.stop(.user) }

    func stopAll(_ reason: StopReason) {
        for turn in claims.withLock({ $0.values.compactMap(\.turn) }) { turn.stop(reason) }
    }
}
