package import Core
import Foundation
import GRDB
import Logging
import Storage
import Synchronization

/// What calls cost: prices, budgets, and `ledger.db`, an append-only double-entry ledger in
/// picodollars. A call reserves the most it may cost, and settles what it took:
///
///     reserve -> settle | void | expire
///
/// A free call reserves nothing, and is booked with its tokens all the same. Holds do not outlive
/// the process that made them: the next one to open the folder gives them back.
package final class SpendLedger: Ledger, Pricing {
    let prices: PriceList
    let environment: Environment
    private let store: Store
    private let writer: GroupWriter
    private let budget: Picodollars?
    private let holdLife: Duration
    private let folderLock: FolderLock
    private let metered = Mutex<(any ChatModel)?>(nil)
    private let logger = Logger(label: "heptad.accounting")

    /// Opens or makes `ledger.db` in `folder`. Throws `invalid` for a configuration or a price book
    /// that cannot be used, and like `Store`.
    package init(
        _ configuration: AccountingConfiguration, folder: String, environment: Environment
    ) throws {
        prices = try PriceList(configuration)
        budget = try configuration.monthlyBudget()
        holdLife = .seconds(configuration.holdMinutesMax * 60)
        self.environment = environment
        store = try Store(
            folder: folder, name: "ledger.db", durability: .full, migrations: Migrations.all)
        writer = GroupWriter(store.pool)
        folderLock = FolderLock(path: folder + "/ledger.lock")
        if folderLock.isHeld { try expireOrphans() }
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

    package func spend(of principal: Principal) async throws -> Spend {
        let (month, budget) = (environment.now().month, budget)
        return try await store.pool.read { database in
            let books = Books(database: database)
            let lines = try books.lines(of: principal.userID, in: month)
            return Spend(
                month: month, total: try lines.reduce(.zero) { try $0.adding($1.cost) },
                reserved: try books.balance(of: .held(user: principal.userID)).picodollars,
                budget: budget, lines: lines)
        }
    }

    package func ceiling(of candidate: String, input: Int, output: Int) throws -> Picodollars {
        try prices.price(of: candidate, now: environment.now())
            .ceiling(input: input, output: output)
    }

    package func cost(of part: CandidateUsage) -> Picodollars {
        worth(of: part.usage, candidate: part.candidate)
    }

    /// Closes the file; what comes after throws. Holds that are open stay open in it.
    package func close() throws { try store.close() }

    /// Sets `most` aside, or what the budget still allows if that is at least `least`. Throws
    /// `budgetExceeded` otherwise.
    func reserve(
        _ call: CallDetails, candidate: String, most: Picodollars, least: Picodollars
    ) async throws -> Hold {
        let (environment, budget, holdLife) = (environment, budget, holdLife)
        return try await writer.write(mayRefuse: true) { database in
            let transfers = Transfers(database, environment)
            let cutoff = environment.now().microseconds - holdLife.microseconds
            try transfers.expire(before: Timestamp(microseconds: cutoff))
            return try transfers.reserve(
                call, candidate: candidate, most: most, least: least, budget: budget)
        }
    }

    /// Books a call that has run, also from a task that is cancelled. Returns what it cost. Where
    /// the disk refuses, the hold stays, the log has the figures, and the caller goes on: its answer
    /// was made and paid for.
    func settle(
        _ call: CallDetails, hold: Hold?, candidate: String, usage: TokenUsage
    ) async -> Picodollars {
        await settle(call, hold: hold, [CallParts.Part(candidate, usage)]).first ?? .zero
    }

    /// Like that for a call that several candidates took part in: all or none is booked. Returns
    /// what each cost, at its own price.
    func settle(_ call: CallDetails, hold: Hold?, _ parts: [CallParts.Part]) async -> [Picodollars]
    {
        var settlements: [Settlement] = []
        var costs: [Picodollars] = []
        do {
            for part in parts {
                let price = prices.bookedPrice(of: part.candidate, now: environment.now())
                let usage = part.usage.bounded
                let cost = try price.cost(of: usage)
                costs.append(cost)
                settlements.append(
                    Settlement(
                        candidate: part.candidate, usage: usage, cost: cost, priceAsOf: price.asOf))
            }
            let (environment, booked) = (environment, settlements)
            try await writer.write { database in
                try Transfers(database, environment).settle(call, hold: hold, booked)
            }
        } catch {
            for part in parts {
                logger.critical(
                    "A call could not be booked; its funds stay reserved until the hold expires.",
                    metadata: [
                        "user": "\(call.userID)", "candidate": "\(part.candidate)",
                        "costs": "\(costs)", "input": "\(part.usage.bounded.input)",
                        "output": "\(part.usage.bounded.output)",
                        "hold": "\(hold.map(\.id.description) ?? "none")", "error": "\(error)",
                    ])
            }
        }
        let cost = try? costs.reduce(Picodollars.zero) { try $0.adding($1) }
        if let hold, let cost, cost > hold.amount {
            logger.warning(
                "A call cost more than was reserved for it; the whole cost is booked.",
                metadata: [
                    "candidates": "\(parts.map(\.candidate))", "cost": "\(cost)",
                    "reserved": "\(hold.amount)",
                ])
        }
        return costs
    }

    /// Ends a call that did not run: what attempts took is booked, the rest given back.
    func giveUp(_ call: CallDetails, hold: Hold?, spent: [CandidateUsage]) async {
        if !spent.isEmpty {
            _ = await withSettlementSpan(spent.map(\.candidate)) {
                await settle(call, hold: hold, spent)
            }
        } else if let hold {
            await void(hold, call)
        }
    }

    /// What this usage costs today, with nothing booked.
    func worth(of usage: TokenUsage, candidate: String) -> Picodollars {
        let price = prices.bookedPrice(of: candidate, now: environment.now())
        return (try? price.cost(of: usage.bounded)) ?? .zero
    }

    /// Gives a hold back. Where the disk refuses it expires by itself.
    func void(_ hold: Hold, _ call: CallDetails) async {
        let environment = environment
        do {
            try await writer.write { try Transfers($0, environment).void(hold, call) }
        } catch {
            logger.error("A hold could not be given back.", metadata: ["error": "\(error)"])
        }
    }

    /// From now on quotes are for this model's calls.
    func quoteCalls(of model: any ChatModel) { metered.withLock { $0 = model } }

    /// For tests and checks: reads the books.
    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try store.pool.read(body)
    }

    private func expireOrphans() throws {
        let environment = environment
        var count = 0
        while true {
            let expired = try store.pool.write {
                try Transfers($0, environment).expire(before: nil)
            }
            count += expired
            if expired < Transfers.expiredMax { break }
        }
        guard count > 0 else { return }
        logger.warning(
            "Calls of an earlier process never ended; their funds are free again.",
            metadata: ["holds": "\(count)"])
    }
}
