/// Who runs and who waits at a provider that takes only so many calls at once. First come, first
/// served; no I/O.
struct CallLine: Sendable {
    enum Entry: Hashable, Sendable {
        case runs
        case waits(ticket: Int)
        case full
    }

    let runningMax: Int
    let waitingMax: Int
    private(set) var running = 0
    private(set) var waiting: [Int] = []
    private var tickets = 0

    init(runningMax: Int, waitingMax: Int) {
        self.runningMax = runningMax
        self.waitingMax = waitingMax
    }

    mutating func enter() -> Entry {
        if running < runningMax {
            running += 1
            return .runs
        }
        guard waiting.count < waitingMax else { return .full }
        tickets += 1
        waiting.append(tickets)
        return .waits(ticket: tickets)
    }

    /// A call has ended. The ticket of the one that runs in its place, if any.
    mutating func leave() -> Int? {
        guard waiting.isEmpty else { return waiting.removeFirst() }
        running = max(0, running - 1)
        return nil
    }

    /// Stops waiting. False where the ticket has been called already, and has a place to give back.
    mutating func giveUp(_ ticket: Int) -> Bool {
        guard let place = waiting.firstIndex(of: ticket) else { return false }
        waiting.remove(at: place)
        return true
    }
}
