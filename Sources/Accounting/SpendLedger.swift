package import Core
import Foundation
import GRDB
import Logging
import Storage
import Synchronization

/// What calls cost: prices, budgets, and `ledger.db`, an append-only double-entry ledger in
/// picodollars. A call reserves the most it may cost, in memory, and books what it took when it ends.
/// Booking is in order and soon, and nobody waits for the disk: an answer that was made and paid for
/// does not get better by waiting. Whoever reads the books sees all that was booked before.
///
/// A free call reserves nothing, and is booked with its tokens all the same.
package final class SpendLedger: Ledger, Pricing {
    let prices: PriceList
    let environment: Environment
    private let store: Store
    private let writer: GroupWriter
    private let budget: Picodollars?
    private let allowances: Allowances
    private let metered = Mutex<(any ChatModel)?>(nil)
    private let logger = Logger(label: "heptad.accounting")

    /// Opens or makes `ledger.db` in `folder`. Throws `invalid` for a configuration or a price book
    /// that cannot be used, and like `Store`.
    package init(
        _ configuration: AccountingConfiguration, folder: String, environment: Environment
    ) throws {
        prices = try PriceList(configuration)
        budget = try configuration.monthlyBudget()
        allowances = Allowances(holdLife: .seconds(configuration.holdMinutesMax * 60))
        self.environment = environment
        store = try Store(
            folder: folder, name: "ledger.db", durability: .full, migrations: Migrations.all)
        writer = GroupWriter(store.pool)
    }

    /// The most a call may cost, and what is left to spend. Throws `notFound` for an unknown model,
    /// and `unavailable` until a `MeteredModel` was made with this ledger.
    package func quote(_ request: ChatRequest) async throws -> Quote {
        guard let model = metered.withLock({ $0 }) else {
            throw Failure(.unavailable, "No model is there to be quoted yet.")
        }
        let estimate = try await CallEstimate(request, model: model, ledger: self)
        let ceiling = try estimate.ceiling(outputTokens: estimate.outputTokens)
        guard let budget else {
            return Quote(model: request.model, ceiling: ceiling, remaining: nil)
        }
        let spend = try await spend(of: request.principal)
        let used = try spend.total.adding(spend.reserved)
        let remaining = Picodollars(max(0, budget.rawValue - used.rawValue))
        return Quote(model: request.model, ceiling: ceiling, remaining: remaining)
    }

    /// What the hosted model `provider/model` reads, as far as the price book says.
    package func contextTokens(of candidate: String) -> Int? {
        prices.contextTokens(of: candidate)
    }

    package func spend(of principal: Principal) async throws -> Spend {
        let (month, budget) = (environment.now().month, budget)
        let reserved = allowances.held(by: principal.userID)
        await writer.flush()
        return try await store.pool.read { database in
            let lines = try Books(database: database).lines(of: principal.userID, in: month)
            return Spend(
                month: month, total: try lines.reduce(.zero) { try $0.adding($1.cost) },
                reserved: reserved, budget: budget, lines: lines)
        }
    }

    package func ceiling(of candidate: String, input: Int, output: Int) throws -> Picodollars {
        try prices.price(of: candidate, now: environment.now())
            .ceiling(input: input, output: output)
    }

    package func cost(of part: CandidateUsage) -> Picodollars {
        worth(of: part.usage, candidate: part.candidate)
    }

    /// Writes what waits and closes the file; what comes after is lost, with a word in the log.
    package func close() throws {
        writer.flushNow()
        try store.close()
    }

    /// Sets `most` aside, or what the budget still allows if that is at least `least`. Throws
    /// `budgetExceeded` otherwise.
    func reserve(
        _ call: CallDetails, most: Picodollars, least: Picodollars
    ) async throws -> Hold {
        let now = environment.now()
        guard let budget else { return try allowances.hold(most, for: call.userID, at: now) }
        let month = now.month
        while true {
            let hold = try allowances.hold(
                most, least: least, of: budget, for: call.userID, in: month, at: now)
            if let hold { return hold }
            try await readBooks(of: call.userID, in: month, at: now)
        }
    }

    /// Books a call that has run. Returns what it cost. Where the disk refuses, the log has the
    /// figures, and the caller goes on: its answer was made and paid for.
    @discardableResult
    func settle(
        _ call: CallDetails, hold: Hold?, candidate: String, usage: TokenUsage
    ) async -> Picodollars {
        await settle(call, hold: hold, [CallParts.Part(candidate, usage)]).first ?? .zero
    }

    /// Like that for a call that several candidates took part in: all or none is booked. Returns
    /// what each cost, at its own price. Settling the same hold again books nothing.
    @discardableResult
    func settle(_ call: CallDetails, hold: Hold?, _ parts: [CallParts.Part]) async -> [Picodollars]
    {
        let now = environment.now()
        let month = now.month
        var settlements: [Settlement] = []
        var total = Picodollars.zero
        do {
            for part in parts {
                let price = prices.bookedPrice(of: part.candidate, now: now)
                let usage = part.usage.bounded
                // Who sells it knows best what it took.
                let cost = try usage.statedCost ?? price.cost(of: usage)
                total = try total.adding(cost)
                settlements.append(
                    Settlement(
                        candidate: part.candidate, usage: usage, cost: cost,
                        priceAsOf: usage.statedCost == nil ? price.asOf : Self.stated,
                        id: environment.identifier(), bookedAt: now, month: month))
            }
        } catch {
            notBooked(call, parts, error)
            if let hold { allowances.release(hold) }
            return settlements.map(\.cost)
        }
        let costs = settlements.map(\.cost)
        guard hold?.settle() ?? true else { return costs }
        if let hold {
            settlements[0].overrun = Picodollars(max(0, total.rawValue - hold.amount.rawValue))
            if total > hold.amount { warnOfOverrun(parts, total, hold) }
        }
        let booked = settlements
        allowances.spend(total, call.userID, in: month) {
            writer.enqueue(
                { books in
                    for settlement in booked { try Transfers(books).settle(call, settlement) }
                },
                finish: { [self] failure in
                    if let failure { notBooked(call, parts, failure) }
                })
        }
        if let hold { allowances.release(hold) }
        if writer.isCrowded { await writer.flush() }
        return costs
    }

    /// Ends a call that did not run: what attempts took is booked, the rest given back.
    func giveUp(_ call: CallDetails, hold: Hold?, spent: [CandidateUsage]) async {
        if !spent.isEmpty {
            _ = noteCosts(
                await settle(call, hold: hold, spent), of: spent.map(\.candidate))
        } else if let hold {
            void(hold)
        }
    }

    /// What this usage costs today, with nothing booked.
    func worth(of usage: TokenUsage, candidate: String) -> Picodollars {
        let price = prices.bookedPrice(of: candidate, now: environment.now())
        let usage = usage.bounded
        return (try? usage.statedCost ?? price.cost(of: usage)) ?? .zero
    }

    /// In place of a price's day, for what the provider itself put a figure on.
    static let stated = "stated"

    /// Gives a hold back, for a call that never ran.
    func void(_ hold: Hold) { allowances.release(hold) }

    /// From now on quotes are for this model's calls.
    func quoteCalls(of model: any ChatModel) { metered.withLock { $0 = model } }

    /// For tests and checks: reads the books.
    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        writer.flushNow()
        return try store.pool.read(body)
    }

    private func readBooks(
        of user: Identifier, in month: String, at now: Timestamp
    ) async throws {
        let (spent, mark): (Picodollars, Int64) = try await withCheckedThrowingContinuation {
            continuation in
            let found = Reading()
            found.mark.withLock { mark in
                mark = allowances.willRead(user, in: month) {
                    writer.enqueue(
                        { books in
                            let spent = try books.spent(by: user, in: month)
                            found.spent.withLock { $0 = spent }
                        },
                        finish: { failure in
                            if let failure { return continuation.resume(throwing: failure) }
                            continuation.resume(
                                returning: (found.spent.withLock { $0 }, found.mark.withLock { $0 })
                            )
                        })
                }
            }
            writer.drainSoon()
        }
        allowances.didRead(spent, by: user, in: month, mark: mark, at: now)
    }

    private func notBooked(_ call: CallDetails, _ parts: [CallParts.Part], _ error: any Error) {
        for part in parts {
            logger.critical(
                "A call could not be booked.",
                metadata: [
                    "user": "\(call.userID)", "candidate": "\(part.candidate)",
                    "input": "\(part.usage.bounded.input)",
                    "output": "\(part.usage.bounded.output)", "error": "\(error)",
                ])
        }
    }

    private func warnOfOverrun(_ parts: [CallParts.Part], _ cost: Picodollars, _ hold: Hold) {
        logger.warning(
            "A call cost more than was reserved for it; the whole cost is booked.",
            metadata: [
                "candidates": "\(parts.map(\.candidate))", "cost": "\(cost)",
                "reserved": "\(hold.amount)",
            ])
    }
}

/// What the writer's queue found in the books, and when it was asked to look.
private final class Reading: Sendable {
    let spent = Mutex(Picodollars.zero)
    let mark = Mutex<Int64>(0)
}
