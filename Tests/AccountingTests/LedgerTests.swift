import Core
import Foundation
import GRDB
import TestSupport
import Testing

@testable import Accounting

@Suite struct LedgerTests {
    /// Everything that must be true of the books at every moment.
    static func expectBalanced(
        _ ledger: SpendLedger, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let faults = try ledger.read { database in
            (
                whole: try Row.fetchOne(
                    database,
                    sql: """
                        SELECT 1 FROM (SELECT sum(picodollars) a, sum(calls) b, sum(input_tokens) c,
                            sum(output_tokens) d FROM postings) WHERE a OR b OR c OR d
                        """),
                transfer: try Row.fetchOne(
                    database,
                    sql: """
                        SELECT transfer_id FROM postings GROUP BY transfer_id HAVING sum(picodollars)
                            OR sum(calls) OR sum(input_tokens) OR sum(output_tokens)
                        """),
                balance: try Row.fetchOne(
                    database,
                    sql: """
                        SELECT * FROM postings p WHERE picodollars_after <> (SELECT sum(picodollars)
                            FROM postings q WHERE q.account_id = p.account_id AND q.id <= p.id)
                        """)
            )
        }
        #expect(faults.whole == nil, sourceLocation: sourceLocation)
        #expect(faults.transfer == nil, sourceLocation: sourceLocation)
        #expect(faults.balance == nil, sourceLocation: sourceLocation)
    }

    private static let usage = TokenUsage(freshInput: 10, output: 2)

    @Test("A call reserves, settles for less, and gives the rest back")
    func settle() async throws {
        let bench = try Bench(.pricing(budget: "1"))
        let call = bench.details()
        let hold = try await bench.ledger.reserve(
            call, most: Picodollars(5000), least: Picodollars(5000))
        let during = try await bench.ledger.spend(of: .alice)
        let cost = await bench.ledger.settle(
            call, hold: hold, candidate: "hosted/m", usage: Self.usage)
        let after = try await bench.ledger.spend(of: .alice)

        #expect(during.reserved == Picodollars(5000) && during.total == .zero)
        #expect(cost == Picodollars(10 * 1_000_000 + 2 * 10_000_000))
        #expect(after.reserved == .zero && after.total == cost)
        #expect(after.budget == Picodollars(Picodollars.perDollar))
        #expect(
            after.lines == [
                Spend.Line(
                    candidate: "hosted/m", calls: 1, inputTokens: 10, outputTokens: 2, cost: cost)
            ])
        try Self.expectBalanced(bench.ledger)
    }

    @Test("Settling or voiding again changes nothing")
    func twice() async throws {
        let bench = try Bench()
        let call = bench.details()
        let hold = try await bench.ledger.reserve(
            call, most: Picodollars(5000), least: .zero)
        let cost = await bench.ledger.settle(
            call, hold: hold, candidate: "hosted/m", usage: Self.usage)
        _ = await bench.ledger.settle(call, hold: hold, candidate: "hosted/m", usage: Self.usage)
        bench.ledger.void(hold)
        #expect(try await bench.ledger.spend(of: .alice).total == cost)
        try Self.expectBalanced(bench.ledger)
    }

    @Test("A call that cost more than its hold is booked whole, and says so")
    func overrun() async throws {
        let bench = try Bench(.pricing(budget: "0.000001"))
        let call = bench.details()
        let hold = try await bench.ledger.reserve(
            call, most: Picodollars(1_000_000), least: .zero)
        let cost = await bench.ledger.settle(
            call, hold: hold, candidate: "hosted/m", usage: Self.usage)
        let overrun = try bench.ledger.read {
            try Int64.fetchOne(
                $0, sql: "SELECT overrun_picodollars FROM transfers WHERE kind = 'settle'")
        }
        #expect(cost == Picodollars(30_000_000))
        #expect(overrun == 29_000_000)
        #expect(try await bench.ledger.spend(of: .alice).total == cost)
    }

    @Test("Counts that no call can have are bounded, and the ledger goes on")
    func absurd() async throws {
        let bench = try Bench()
        let call = bench.details()
        let usage = TokenUsage(freshInput: .max, cacheRead: .min, cacheWrite: -1, output: .max)
        let cost = await bench.ledger.settle(
            call, hold: nil, candidate: "hosted/m", usage: usage)
        #expect(cost == Picodollars(100_000_000 * 11_000_000))
        try Self.expectBalanced(bench.ledger)
    }

    @Test("What is posted can be neither changed nor removed")
    func appendOnly() async throws {
        let bench = try Bench()
        _ = await bench.ledger.settle(
            bench.details(), hold: nil, candidate: "hosted/m", usage: Self.usage)
        try bench.ledger.close()
        let file = try DatabaseQueue(path: bench.folder.path + "/ledger.db")
        for table in ["accounts", "transfers", "postings"] {
            #expect(throws: DatabaseError.self) {
                try file.write { try $0.execute(sql: "DELETE FROM \(table)") }
            }
            #expect(throws: DatabaseError.self) {
                try file.write { try $0.execute(sql: "UPDATE \(table) SET id = id") }
            }
        }
    }

    @Test("Holds of an earlier version's ledger are free after the upgrade, and the books balance")
    func orphans() async throws {
        let folder = try TemporaryFolder()
        let earlier = try DatabaseQueue(path: folder.path + "/ledger.db")
        try Migrations.all.migrate(earlier, upTo: "accounts, transfers and postings")
        try await earlier.write { database in
            for (number, user) in [Principal.alice, .alice, .mallory].map(\.userID).enumerated() {
                let hold = "hold-\(number)"
                try database.execute(
                    sql: """
                        INSERT INTO transfers (id, kind, user_id, model, candidate, purpose,
                            picodollars, created_at) VALUES (?, 'hold', ?, 'm', 'c', 'api', 5000, 1)
                        """, arguments: [hold, user])
                try database.execute(
                    sql: "INSERT INTO holds VALUES (?, ?, 5000, 1)", arguments: [hold, user])
                for (kind, owner, sign) in [("held", user.description, 1), ("reserved", "", -1)] {
                    try database.execute(
                        sql: """
                            INSERT OR IGNORE INTO accounts (kind, owner, month, candidate)
                            VALUES (?, ?, '', '')
                            """, arguments: [kind, owner])
                    try database.execute(
                        sql: """
                            INSERT INTO postings (transfer_id, account_id, picodollars, calls,
                                input_tokens, output_tokens, picodollars_after, calls_after,
                                input_tokens_after, output_tokens_after)
                            SELECT ?1, id, ?2, 0, 0, 0, ?2 + (SELECT coalesce(sum(picodollars), 0)
                                FROM postings WHERE account_id = accounts.id), 0, 0, 0
                            FROM accounts WHERE kind = ?3 AND owner = ?4
                            """, arguments: [hold, sign * 5000, kind, owner])
                }
            }
        }
        try earlier.close()

        let bench = try Bench(.pricing(budget: "1"), folder: folder)
        try Self.expectBalanced(bench.ledger)
        let transfers = try bench.ledger.read { database in
            try Row.fetchAll(
                database, sql: "SELECT kind, closes FROM transfers ORDER BY closes, id"
            ).map { [$0[0], $0[1]] as [String?] }
        }
        #expect(
            transfers == Array(repeating: ["hold", nil], count: 3)
                + (0..<3).map { ["expire", "hold-\($0)"] })
        let left = try bench.ledger.read { database in
            try Int64.fetchAll(
                database,
                sql: """
                    SELECT sum(picodollars) FROM postings JOIN accounts ON accounts.id = account_id
                    WHERE kind IN ('held', 'reserved') GROUP BY account_id
                    """)
        }
        #expect(left == [0, 0, 0])
        let whole = Picodollars(Picodollars.perDollar)
        _ = try await bench.ledger.reserve(bench.details(), most: whole, least: whole)
    }

    @Test("What another process books is seen by the next reservations")
    func beside() async throws {
        let bench = try Bench(.pricing(budget: "0.00004"))
        let beside = try Bench(.pricing(budget: "0.00004"), folder: bench.folder, seed: 2)
        let half = Picodollars(20_000_000)
        let hold = try await bench.ledger.reserve(bench.details(), most: half, least: half)
        bench.ledger.void(hold)
        await beside.ledger.settle(
            beside.details(), hold: nil, candidate: "hosted/m", usage: Self.usage)
        try beside.ledger.close()
        bench.clock.advance(by: .seconds(3))
        await #expect(throws: Failure.self) {
            try await bench.ledger.reserve(bench.details(), most: half, least: half)
        }
    }

    @Test("A hold that nobody ends expires by its age")
    func age() async throws {
        let bench = try Bench(.pricing(budget: "1"))
        let whole = Picodollars(Picodollars.perDollar)
        _ = try await bench.ledger.reserve(
            bench.details(), most: whole, least: whole)
        await #expect(throws: Failure.self) {
            try await bench.ledger.reserve(
                bench.details(), most: whole, least: whole)
        }
        bench.clock.advance(by: .seconds(61 * 60))
        _ = try await bench.ledger.reserve(
            bench.details(), most: whole, least: whole)
        try Self.expectBalanced(bench.ledger)
    }

    @Test("A new month begins with a whole budget, less what is still held")
    func months() async throws {
        let bench = try Bench(.pricing(budget: "0.00004"))
        _ = await bench.ledger.settle(
            bench.details(), hold: nil, candidate: "hosted/m", usage: Self.usage)
        let half = Picodollars(20_000_000)
        await #expect(throws: Failure.self) {
            try await bench.ledger.reserve(
                bench.details(), most: half, least: half)
        }
        bench.clock.advance(by: .seconds(31 * 86400))
        _ = try await bench.ledger.reserve(
            bench.details(), most: half, least: half)
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total == .zero && spend.reserved == half && spend.lines.isEmpty)
    }

    @Test("Nobody sees or spends another's money")
    func scoping() async throws {
        let bench = try Bench(.pricing(budget: "0.00003"))
        _ = await bench.ledger.settle(
            bench.details(.alice), hold: nil, candidate: "hosted/m", usage: Self.usage)
        let mallory = try await bench.ledger.spend(of: .mallory)
        #expect(mallory.total == .zero && mallory.lines.isEmpty)
        _ = try await bench.ledger.reserve(
            bench.details(.mallory), most: Picodollars(30_000_000),
            least: Picodollars(30_000_000))
    }

    @Test("A thousand callers at once spend the budget to the last cent and never a cent more")
    func concurrency() async throws {
        let bench = try Bench(.pricing(budget: "0.001"))
        let each = Picodollars(10_000_000)
        let granted = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<1000 {
                group.addTask {
                    let call = bench.details()
                    guard
                        let hold = try? await bench.ledger.reserve(
                            call, most: each, least: each)
                    else { return false }
                    if index % 10 == 0 {
                        bench.ledger.void(hold)
                        return false
                    }
                    _ = await bench.ledger.settle(
                        call, hold: hold, candidate: "hosted/m",
                        usage: TokenUsage(output: 1))
                    return true
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total == Picodollars(Int64(granted) * each.rawValue))
        #expect(spend.total <= Picodollars(1_000_000_000))
        #expect(granted >= 90)
        #expect(spend.reserved == .zero)

        // What the voided calls gave back can be spent to the last picodollar.
        for _ in granted..<100 {
            let call = bench.details()
            let hold = try await bench.ledger.reserve(
                call, most: each, least: each)
            _ = await bench.ledger.settle(
                call, hold: hold, candidate: "hosted/m", usage: TokenUsage(output: 1))
        }
        #expect(try await bench.ledger.spend(of: .alice).total == Picodollars(1_000_000_000))
        await #expect(throws: Failure.self) {
            try await bench.ledger.reserve(
                bench.details(), most: Picodollars(1), least: Picodollars(1))
        }
        try Self.expectBalanced(bench.ledger)
    }

    @Test(
        "Whatever happens in whatever order, the books balance",
        arguments: 1...6 as ClosedRange<UInt64>)
    func property(seed: UInt64) async throws {
        let bench = try Bench(.pricing(budget: "0.01"), seed: seed)
        let environment = Environment.manual(seed: seed &* 77)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<60 {
                let (fate, size) = (environment.random() % 6, environment.random() % 900)
                let principal: Principal = environment.random() % 2 == 0 ? .alice : .mallory
                group.addTask {
                    let call = bench.details(principal)
                    let most = Picodollars(Int64(size) * 1_000_000)
                    let usage = TokenUsage(freshInput: Int(size), output: Int(size / 3))
                    guard
                        let hold = try? await bench.ledger.reserve(
                            call, most: most, least: .zero)
                    else { return }
                    switch fate {
                    case 0: bench.ledger.void(hold)
                    case 1: break
                    case 2: bench.clock.advance(by: .seconds(1000))
                    case 3:
                        bench.ledger.void(hold)
                        _ = await bench.ledger.settle(
                            call, hold: hold, candidate: "dear/m", usage: usage)
                    default:
                        _ = await bench.ledger.settle(
                            call, hold: hold, candidate: "hosted/m", usage: usage)
                    }
                }
            }
            for _ in 0..<5 {
                await Task.yield()
                try? Self.expectBalanced(bench.ledger)
            }
        }
        try Self.expectBalanced(bench.ledger)
    }

    @Test(
        "A balance never leaves 64 bits: what would take it there is refused, and nothing is lost")
    func overflow() async throws {
        let bench = try Bench()
        let most = Picodollars(.max - 1)
        _ = try await bench.ledger.reserve(
            bench.details(), most: most, least: .zero)
        await #expect(throws: Failure.self) {
            try await bench.ledger.reserve(
                bench.details(), most: Picodollars(2), least: .zero)
        }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.reserved == most)
    }

    @Test("A sum past 64 bits is no sum, in money and in counts")
    func tooMuch() throws {
        let most = Books.Amounts(
            picodollars: Picodollars(.max), calls: .max, inputTokens: .max, outputTokens: .max)
        #expect(try most.adding(most.negated) == Books.Amounts())
        for one in [
            Books.Amounts(picodollars: Picodollars(1)), Books.Amounts(calls: 1),
            Books.Amounts(inputTokens: 1), Books.Amounts(outputTokens: 1),
        ] {
            #expect(throws: Failure.self) { try most.adding(one) }
        }
    }

    @Test("The month's spending is found by index, however long the ledger")
    func plan() throws {
        let bench = try Bench()
        let plan = try bench.ledger.read { database in
            try Row.fetchAll(
                database, sql: "EXPLAIN QUERY PLAN " + Books.monthSQL,
                arguments: [Identifier.sample, "2026-11"]
            ).map { $0["detail"] as String }
                + Row.fetchAll(
                    database, sql: "EXPLAIN QUERY PLAN " + Books.balanceSQL, arguments: [1]
                ).map { $0["detail"] as String }
        }
        #expect(!plan.contains { $0.hasPrefix("SCAN") || $0.contains("TEMP B-TREE") }, "\(plan)")
        #expect(plan.contains { $0.contains("postings_by_account") })
    }
}

extension Identifier {
    fileprivate static let sample = Principal.alice.userID
}
