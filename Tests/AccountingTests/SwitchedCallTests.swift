import Core
import GRDB
import TestSupport
import Testing

@testable import Accounting

/// Calls that one candidate begins and another ends: `hosted/m` and then `dear/m`, which costs twice
/// as much.
@Suite struct SwitchedCallTests {
    struct SwitchingModel: ChatModel {
        var events: [ChatEvent]
        var usage = TokenUsage(freshInput: 20, output: 3)
        var failure: Failure?
        var spent: [CandidateUsage] = []
        var openFailure: Failure?

        func open(_ request: ChatRequest) async throws -> ChatCall {
            if let openFailure { throw openFailure }
            return ChatCall(
                candidate: "hosted/m", decision: "fallback hosted/m", notice: "Note.",
                spent: { spent },
                run: { emit in
                    for event in events { try await emit(event) }
                    if let failure { throw failure }
                    return Completion(
                        candidate: "dear/m", finishReason: .stop, usage: usage,
                        firstTokenMilliseconds: 1, totalMilliseconds: 2)
                })
        }

        func models() async -> [ModelCard] {
            [
                ModelCard(
                    name: "m", candidates: ["hosted/m", "dear/m"], contextTokens: 8000,
                    outputTokensMax: 1000, isLocal: false, answersMax: 2)
            ]
        }

        /// One token for a byte.
        func countTokens(_ texts: [String], model: String) async throws -> [Int] {
            texts.map(\.utf8.count)
        }
    }

    private static func events(isContinued: Bool) -> [ChatEvent] {
        [
            .text("Hello"),
            .switched(
                CandidateSwitch(
                    from: "hosted/m",
                    usage: TokenUsage(freshInput: 10, output: 2, isEstimated: true), to: "dear/m",
                    isContinued: isContinued)),
            .text(" there"),
        ]
    }

    private func lines(_ bench: Bench) async throws -> [Spend.Line] {
        try await bench.ledger.spend(of: .alice).lines
    }

    @Test("Each candidate is booked for what it took, at its own price, and the answer has the sum")
    func booked() async throws {
        let bench = try Bench()
        let model = MeteredModel(
            SwitchingModel(events: Self.events(isContinued: true)), ledger: bench.ledger)
        let completion = try await model.open(.asking()).run { _ in }
        let first = Picodollars(10 * 1_000_000 + 2 * 10_000_000)
        let second = Picodollars(20 * 2_000_000 + 3 * 20_000_000)
        #expect(
            try await lines(bench) == [
                Spend.Line(
                    candidate: "dear/m", calls: 1, inputTokens: 20, outputTokens: 3, cost: second),
                Spend.Line(
                    candidate: "hosted/m", calls: 1, inputTokens: 10, outputTokens: 2, cost: first),
            ])
        #expect(completion.cost == (try first.adding(second)))
        #expect(
            completion.usage == TokenUsage(freshInput: 30, output: 5, isEstimated: true))
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total == completion.cost && spend.reserved == .zero)
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test("Where the second fails too, both are booked: the first as told, the second by our count")
    func bothFail() async throws {
        for (isContinued, input) in [(true, 12 + 8 + 5), (false, 12 + 8)] {
            let bench = try Bench()
            let staged = SwitchingModel(
                events: Self.events(isContinued: isContinued), failure: Failure(.upstream, "No."))
            let call = try await MeteredModel(staged, ledger: bench.ledger).open(.asking())
            await #expect(throws: Failure.self) { try await call.run { _ in } }
            #expect(
                try await lines(bench).map { [$0.inputTokens, $0.outputTokens] } == [
                    [input, 6], [10, 2],
                ])
            #expect(try await bench.ledger.spend(of: .alice).reserved == .zero)
        }
    }

    private static let spent = [
        CandidateUsage("dear/m", TokenUsage(freshInput: 5)),
        CandidateUsage("hosted/m", TokenUsage(freshInput: 7)),
    ]

    @Test("Attempts that came to nothing are booked at their own prices, however the call ends")
    func spent() async throws {
        let wasted = Picodollars(5 * 2_000_000 + 7 * 1_000_000)
        enum End: CaseIterable { case answered, failed, abandoned, neverOpened }
        for end in End.allCases {
            let bench = try Bench()
            var staged = SwitchingModel(events: [.text("Hello")])
            staged.usage = TokenUsage(freshInput: 1)
            var failure = Failure(.upstream, "No.")
            switch end {
            case .answered, .abandoned: staged.spent = Self.spent
            case .failed:
                staged.spent = Self.spent
                failure.spent = [CandidateUsage("hosted/m", TokenUsage(freshInput: 2))]
                staged.failure = failure
            case .neverOpened:
                failure.spent = Self.spent
                staged.openFailure = failure
            }
            let model = MeteredModel(staged, ledger: bench.ledger)
            var rest = Picodollars.zero
            switch end {
            case .answered:
                let completion = try await model.open(.asking()).run { _ in }
                rest = Picodollars(2_000_000)
                #expect(completion.cost == (try wasted.adding(rest)))
            case .failed:
                let call = try await model.open(.asking())
                await #expect(throws: Failure.self) { try await call.run { _ in } }
                rest = Picodollars(2_000_000)
            case .abandoned: await (try model.open(.asking())).abandon()
            case .neverOpened:
                await #expect(throws: Failure.self) { try await model.open(.asking()) }
            }
            let spend = try await bench.ledger.spend(of: .alice)
            #expect(spend.total == (try wasted.adding(rest)), "\(end)")
            #expect(spend.reserved == .zero)
            try LedgerTests.expectBalanced(bench.ledger)
        }
    }

    @Test("Funds are held for as many candidates as one call may have to pay for")
    func held() async throws {
        let bench = try Bench()
        let model = MeteredModel(SwitchingModel(events: []), ledger: bench.ledger)
        let call = try await model.open(.asking())
        // Prompt 20 and answer 100: either may read both and write the whole answer.
        let each = Int64(120) * 1_000_000 + 100 * 10_000_000
        #expect(try await bench.ledger.spend(of: .alice).reserved == Picodollars(3 * each))
        await call.abandon()
        #expect(try await bench.ledger.quote(.asking()).ceiling == Picodollars(3 * each))
    }

    @Test("An open-ended call is limited to what the budget pays for all of them")
    func limited() async throws {
        let bench = try Bench(.pricing(budget: "0.02"))
        let call = try await MeteredModel(SwitchingModel(events: []), ledger: bench.ledger)
            .open(.asking(outputTokensMax: nil))
        // 3 * ((20 + n) * 1 + n * 10) microdollars for n tokens come to at most 20,000.
        #expect(
            try await bench.ledger.spend(of: .alice).reserved == Picodollars(20_000_000_000))
        await call.abandon()
        let estimate = try await CallEstimate(
            .asking(outputTokensMax: nil), model: SwitchingModel(events: []), ledger: bench.ledger)
        #expect(try estimate.outputTokens(for: Picodollars(20_000_000_000)) == 604)
        let tight = try Bench(.pricing(budget: "0.005"))
        await #expect(throws: Failure.self) {
            _ = try await MeteredModel(SwitchingModel(events: []), ledger: tight.ledger)
                .open(.asking(outputTokensMax: nil))
        }
    }

    @Test("What all parts cost beyond the hold is written down once")
    func overrun() async throws {
        let bench = try Bench()
        let call = bench.details()
        let hold = try await bench.ledger.reserve(
            call, most: Picodollars(50_000_000), least: .zero)
        let parts = [
            CallParts.Part("hosted/m", TokenUsage(freshInput: 30)),
            CallParts.Part("dear/m", TokenUsage(freshInput: 30)),
        ]
        let costs = await bench.ledger.settle(call, hold: hold, parts)
        #expect(costs == [Picodollars(30_000_000), Picodollars(60_000_000)])
        _ = await bench.ledger.settle(call, hold: hold, parts)
        let overruns = try bench.ledger.read {
            try Int64.fetchAll(
                $0,
                sql: """
                    SELECT overrun_picodollars FROM transfers WHERE kind = 'settle'
                    ORDER BY candidate DESC
                    """)
        }
        #expect(overruns == [40_000_000, 0])
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test("Who was chosen, why, and what the reader should know pass through")
    func decision() async throws {
        let bench = try Bench()
        let call = try await MeteredModel(SwitchingModel(events: []), ledger: bench.ledger)
            .open(.asking())
        #expect(call.decision == "fallback hosted/m" && call.notice == "Note.")
        await call.abandon()
    }
}
