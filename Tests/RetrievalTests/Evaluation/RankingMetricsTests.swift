import Core
import Foundation
import TestSupport
import Testing

@testable import Retrieval

@Suite struct RankingMetricsTests {
    @Test("The figures are those that a hand computes")
    func byHand() {
        let metrics = RankingMetrics(
            of: ["x", "a", "y", "b", "z", "c"], grades: ["a": 1, "b": 2, "c": 1, "d": 1])
        // Gains 1, 3 and 1 at places 2, 4 and 6; at best 3, 1, 1, 1 at places 1 to 4.
        let gain = 1 / log2(3.0) + 3 / log2(5.0) + 1 / log2(7.0)
        let best = 3 + 1 / log2(3.0) + 1 / log2(4.0) + 1 / log2(5.0)

        #expect(abs(metrics.nDCGAt10 - gain / best) < 1e-12)
        #expect(abs(metrics.nDCGAt10 - 0.49964) < 1e-4)
        #expect(metrics.recallAt5 == 0.5 && metrics.recallAt10 == 0.75)
        #expect(metrics.reciprocalRankAt10 == 0.5 && metrics.successAt10 == 1)
    }

    @Test("Only the first places count")
    func depth() {
        let late = (0..<10).map { "x\($0)" } + ["a"]
        let metrics = RankingMetrics(of: late, grades: ["a": 1])
        var expected = RankingMetrics()
        expected.recallAt100 = 1
        #expect(metrics == expected)
        #expect(RankingMetrics(of: ["a"], grades: ["a": 3]).nDCGAt10 == 1)
        #expect(RankingMetrics(of: [], grades: ["a": 1]) == RankingMetrics())
    }

    @Test("Many questions count the same")
    func mean() {
        let one = RankingMetrics(of: ["a"], grades: ["a": 1])
        let mean = RankingMetrics(mean: [one, RankingMetrics(), RankingMetrics(), one])
        #expect(mean.nDCGAt10 == 0.5 && mean.reciprocalRankAt10 == 0.5)
        #expect(RankingMetrics(mean: []) == RankingMetrics())
    }
}

@Suite struct RetrievalEvaluationTests {
    static let corpus = """
        {"_id": "a", "title": "Money", "text": "Three habits keep the bill down."}
        {"_id": "b", "title": "", "text": "Boats float on the river."}
        {"_id": "c", "text": "The river bank is steep. \\u2028 And green."}
        {"_id": "empty", "title": "", "text": ""}
        """
    static let queries = """
        {"_id": "1", "text": "Which habits keep the bill down?"}
        {"_id": "2", "text": "What floats on the river?"}
        {"_id": "nobody", "text": "Unjudged."}
        """
    static let judgements = "query-id\tcorpus-id\tscore\n1\ta\t1\n2\tb\t2\n2\tc\t0\n2\tgone\t1\n"

    static func folder(
        corpus: String = corpus, judgements: String = judgements
    ) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: folder.path + "/qrels", withIntermediateDirectories: true)
        for (name, text) in [
            ("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels/test.tsv", judgements),
        ] {
            try text.write(toFile: folder.path + "/" + name, atomically: true, encoding: .utf8)
        }
        return folder
    }

    @Test("A data set is indexed, asked and scored, and a second run embeds nothing")
    func run() async throws {
        let folder = try Self.folder()
        let set = try RetrievalDataset(folder: folder.path)
        #expect(set.corpus.count == 4 && set.queries.map(\.grades) == [["a": 1], ["b": 2]])

        var made: [Int] = []
        for _ in 0..<2 {
            let embedder = ScriptedEmbedder()
            let probe = try await embedder.embed(
                EmbeddingRequest(principal: .alice, texts: ["x"], purpose: "test"))
            let cache = EmbeddingFile(
                embedder, candidate: probe.candidate, dimensions: probe.dimensions,
                path: folder.path + "/vectors.f32")
            let report = try await RetrievalEvaluation(RetrievalConfiguration(), embedder: cache)
                .run(set) { _, _, _ in }
            made.append(cache.made)
            #expect(report.figures.map(\.lane) == ["keyword", "vector", "hybrid"])
            #expect(report.documents == 4 && report.passages == 3 && report.queries == 2)
            #expect(report.figures.map(\.metrics.nDCGAt10) == [1, 1, 1])
            #expect(report.model == probe.candidate)
            // As after a run that was cut off in the middle of a record.
            let file = try #require(FileHandle(forWritingAtPath: folder.path + "/vectors.f32"))
            try file.seekToEnd()
            try file.write(contentsOf: Data([1, 2, 3]))
            try file.close()
        }
        #expect(made == [5, 0])
    }

    @Test("What is missing or broken is named with its file and line")
    func broken() throws {
        let nothing = try TemporaryFolder()
        #expect {
            _ = try RetrievalDataset(folder: nothing.path)
        } throws: {
            ($0 as? Failure)?.message.contains("corpus.jsonl cannot be read") == true
        }
        let badLine = try Self.folder(corpus: Self.corpus + "\n{\"text\": 1}\n")
        #expect {
            _ = try RetrievalDataset(folder: badLine.path)
        } throws: {
            ($0 as? Failure)?.message.contains("corpus.jsonl, line 5: ") == true
        }
        let unanswered = try Self.folder(judgements: "query-id\tcorpus-id\tscore\n")
        #expect {
            _ = try RetrievalDataset(folder: unanswered.path)
        } throws: {
            ($0 as? Failure)?.code == .invalid
        }
    }
}
