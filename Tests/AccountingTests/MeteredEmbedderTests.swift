import Core
import Synchronization
import TestSupport
import Testing

@testable import Accounting

private final class StagedEmbedder: Embedder {
    let candidate: String
    let usage: TokenUsage
    let fails: Bool
    let parts: [CandidateUsage]
    /// Before every answer but the first.
    let waits: Bool
    private let calls = Atomic(0)

    init(
        candidate: String, usage: TokenUsage = TokenUsage(freshInput: 100), fails: Bool = false,
        parts: [CandidateUsage] = [], waits: Bool = false
    ) {
        self.waits = waits
        self.parts = parts
        self.candidate = candidate
        self.usage = usage
        self.fails = fails
    }

    func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        let isFirst = calls.add(1, ordering: .relaxed).oldValue == 0
        if waits, !isFirst { try await Task.sleep(for: .seconds(60)) }
        if fails {
            var failure = Failure(.upstream, "No.")
            failure.spent = parts
            throw failure
        }
        var embeddings = Embeddings(
            candidate: candidate, dimensions: 1, values: request.texts.map { _ in 1 }, usage: usage)
        embeddings.parts = parts
        return embeddings
    }
}

@Suite struct MeteredEmbedderTests {
    private static let request = EmbeddingRequest(
        principal: .alice, texts: ["one two three"], purpose: "ingest")

    @Test("An embedding is booked at its model's price")
    func cost() async throws {
        let bench = try Bench()
        let embedder = MeteredEmbedder(
            StagedEmbedder(candidate: "openai/text-embedding-3-small"), ledger: bench.ledger)
        let embeddings = try await embedder.embed(Self.request)
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(embeddings.cost == Picodollars(100 * 20_000))
        #expect(spend.total == embeddings.cost && spend.reserved == .zero)
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test(
        "Who served a part of it is booked for that, at its own price, also where the rest failed")
    func parts() async throws {
        for fails in [false, true] {
            let bench = try Bench()
            let parts = [
                CandidateUsage("hosted/m", TokenUsage(freshInput: 3)),
                CandidateUsage("dear/m", TokenUsage(freshInput: 4)),
            ]
            let embedder = MeteredEmbedder(
                StagedEmbedder(candidate: "hosted/m", fails: fails, parts: parts),
                ledger: bench.ledger)
            let cost = Picodollars(3 * 1_000_000 + 4 * 2_000_000)
            if fails {
                await #expect(throws: Failure.self) { try await embedder.embed(Self.request) }
            } else {
                #expect(try await embedder.embed(Self.request).cost == cost)
            }
            #expect(try await bench.ledger.spend(of: .alice).total == cost)
        }
    }

    @Test("A call that nobody waited for to the end is booked as estimated")
    func cancelled() async throws {
        let bench = try Bench()
        let embedder = MeteredEmbedder(
            StagedEmbedder(candidate: "openai/text-embedding-3-small", waits: true),
            ledger: bench.ledger)
        let first = try await embedder.embed(Self.request)
        let task = Task { try await embedder.embed(Self.request) }
        while try await bench.ledger.spend(of: .alice).reserved == .zero { await Task.yield() }
        task.cancel()
        _ = await task.result
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total > first.cost && spend.reserved == .zero)
        try LedgerTests.expectBalanced(bench.ledger)
    }

    @Test("A local embedder is free, from the first call on, even with the budget used up")
    func local() async throws {
        let bench = try Bench(.pricing(budget: "0.00001"))
        let embedder = MeteredEmbedder(
            StagedEmbedder(candidate: "local/minilm"), ledger: bench.ledger)
        _ = await bench.ledger.settle(
            bench.details(), hold: nil, candidate: "hosted/m", usage: TokenUsage(output: 1))
        _ = try await embedder.embed(Self.request)
        _ = try await embedder.embed(Self.request)
        let lines = try await bench.ledger.spend(of: .alice).lines
        #expect(lines.first { $0.candidate == "local/minilm" }?.calls == 2)
    }

    @Test("An embedding that fails, or that the budget refuses, costs nothing")
    func refusals() async throws {
        let bench = try Bench(.pricing(budget: "0.1"))
        let failing = MeteredEmbedder(
            StagedEmbedder(candidate: "x/y", fails: true), ledger: bench.ledger)
        await #expect(throws: Failure.self) { try await failing.embed(Self.request) }
        let long = EmbeddingRequest(
            principal: .alice, texts: [String(repeating: "word ", count: 10_000)], purpose: "api")
        let working = MeteredEmbedder(StagedEmbedder(candidate: "x/y"), ledger: bench.ledger)
        let first = try await working.embed(Self.request)
        await #expect {
            _ = try await working.embed(long)
        } throws: {
            ($0 as? Failure)?.code == .budgetExceeded
        }
        let spend = try await bench.ledger.spend(of: .alice)
        #expect(spend.total == first.cost && spend.reserved == .zero)
    }
}
