import Core
import TestSupport
import Testing

@testable import Retrieval

@Suite struct RetrievalBenchmarkTests {
    @Test("Made passages are indexed and found, and uploads are timed beside the model alone")
    func small() async throws {
        let folder = try TemporaryFolder()
        let embedder = ScriptedEmbedder(dimensions: 24)
        let benchmark = try RetrievalBenchmark(
            RetrievalConfiguration(), folder: folder.path, embedder: embedder)
        try await benchmark.fill(passages: 130, seed: 1)
        let times = try await benchmark.search(questions: 5, seed: 2)
        let before = embedder.texts.count
        let ingestion = try await benchmark.ingest(documents: 1, seed: 3)

        #expect(times.count == 5 && times.allSatisfy { $0 > 0 })
        #expect(ingestion.passages > 10)
        // Once alone, once on the way in.
        #expect(embedder.texts.count - before == 2 * ingestion.passages)
        #expect(ingestion.seconds > 0 && ingestion.embedderSeconds > 0)
    }

    @Test("Made text and vectors are the same in every run, and other ones for another seed")
    func repeatable() {
        var (one, same, other) = (MadeText(seed: 1), MadeText(seed: 1), MadeText(seed: 2))
        let text = one.text(words: 40)
        #expect(text == same.text(words: 40) && text != other.text(words: 40))
        #expect(text.split(separator: " ").count == 40 && text.hasSuffix("."))
        let middles = one.middles(3, dimensions: 24)
        let vector = one.vector(near: middles)
        let nearest = middles.map { zip($0, vector).reduce(0) { $0 + $1.0 * $1.1 } }.max() ?? 0
        #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-4 && nearest > 0.5)
    }
}
