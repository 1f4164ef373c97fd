import Core
import GRDB

/// What a call is for, as its transfers say it.
struct CallDetails: Sendable {
    let userID: Identifier
    let keyID: Identifier?
    let model: String
    let purpose: String
    let conversationID: Identifier?
    let traceID: String?
}

/// Funds that are set aside for one call.
struct Hold: Sendable {
    let id: Identifier
    let amount: Picodollars
}

/// What a finished call took.
struct Settlement: Sendable {
    let candidate: String
    let usage: TokenUsage
    let cost: Picodollars
    /// `Price.asOf`.
    let priceAsOf: String
}

/// The life of a hold, inside one transaction: `reserve`, and then one of `settle`, `void`, `expire`.
struct Transfers {
    let database: Database
    let environment: Environment
    private var books: Books { Books(database: database) }

    init(_ database: Database, _ environment: Environment) {
        self.database = database
        self.environment = environment
    }

    /// Sets funds aside: `most` where the budget allows it, else what is left of the budget if that
    /// is at least `least`. Nobody can come between the look at the budget and the hold.
    func reserve(
        _ call: CallDetails, candidate: String, most: Picodollars, least: Picodollars,
        budget: Picodollars?
    ) throws -> Hold {
        let now = environment.now()
        var amount = most
        if let budget {
            let spent = try books.spent(by: call.userID, in: now.month)
            let held = try books.balance(of: .held(user: call.userID)).picodollars
            let left = budget.rawValue - (try spent.adding(held)).rawValue
            guard left >= least.rawValue else {
                throw BudgetRefusal(
                    budget: budget, spent: spent, held: held, ceiling: least
                ).failure
            }
            amount = min(most, Picodollars(left))
        }
        let id = environment.identifier()
        try insert(id, "hold", closes: nil, settles: nil, call, candidate, amount, at: now)
        try books.move(
            .init(picodollars: amount), debit: .held(user: call.userID), credit: .reserved,
            transfer: id)
        try database.cachedStatement(
            sql: "INSERT INTO holds (id, user_id, picodollars, created_at) VALUES (?, ?, ?, ?)"
        ).execute(arguments: [id, call.userID, amount, now])
        return Hold(id: id, amount: amount)
    }

    /// Books what a call took and gives its hold back; a call that needed no hold has none. Booking
    /// the same hold again changes nothing. A hold that expired meanwhile is still settled: the
    /// money was spent. Where several candidates took part, the first settlement closes the hold,
    /// and carries what all of them together cost beyond it.
    func settle(_ call: CallDetails, hold: Hold?, _ settlements: [Settlement]) throws {
        var closes: Identifier?
        if let hold {
            guard try !isSettled(hold.id) else { return }
            closes = try open(hold.id) == nil ? nil : hold.id
        }
        let total = try settlements.map(\.cost).reduce(Picodollars.zero) { try $0.adding($1) }
        let overrun = Picodollars(max(0, total.rawValue - (hold?.amount.rawValue ?? 0)))
        for (place, settlement) in settlements.enumerated() {
            let isFirst = place == 0
            try settle(
                call, settlement, settles: isFirst ? hold?.id : nil, closes: isFirst ? closes : nil,
                overrun: isFirst && hold != nil ? overrun : .zero)
        }
    }

    private func settle(
        _ call: CallDetails, _ settlement: Settlement, settles: Identifier?, closes: Identifier?,
        overrun: Picodollars
    ) throws {
        let now = environment.now()
        let id = environment.identifier()
        let usage = settlement.usage
        try insert(
            id, "settle", closes: closes, settles: settles, call, settlement.candidate,
            settlement.cost, at: now, usage: usage, priceAsOf: settlement.priceAsOf,
            overrun: overrun)
        if let closes { try release(closes, transfer: id) }
        let provider = settlement.candidate.prefix { $0 != "/" }
        try books.move(
            .init(
                picodollars: settlement.cost, calls: 1, inputTokens: usage.input,
                outputTokens: usage.output),
            debit: .spent(
                user: call.userID, month: now.month, candidate: settlement.candidate),
            credit: .payable(provider: String(provider)), transfer: id)
    }

    /// Gives a hold back for a call that never ran.
    func void(_ hold: Hold, _ call: CallDetails) throws {
        guard try open(hold.id) != nil else { return }
        let id = environment.identifier()
        try insert(
            id, "void", closes: hold.id, settles: nil, call, "", .zero, at: environment.now())
        try release(hold.id, transfer: id)
    }

    /// Gives back every hold older than `time`; all of them where it is nil. Returns how many.
    @discardableResult
    func expire(before time: Timestamp?) throws -> Int {
        let limit = time ?? Timestamp(microseconds: .max)
        let rows = try Row.fetchAll(
            database.cachedStatement(
                sql: "SELECT id, user_id FROM holds WHERE created_at < ? LIMIT \(Self.expiredMax)"),
            arguments: [limit])
        for row in rows {
            let hold: Identifier = row["id"]
            let call = CallDetails(
                userID: row["user_id"], keyID: nil, model: "", purpose: "", conversationID: nil,
                traceID: nil)
            let id = environment.identifier()
            try insert(
                id, "expire", closes: hold, settles: nil, call, "", .zero, at: environment.now())
            try release(hold, transfer: id)
        }
        return rows.count
    }

    // How many holds one transaction expires; the next reservation takes the next.
    static let expiredMax = 1000

    private func open(_ hold: Identifier) throws -> (user: Identifier, amount: Picodollars)? {
        let statement = try database.cachedStatement(
            sql: "SELECT user_id, picodollars FROM holds WHERE id = ?")
        return try Row.fetchOne(statement, arguments: [hold]).map {
            ($0["user_id"], $0["picodollars"])
        }
    }

    private func isSettled(_ hold: Identifier) throws -> Bool {
        let statement = try database.cachedStatement(
            sql: "SELECT 1 FROM transfers WHERE settles = ?")
        return try Int.fetchOne(statement, arguments: [hold]) != nil
    }

    private func release(_ hold: Identifier, transfer: Identifier) throws {
        guard let (user, amount) = try open(hold) else { return }
        try books.move(
            .init(picodollars: amount), debit: .reserved, credit: .held(user: user),
            transfer: transfer)
        try database.cachedStatement(sql: "DELETE FROM holds WHERE id = ?")
            .execute(arguments: [hold])
    }

    private func insert(
        _ id: Identifier, _ kind: String, closes: Identifier?, settles: Identifier?,
        _ call: CallDetails, _ candidate: String, _ amount: Picodollars, at time: Timestamp,
        usage: TokenUsage = TokenUsage(), priceAsOf: String = "", overrun: Picodollars = .zero
    ) throws {
        try database.cachedStatement(sql: Self.insertSQL).execute(arguments: [
            id, kind, closes, settles, call.userID, call.keyID, call.model, candidate,
            call.purpose, call.conversationID, call.traceID, amount, overrun, usage.freshInput,
            usage.cacheRead, usage.cacheWrite, usage.output, usage.reasoning, usage.isEstimated,
            priceAsOf, time,
        ])
    }

    private static let insertSQL = """
        INSERT INTO transfers (id, kind, closes, settles, user_id, key_id, model, candidate, purpose,
            conversation_id, trace_id, picodollars, overrun_picodollars, fresh_input_tokens,
            cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, is_estimated,
            price_as_of, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
}

extension Timestamp {
    /// `2026-11`, in UTC.
    var month: String { String(description.prefix(7)) }
}
