import Core
import Synchronization

/// Funds that are set aside for one call, in memory: they do not outlive the process that set them
/// aside.
final class Hold: Sendable {
    let userID: Identifier
    let amount: Picodollars
    fileprivate let createdAt: Timestamp
    private let isSettled = Mutex(false)

    fileprivate init(_ amount: Picodollars, of userID: Identifier, at time: Timestamp) {
        self.userID = userID
        self.amount = amount
        createdAt = time
    }

    /// Whether this is the first time.
    func settle() -> Bool {
        isSettled.withLock { isSettled in
            defer { isSettled = true }
            return !isSettled
        }
    }
}

/// What each user may still spend: the month's spending as the books have it, and what running calls
/// hold. Nobody can come between the look at the budget and the hold.
final class Allowances: Sendable {
    private struct User {
        var month = ""
        /// As the books had it when `addedBefore` had been added. Nil before they were read.
        var booked: Int64?
        var addedBefore: Int64 = 0
        /// All that was settled for the month since the user is known here.
        var added: Int64 = 0
        var readAt: Timestamp?
        var held: Int64 = 0
        var holds: [ObjectIdentifier: Hold] = [:]

        var spent: Int64? { booked.map { Self.sum($0, added &- addedBefore) } }

        mutating func turn(to month: String) {
            guard self.month != month else { return }
            (self.month, booked, readAt, added, addedBefore) = (month, nil, nil, 0, 0)
        }

        static func sum(_ left: Int64, _ right: Int64) -> Int64 {
            let (sum, overflow) = left.addingReportingOverflow(right)
            return overflow ? .max : sum
        }
    }

    private let users = Mutex<[Identifier: User]>([:])
    private let holdLife: Duration

    // Past so many, those without a running call are forgotten.
    private static let usersMax = 10_000
    // Another process may book into the same file.
    private static let readingLife = Duration.seconds(2)

    init(holdLife: Duration) { self.holdLife = holdLife }

    func held(by user: Identifier) -> Picodollars {
        Picodollars(users.withLock { $0[user]?.held ?? 0 })
    }

    /// Sets `most` aside without asking what is left.
    func hold(_ most: Picodollars, for user: Identifier, at now: Timestamp) throws -> Hold {
        try users.withLock { users in
            try Self.with(user, in: &users) { try set(most, aside: &$0, user, now) }
        }
    }

    /// Sets `most` aside where the budget allows it, else what is left of the budget if that is at
    /// least `least`; nil where the books have to be read first. Throws `budgetExceeded`.
    func hold(
        _ most: Picodollars, least: Picodollars, of budget: Picodollars, for user: Identifier,
        in month: String, at now: Timestamp
    ) throws -> Hold? {
        try users.withLock { users in
            try Self.with(user, in: &users) { known in
                known.turn(to: month)
                guard let spent = known.spent, let readAt = known.readAt,
                    now - readAt < Self.readingLife, readAt - now < Self.readingLife
                else { return nil }
                var left = budget.rawValue - User.sum(spent, known.held)
                if left < least.rawValue {
                    expire(&known, at: now)
                    left = budget.rawValue - User.sum(spent, known.held)
                }
                guard left >= least.rawValue else {
                    throw BudgetRefusal(
                        budget: budget, spent: Picodollars(spent),
                        held: Picodollars(known.held), ceiling: least
                    ).failure
                }
                return try set(min(most, Picodollars(left)), aside: &known, user, now)
            }
        }
    }

    /// Gives a hold back; again, it changes nothing.
    func release(_ hold: Hold) {
        users.withLock { users in
            guard users[hold.userID]?.holds.removeValue(forKey: ObjectIdentifier(hold)) != nil
            else { return }
            users[hold.userID]?.held -= hold.amount.rawValue
        }
    }

    /// Counts what was spent, and enqueues its booking in the same order as readings of the books.
    func spend(_ cost: Picodollars, _ user: Identifier, in month: String, book: () -> Void) {
        users.withLock { users in
            Self.with(user, in: &users) { known in
                known.turn(to: month)
                known.added = User.sum(known.added, cost.rawValue)
            }
            book()
        }
    }

    /// Marks the moment at which a reading of the books is enqueued, and returns the mark.
    func willRead(_ user: Identifier, in month: String, enqueue: () -> Void) -> Int64 {
        users.withLock { users in
            enqueue()
            return Self.with(user, in: &users) { known in
                known.turn(to: month)
                return known.added
            }
        }
    }

    func didRead(
        _ spent: Picodollars, by user: Identifier, in month: String, mark: Int64, at now: Timestamp
    ) {
        users.withLock { users in
            Self.with(user, in: &users) { known in
                guard known.month == month, mark >= known.addedBefore, mark <= known.added else {
                    return
                }
                (known.booked, known.addedBefore, known.readAt) = (spent.rawValue, mark, now)
            }
        }
    }

    private static func with<Value>(
        _ user: Identifier, in users: inout [Identifier: User],
        _ body: (inout User) throws -> Value
    ) rethrows -> Value {
        if users[user] == nil, users.count >= usersMax {
            users = users.filter { !$0.value.holds.isEmpty }
        }
        return try body(&users[user, default: User()])
    }

    private func set(
        _ amount: Picodollars, aside known: inout User, _ user: Identifier, _ now: Timestamp
    ) throws -> Hold {
        let (held, overflow) = known.held.addingReportingOverflow(amount.rawValue)
        guard !overflow else {
            throw Failure(.budgetExceeded, "Calls that are running hold more than can be counted.")
        }
        let hold = Hold(amount, of: user, at: now)
        known.held = held
        known.holds[ObjectIdentifier(hold)] = hold
        return hold
    }

    private func expire(_ known: inout User, at now: Timestamp) {
        for (id, hold) in known.holds where now - hold.createdAt > holdLife {
            known.holds[id] = nil
            known.held -= hold.amount.rawValue
        }
    }
}
