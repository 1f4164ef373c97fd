import Core
import GRDB
import Storage

/// The double-entry books, inside one transaction and no longer. Every method writes legs that sum to
/// zero, or throws and leaves the rollback to its caller.
final class Books {
    let database: Database
    /// The accounts that this transaction has posted to, with what they have now.
    private var open: [Account: (id: Int64, balance: Amounts)] = [:]
    // What is written for every call, found once for all calls of a transaction.
    private var statements: [Table: Statement] = [:]
    private var row = RowWriter()

    init(database: Database) { self.database = database }

    /// What gets a new row for every call, and the values of one.
    enum Table {
        case transfers, postings

        fileprivate var sql: String { self == .transfers ? Transfers.insertSQL : Books.postSQL }
    }

    /// Adds a row of the values that `fill` gives, in the order of the statement's parameters.
    func add(to table: Table, _ fill: (inout RowWriter) -> Void) throws {
        let statement = try statements[table] ?? database.cachedStatement(sql: table.sql)
        statements[table] = statement
        fill(&row)
        try row.run(statement)
    }

    /// Whose legs they are. Ledgers of earlier versions have accounts of what was held, too.
    enum Account: Hashable {
        case spent(user: Identifier, month: String, candidate: String)
        case payable(provider: String)

        fileprivate var key: StatementArguments {
            switch self {
            case .spent(let user, let month, let candidate):
                ["spent", user.description, month, candidate]
            case .payable(let provider): ["payable", provider, "", ""]
            }
        }
    }

    /// What a leg moves: money, and the calls and tokens it was spent on.
    struct Amounts: Hashable {
        var picodollars = Picodollars.zero
        var calls = 0
        var inputTokens = 0
        var outputTokens = 0

        var negated: Amounts {
            Amounts(
                picodollars: Picodollars(-picodollars.rawValue), calls: -calls,
                inputTokens: -inputTokens, outputTokens: -outputTokens)
        }

        /// Throws for a sum past 64 bits.
        func adding(_ other: Amounts) throws -> Amounts {
            func sum(_ left: Int, _ right: Int) throws -> Int {
                let (sum, overflow) = left.addingReportingOverflow(right)
                guard !overflow else { throw Self.tooMuch }
                return sum
            }
            let (money, overflow) = picodollars.rawValue.addingReportingOverflow(
                other.picodollars.rawValue)
            guard !overflow else { throw Self.tooMuch }
            return Amounts(
                picodollars: Picodollars(money), calls: try sum(calls, other.calls),
                inputTokens: try sum(inputTokens, other.inputTokens),
                outputTokens: try sum(outputTokens, other.outputTokens))
        }

        private static let tooMuch = Failure(
            .unavailable, "The ledger has an account with more than can be counted.")
    }

    /// Writes the two legs: `amounts` more on `debit`, as much less on `credit`.
    func move(_ amounts: Amounts, debit: Account, credit: Account, transfer: Identifier) throws {
        try post(amounts, to: debit, transfer: transfer)
        try post(amounts.negated, to: credit, transfer: transfer)
    }

    func balance(of account: Account) throws -> Amounts {
        let id = try Int64.fetchOne(
            database.cachedStatement(sql: Self.accountSQL), arguments: account.key)
        return try id.map(balance(account:)) ?? Amounts()
    }

    /// What the user spent in the month, with all candidates together.
    func spent(by user: Identifier, in month: String) throws -> Picodollars {
        try lines(of: user, in: month).reduce(.zero) { try $0.adding($1.cost) }
    }

    /// What the user spent in the month, by candidate.
    func lines(of user: Identifier, in month: String) throws -> [Spend.Line] {
        let statement = try database.cachedStatement(sql: Self.monthSQL)
        return try Row.fetchAll(statement, arguments: [user, month]).map { row in
            Spend.Line(
                candidate: row["candidate"], calls: row["calls_after"],
                inputTokens: row["input_tokens_after"], outputTokens: row["output_tokens_after"],
                cost: row["picodollars_after"])
        }
    }

    private func post(_ amounts: Amounts, to account: Account, transfer: Identifier) throws {
        let (id, balance) = try entry(of: account)
        let after = try balance.adding(amounts)
        try add(to: .postings) { row in
            row.add(transfer.description)
            row.add(id)
            for amounts in [amounts, after] {
                row.add(amounts.picodollars.rawValue)
                row.add(amounts.calls)
                row.add(amounts.inputTokens)
                row.add(amounts.outputTokens)
            }
        }
        open[account] = (id, after)
    }

    /// Nobody else writes while this transaction does, so what was read once holds.
    private func entry(of account: Account) throws -> (id: Int64, balance: Amounts) {
        if let known = open[account] { return known }
        let id = try id(of: account)
        return (id, try self.balance(account: id))
    }

    private func id(of account: Account) throws -> Int64 {
        let statement = try database.cachedStatement(sql: Self.accountSQL)
        if let id = try Int64.fetchOne(statement, arguments: account.key) { return id }
        try database.execute(
            sql: "INSERT INTO accounts (kind, owner, month, candidate) VALUES (?, ?, ?, ?)",
            arguments: account.key)
        return database.lastInsertedRowID
    }

    private func balance(account id: Int64) throws -> Amounts {
        let statement = try database.cachedStatement(sql: Self.balanceSQL)
        // By place: names are looked up letter by letter.
        guard let row = try Row.fetchOne(statement, arguments: [id]) else {
            return Amounts()
        }
        return Amounts(
            picodollars: row[0], calls: row[1], inputTokens: row[2], outputTokens: row[3])
    }

    private static let accountSQL = """
        SELECT id FROM accounts WHERE kind = ? AND owner = ? AND month = ? AND candidate = ?
        """
    static let balanceSQL = """
        SELECT picodollars_after, calls_after, input_tokens_after, output_tokens_after
        FROM postings WHERE account_id = ? ORDER BY id DESC LIMIT 1
        """
    static let monthSQL = """
        SELECT accounts.candidate, postings.* FROM accounts JOIN postings ON postings.id =
            (SELECT max(id) FROM postings WHERE account_id = accounts.id)
        WHERE accounts.kind = 'spent' AND accounts.owner = ? AND accounts.month = ?
        ORDER BY accounts.candidate
        """
    fileprivate static let postSQL = """
        INSERT INTO postings (transfer_id, account_id, picodollars, calls, input_tokens,
            output_tokens, picodollars_after, calls_after, input_tokens_after, output_tokens_after)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
}
