import Core
import Synchronization
import TestSupport
import Testing

@testable import Accounting

private final class StagedEmbedder: Embedder {
    let candidate: String
    let usage: TokenUsage
    let fails: Bool

    init(candidate: String, usage: TokenUsage = TokenUsage(freshInput: 100), fails: Bool = false) {
        self.candidate = candidate
        self.usage = usage
        self.fails = fails
    }

    func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
        if fails { throw Failure(.upstream, "No.") }
        return Embeddings(
            candidate: candidate, dimensions: 1, values: request.texts.map { _ in 1 }, usage: usage)
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
