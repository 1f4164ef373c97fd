import Core
import GRDB
import Synchronization
import TestSupport
import Testing

@testable import Accounting

@Suite struct MeteredModelTests {
    private static let promptTokens: Int64 = 12 + 8
    private static let cost = Picodollars(10 * 1_000_000 + 2 * 10_000_000)

    private func kinds(_ bench: Bench) throws -> [String] {
        try bench.ledger.read {
            try String.fetchAll($0, sql: "SELECT kind FROM transfers ORDER BY created_at, id")
        }
    }

    @Test("An answer carries what it cost, and the ledger has the same")
    func completion() async throws {
        let bench = try Bench()
        let model = MeteredModel(StagedModel(), ledger: bench.ledger)
        let call = try await model.open(.asking())
        let held = try await bench.ledger.spend(of: .alice).reserved
        var text = ""
        let completion = try await call.run { if case .text(let piece) = $0 { text += piece } }

        #expect(text == "Hello there")
        #expect(held == Picodollars(Self.promptTokens * 1_000_000 + 100 * 10_000_000))
        #expect(completion.cost == Self.cost)
        #expect(try await bench.ledger.spend(of: .alice).total == Self.cost)
        #expect(try kinds(bench) == ["settle"])
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test("An answer that was there costs nothing, says what it saved, and is booked as a call")
    func cached() async throws {
        let bench = try Bench()
        let call = try await MeteredModel(StagedModel(cache: .hit), ledger: bench.ledger)
            .open(.asking())
        #expect(call.cache == .hit && !call.isCharged)
        let completion = try await call.run { _ in }
        #expect(completion.cost == .zero && completion.saved == Self.cost)
        #expect(completion.usage == TokenUsage(freshInput: 10, output: 2))
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total == .zero && spend.reserved == .zero)
        #expect(spend.lines.map(\.calls) == [1])
        #expect(spend.lines.map(\.inputTokens) == [0] && spend.lines.map(\.outputTokens) == [0])
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test("A call that somebody else pays for costs nothing when it breaks off, either")
    func joined() async throws {
        let bench = try Bench()
        let model = MeteredModel(
            StagedModel(ending: .fails, cache: .joined), ledger: bench.ledger)
        let call = try await model.open(.asking())
        await #expect(throws: Failure.self) { try await call.run { _ in } }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total == .zero && spend.reserved == .zero)
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test("Funds are held for the dearest candidate, and booked for the one that answered")
    func dearest() async throws {
        let bench = try Bench()
        let staged = StagedModel(candidates: ["dear/m", "hosted/m"])
        let call = try await MeteredModel(staged, ledger: bench.ledger).open(.asking())
        let held = try await bench.ledger.spend(of: .alice).reserved
        let completion = try await call.run { _ in }
        #expect(held == Picodollars(Self.promptTokens * 2_000_000 + 100 * 20_000_000))
        #expect(completion.cost == Self.cost)
    }

    @Test("A refused budget opens nothing, and its sentence has the figures")
    func refusal() async throws {
        let bench = try Bench(.pricing(budget: "0.001"))
        let staged = StagedModel()
        let model = MeteredModel(staged, ledger: bench.ledger)
        await #expect {
            _ = try await model.open(.asking())
        } throws: {
            let failure = $0 as? Failure
            return failure?.code == .budgetExceeded && failure?.retryAfter == nil
                && ["$0.00102", "$0.001 ", "$0.00"].allSatisfy {
                    failure?.message.contains($0) == true
                }
        }
        #expect(staged.requests.withLock(\.count) == 0)
        #expect(try await bench.ledger.spend(of: .alice).reserved == .zero)
    }

    @Test("A refusal that running calls caused says when to try again")
    func refusalForNow() async throws {
        let bench = try Bench(.pricing(budget: "0.0015"))
        let model = MeteredModel(StagedModel(), ledger: bench.ledger)
        let first = try await model.open(.asking())
        await #expect {
            _ = try await model.open(.asking())
        } throws: {
            ($0 as? Failure)?.retryAfter != nil
        }
        await first.abandon()
        _ = try await model.open(.asking())
    }

    @Test("An open-ended call is limited to what the budget still pays for")
    func limited() async throws {
        let bench = try Bench(.pricing(budget: "0.005"))
        let staged = StagedModel()
        let model = MeteredModel(staged, ledger: bench.ledger)
        _ = try await model.open(.asking(outputTokensMax: nil))
        let limit = staged.requests.withLock { $0.first?.sampling.outputTokensMax }
        #expect(limit == (5000 - 20) / 10)
        #expect(try await bench.ledger.spend(of: .alice).reserved == Picodollars(5_000_000_000))
    }

    @Test("A model that does not open costs nothing")
    func openFails() async throws {
        let bench = try Bench(.pricing(budget: "1"))
        let staged = StagedModel(refusal: Failure(.upstream, "No."))
        await #expect(throws: Failure.self) {
            _ = try await MeteredModel(staged, ledger: bench.ledger).open(.asking())
        }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.reserved == .zero && spend.total == .zero)
        #expect(try kinds(bench).isEmpty)
    }

    @Test("A call that is given up costs nothing, once, and cannot run after")
    func abandoned() async throws {
        let bench = try Bench()
        let staged = StagedModel()
        let call = try await MeteredModel(staged, ledger: bench.ledger).open(.asking())
        await call.abandon()
        await call.abandon()
        await #expect(throws: Failure.self) { try await call.run { _ in } }
        #expect(staged.abandoned.withLock { $0 } == 1)
        #expect(try await bench.ledger.spend(of: .alice).reserved == .zero)
        #expect(try kinds(bench).isEmpty)
    }

    @Test("A stream that breaks is booked for the prompt and what came of the answer")
    func brokenStream() async throws {
        let bench = try Bench()
        let staged = StagedModel(ending: .fails)
        let call = try await MeteredModel(staged, ledger: bench.ledger).open(.asking())
        await #expect(throws: Failure.self) { try await call.run { _ in } }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.lines.first?.outputTokens == 11)
        #expect(spend.total == Picodollars(Self.promptTokens * 1_000_000 + 11 * 10_000_000))
        #expect(spend.reserved == .zero)
    }

    @Test("A reader that goes away in mid-sentence is booked for what it was sent")
    func emitThrows() async throws {
        let bench = try Bench()
        let call = try await MeteredModel(StagedModel(), ledger: bench.ledger).open(.asking())
        await #expect(throws: CancellationError.self) {
            try await call.run { _ in throw CancellationError() }
        }
        #expect(try await bench.ledger.spend(of: .alice).lines.first?.outputTokens == 5)
    }

    @Test("A cancelled task still settles")
    func cancelled() async throws {
        let bench = try Bench()
        let model = MeteredModel(StagedModel(ending: .hangs), ledger: bench.ledger)
        let call = try await model.open(.asking())
        // The test's own task must go on, so the call runs in another.
        let running = Task { try await call.run { _ in } }
        running.cancel()
        await #expect(throws: (any Error).self) { try await running.value }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.reserved == .zero)
        #expect(spend.lines.first?.calls == 1)
        #expect(spend.total > .zero)
        let isEstimated = try bench.ledger.read {
            try Bool.fetchOne(
                $0, sql: "SELECT is_estimated FROM transfers WHERE kind = 'settle'")
        }
        #expect(isEstimated == true)
    }

    @Test("A provider that gives no usage is booked by our count")
    func noUsage() async throws {
        let bench = try Bench()
        let staged = StagedModel(ending: .completes(TokenUsage()))
        let call = try await MeteredModel(staged, ledger: bench.ledger).open(.asking())
        let completion = try await call.run { _ in }
        #expect(completion.usage.isEstimated && completion.usage.output == 11)
        #expect(completion.cost > .zero)
    }

    @Test("A local call needs no hold, and its tokens are booked; no budget stops it")
    func local() async throws {
        let bench = try Bench(.pricing(budget: "0"))
        let staged = StagedModel(candidates: ["local/m"])
        let call = try await MeteredModel(staged, ledger: bench.ledger).open(.asking())
        let completion = try await call.run { _ in }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(completion.cost == .zero)
        #expect(
            spend.lines == [
                Spend.Line(
                    candidate: "local/m", calls: 1, inputTokens: 10, outputTokens: 2, cost: .zero)
            ])
        #expect(try kinds(bench) == ["settle"])
    }

    @Test("A hosted call without a known price is never free, and the ledger marks it")
    func unpriced() async throws {
        let bench = try Bench()
        let staged = StagedModel(candidates: ["else/unheard-of"])
        let call = try await MeteredModel(staged, ledger: bench.ledger).open(.asking())
        let completion = try await call.run { _ in }
        let marked = try bench.ledger.read {
            try String.fetchOne(
                $0, sql: "SELECT price_as_of FROM transfers WHERE kind = 'settle'")
        }
        #expect(completion.cost == Picodollars(10 * 30_000_000 + 2 * 180_000_000))
        #expect(marked == "unpriced")
    }

    @Test("Cards have the first candidate's price, and none where none is known")
    func cards() async throws {
        let bench = try Bench()
        let known = await MeteredModel(StagedModel(), ledger: bench.ledger).models()
        let unknown = await MeteredModel(
            StagedModel(candidates: ["else/unheard-of"]), ledger: bench.ledger
        ).models()
        #expect(known.first?.price?.output == Picodollars(10_000_000))
        #expect(known.first?.price?.asOf == "configured")
        #expect(unknown.first?.price == nil)
    }

    @Test("A quote is the ceiling and what is left, and reserves nothing")
    func quote() async throws {
        let bench = try Bench(.pricing(budget: "0.002"))
        await #expect(throws: Failure.self) { try await bench.ledger.quote(.asking()) }
        let model = MeteredModel(StagedModel(), ledger: bench.ledger)
        let ceiling = Picodollars(Self.promptTokens * 1_000_000 + 100 * 10_000_000)
        let before = try await bench.ledger.quote(.asking())
        _ = try await model.open(.asking())
        let during = try await bench.ledger.quote(.asking())
        #expect(before.ceiling == ceiling && before.remaining == Picodollars(2_000_000_000))
        #expect(during.remaining == Picodollars(2_000_000_000 - ceiling.rawValue))
        await #expect {
            try await bench.ledger.quote(.asking(model: "none"))
        } throws: {
            ($0 as? Failure)?.code == .notFound
        }
    }
}
