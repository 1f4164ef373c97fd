import Core
import TestSupport
import Testing

@testable import Accounting

private struct StagedReranker: Reranker {
    var failure: Failure?
    var waits = false

    func rerank(_ request: RerankRequest) async throws -> Reranking {
        if waits { try await Task.sleep(for: .seconds(60)) }
        if let failure { throw failure }
        return Reranking(
            scores: request.texts.map { _ in 0.5 }, usage: TokenUsage(freshInput: 100))
    }
}

@Suite struct MeteredRerankerTests {
    private static func request(_ candidate: String) -> RerankRequest {
        RerankRequest(
            principal: .alice, candidate: candidate, question: "which?", texts: ["one", "two"])
    }

    @Test("A call is booked at its tokens where a price is known")
    func priced() async throws {
        let bench = try Bench()
        let reranker = MeteredReranker(StagedReranker(), ledger: bench.ledger)
        let ranking = try await reranker.rerank(Self.request("openai/text-embedding-3-small"))
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(ranking.cost == Picodollars(100 * 20_000))
        #expect(spend.total == ranking.cost && spend.reserved == .zero)
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test(
        "Where none is known it is booked as a call without a known cost",
        arguments: ["far/judge", "local/judge"])
    func unpriced(candidate: String) async throws {
        let bench = try Bench()
        let reranker = MeteredReranker(StagedReranker(), ledger: bench.ledger)
        let ranking = try await reranker.rerank(Self.request(candidate))
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(ranking.cost == .zero && ranking.scores == [0.5, 0.5])
        #expect(spend.total == .zero && spend.reserved == .zero && spend.lines.count == 1)
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test("A call that nobody waited for to the end is booked as estimated")
    func cancelled() async throws {
        let bench = try Bench()
        let reranker = MeteredReranker(
            StagedReranker(waits: true), ledger: bench.ledger)
        let task = Task {
            try await reranker.rerank(Self.request("openai/text-embedding-3-small"))
        }
        while try await bench.ledger.spend(of: .alice).reserved == .zero { await Task.yield() }
        task.cancel()
        _ = await task.result
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total > .zero && spend.reserved == .zero)
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test("A call that fails costs nothing and holds nothing")
    func fails() async throws {
        let bench = try Bench()
        let reranker = MeteredReranker(
            StagedReranker(failure: Failure(.upstream, "No.")), ledger: bench.ledger)
        await #expect(throws: Failure.self) {
            try await reranker.rerank(Self.request("openai/text-embedding-3-small"))
        }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total == .zero && spend.reserved == .zero)
    }
}
