import Core
import Synchronization

/// The log of a running turn in memory: one task appends, any number of followers read at their own
/// pace, and none of them holds the answer up. It is bounded by the longest answer.
final class LiveTurn: Sendable {
    let id: Identifier
    let chatID: Identifier
    let ownerID: Identifier

    private struct State {
        var events: [TurnEventKind]
        var text = ""
        var savedCount: Int
        var stop: StopReason?
        var followerCount = 0

        var isOver: Bool {
            if case .ended = events.last { true } else { false }
        }
    }

    private let state: Mutex<State>
    /// Rings at every new event and at a request to stop.
    private let bell = Bell()
    /// Rings when there is enough for a commit.
    private let group = Bell()

    // Events that make a group commit without waiting for its time.
    static let commitEvents = 64

    // Followers of one turn: tabs and devices of one user.
    static let followersMax = 32
    // Followers read the log this many events at a time.
    static let eventsPerRead = 256

    init(id: Identifier, chatID: Identifier, ownerID: Identifier, events: [TurnEventKind]) {
        self.id = id
        self.chatID = chatID
        self.ownerID = ownerID
        state = Mutex(State(events: events, savedCount: events.count))
    }

    var text: String { state.withLock { $0.text } }
    /// The sentences of all notices so far.
    var notices: [String] {
        state.withLock { state in
            state.events.compactMap { if case .notice(let text) = $0 { text } else { nil } }
        }
    }
    var stopReason: StopReason? { state.withLock { $0.stop } }

    /// Adds one event and wakes the followers. Returns how many are not saved yet.
    @discardableResult
    func append(_ event: TurnEventKind) -> Int {
        let unsaved = state.withLock { state in
            state.events.append(event)
            if case .text(let piece) = event { state.text += piece }
            return state.events.count - state.savedCount
        }
        bell.ring()
        if unsaved == Self.commitEvents { group.ring() }
        return unsaved
    }

    /// The events after `number`; waits while there are none. Empty when the turn is over without
    /// any, or the task is cancelled.
    func events(after number: Int) async -> [TurnEvent] {
        while true {
            let version = bell.version
            let (found, isOver) = state.withLock { state in
                // A number from outside may be anything, also past the end.
                let first = min(max(number, 0), state.events.count)
                let part = state.events[first...].prefix(Self.eventsPerRead)
                let events = part.enumerated().map {
                    TurnEvent(number: first + $0.offset + 1, kind: $0.element)
                }
                return (events, state.isOver)
            }
            if !found.isEmpty || isOver || Task.isCancelled { return found }
            await bell.wait(after: version)
        }
    }

    /// What is not in the database yet, and the number of the last event that is.
    var unsaved: (events: [TurnEventKind], after: Int) {
        state.withLock { (Array($0.events[$0.savedCount...]), $0.savedCount) }
    }

    func markSaved(through number: Int) {
        state.withLock { $0.savedCount = max($0.savedCount, number) }
    }

    /// Waits until something is unsaved, or the task is cancelled.
    func waitForUnsaved() async {
        while !Task.isCancelled {
            let version = bell.version
            guard state.withLock({ $0.events.count == $0.savedCount }) else { return }
            await bell.wait(after: version)
        }
    }

    /// Waits until `commitEvents` are unsaved, and no longer than `limit`.
    func waitForGroup(atMost limit: Duration) async {
        let version = group.version
        guard unsaved.events.count < Self.commitEvents else { return }
        await group.wait(after: version, atMost: limit)
    }

    /// The first reason given stays.
    func stop(_ reason: StopReason) {
        state.withLock { $0.stop = $0.stop ?? reason }
        bell.ring()
    }

    /// Waits until someone stops the turn, or the task is cancelled.
    func waitForStop() async {
        while !Task.isCancelled {
            let version = bell.version
            guard stopReason == nil else { return }
            await bell.wait(after: version)
        }
    }

    func addFollower() throws {
        try state.withLock { state in
            guard state.followerCount < Self.followersMax else {
                throw Failure(
                    .rateLimited,
                    "This answer is being watched from \(Self.followersMax) places already. Close"
                        + " one of them.")
            }
            state.followerCount += 1
        }
    }

    func removeFollower() {
        state.withLock { $0.followerCount -= 1 }
    }
}
