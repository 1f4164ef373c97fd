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
                        """),
                holds: try Row.fetchOne(
                    database,
                    sql: """
                        SELECT 1 WHERE (SELECT coalesce(sum(picodollars), 0) FROM holds) <>
                            (SELECT coalesce(sum(picodollars), 0) FROM postings JOIN accounts
                             ON accounts.id = account_id WHERE kind = 'held')
                        """)
            )
        }
        #expect(faults.whole == nil, sourceLocation: sourceLocation)
        #expect(faults.transfer == nil, sourceLocation: sourceLocation)
        #expect(faults.balance == nil, sourceLocation: sourceLocation)
        #expect(faults.holds == nil, sourceLocation: sourceLocation)
    }

    private static let usage = TokenUsage(freshInput: 10, output: 2)

    @Test("A call reserves, settles for less, and gives the rest back")
    func settle() async throws {
        let bench = try Bench(.pricing(budget: "1"))
        let call = bench.details()
        let hold = try await bench.ledger.reserve(
            call, candidate: "hosted/m", most: Picodollars(5000), least: Picodollars(5000))
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
            call, candidate: "hosted/m", most: Picodollars(5000), least: .zero)
        let cost = await bench.ledger.settle(
            call, hold: hold, candidate: "hosted/m", usage: Self.usage)
        _ = await bench.ledger.settle(call, hold: hold, candidate: "hosted/m", usage: Self.usage)
        await bench.ledger.void(hold, call)
        #expect(try await bench.ledger.spend(of: .alice).total == cost)
        try Self.expectBalanced(bench.ledger)
    }

    @Test("A call that cost more than its hold is booked whole, and says so")
    func overrun() async throws {
        let bench = try Bench(.pricing(budget: "0.000001"))
        let call = bench.details()
        let hold = try await bench.ledger.reserve(
            call, candidate: "hosted/m", most: Picodollars(1_000_000), least: .zero)
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

    @Test("Holds of a process that died are free after the next start; its late bill is booked")
    func orphans() async throws {
        let bench = try Bench(.pricing(budget: "1"))
        let call = bench.details()
        let hold = try await bench.ledger.reserve(
            call, candidate: "hosted/m", most: Picodollars(Picodollars.perDollar), least: .zero)
        _ = await bench.ledger.settle(
            call, hold: nil, candidate: "hosted/m", usage: Self.usage)

        // A second opener beside the first takes nothing from it.
        let beside = try Bench(.pricing(budget: "1"), folder: bench.folder, seed: 2)
        #expect(try await beside.ledger.spend(of: .alice).reserved == hold.amount)
        try beside.ledger.close()

        // As after kill -9: the files are as they were, the lock is gone.
        let copy = try TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: bench.folder.path) {
            try FileManager.default.copyItem(
                atPath: bench.folder.path + "/" + name, toPath: copy.path + "/" + name)
        }
        let next = try Bench(.pricing(budget: "1"), folder: copy, seed: 3)
        let after = try await next.ledger.spend(of: .alice)
        #expect(after.reserved == .zero)
        #expect(after.total == Picodollars(30_000_000))
        try Self.expectBalanced(next.ledger)

        let late = await next.ledger.settle(
            call, hold: hold, candidate: "hosted/m", usage: Self.usage)
        _ = await next.ledger.settle(call, hold: hold, candidate: "hosted/m", usage: Self.usage)
        #expect(
            try await next.ledger.spend(of: .alice).total == Picodollars(2 * late.rawValue))
        try Self.expectBalanced(next.ledger)
    }

    @Test("A hold that nobody ends expires by its age")
    func age() async throws {
        let bench = try Bench(.pricing(budget: "1"))
        let whole = Picodollars(Picodollars.perDollar)
        _ = try await bench.ledger.reserve(
            bench.details(), candidate: "hosted/m", most: whole, least: whole)
        await #expect(throws: Failure.self) {
            try await bench.ledger.reserve(
                bench.details(), candidate: "hosted/m", most: whole, least: whole)
        }
        bench.clock.advance(by: .seconds(61 * 60))
        _ = try await bench.ledger.reserve(
            bench.details(), candidate: "hosted/m", most: whole, least: whole)
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
                bench.details(), candidate: "hosted/m", most: half, least: half)
        }
        bench.clock.advance(by: .seconds(31 * 86400))
        _ = try await bench.ledger.reserve(
            bench.details(), candidate: "hosted/m", most: half, least: half)
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
            bench.details(.mallory), candidate: "hosted/m", most: Picodollars(30_000_000),
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
                            call, candidate: "hosted/m", most: each, least: each)
                    else { return false }
                    if index % 10 == 0 {
                        await bench.ledger.void(hold, call)
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
                call, candidate: "hosted/m", most: each, least: each)
            _ = await bench.ledger.settle(
                call, hold: hold, candidate: "hosted/m", usage: TokenUsage(output: 1))
        }
        #expect(try await bench.ledger.spend(of: .alice).total == Picodollars(1_000_000_000))
        await #expect(throws: Failure.self) {
            try await bench.ledger.reserve(
                bench.details(), candidate: "hosted/m", most: Picodollars(1), least: Picodollars(1))
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
                            call, candidate: "hosted/m", most: most, least: .zero)
                    else { return }
                    switch fate {
                    case 0: await bench.ledger.void(hold, call)
                    case 1: break
                    case 2: bench.clock.advance(by: .seconds(1000))
                    case 3:
                        await bench.ledger.void(hold, call)
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
            bench.details(), candidate: "hosted/m", most: most, least: .zero)
        await #expect(throws: Failure.self) {
            try await bench.ledger.reserve(
                bench.details(), candidate: "hosted/m", most: Picodollars(2), least: .zero)
        }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.reserved == most)
        let holds = try bench.ledger.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM holds")
        }
        #expect(holds == 1)
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
