import Core
import Egress
import Foundation
import GRDB
import Storage
import TestSupport
import Testing

@testable import Retrieval

/// What happens when another embedding model is configured.
@Suite struct ReembeddingTests {
    private static let question = "Which three habits keep the bill down?"

    private func notes(_ desk: Desk) async throws -> [String] {
        try await desk.library.explain(
            SearchRequest(
                principal: .alice, text: Self.question, collectionIDs: [], limit: 3)
        ).notes
    }

    private func vectorCounts(_ library: Library) async throws -> [String: Int] {
        try await library.store.pool.read { database in
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT candidate, COUNT(*) AS count FROM vector
                    JOIN embedding_model ON embedding_model.number = vector.model
                    GROUP BY candidate
                    """)
            return Dictionary(
                rows.map { ($0["candidate"] as String, $0["count"] as Int) },
                uniquingKeysWith: { first, _ in first })
        }
    }

    /// Looks what is to be done, and gives the job that does it.
    private func job(_ desk: Desk) async throws -> Job? {
        await desk.library.followModel()
        return desk.jobs.jobs.last { $0.kind == "reembed" }
    }

    @Test("The old vectors are searched until all of the new are there, then those and no others")
    func change() async throws {
        let desk = try Desk(limits: .small) { $0.embeddingBatchMax = 3 }
        let count = try #require(
            try await desk.add(Samples.guide, as: "guide.txt").reports.last?.total)
        let before = try await desk.search(Self.question)
        try await desk.library.index.settle()
        let oldFile = desk.folder.path + "/vectors-scripted-words-96.f32"
        #expect(FileManager.default.fileExists(atPath: oldFile))

        desk.embedder.become("new/model", dimensions: 64, keepingOld: true)
        let between = try await desk.search(Self.question)
        let job = try #require(try await job(desk))
        #expect(between == before)
        #expect(
            try await notes(desk) == [
                "All passages are being embedded again, with new/model: 0 of \(count) so far."
                    + " Until then those of scripted/words are searched."
            ])
        // One that is going is enough.
        #expect(try await self.job(desk)?.id == job.id)

        let reports = try await desk.jobs.run(job.id, with: desk.library.reembedding, for: .alice)
        let after = try await desk.search(Self.question)
        try await desk.library.index.settle()

        #expect(reports.first?.total == count && reports.last?.done == count)
        #expect(reports.map(\.done) == reports.map(\.done).sorted())
        #expect(reports.last?.message == "\(count) passages have vectors of new/model.")
        #expect(
            try await desk.library.vectors.serving()
                == EmbeddingModel(candidate: "new/model", dimensions: 64))
        #expect(after.first?.vectorRank == 1 && after.first?.passage == before.first?.passage)
        #expect(try await vectorCounts(desk.library) == ["new/model": count])
        #expect(try await notes(desk).isEmpty)
        #expect(!FileManager.default.fileExists(atPath: oldFile))
        #expect(try await self.job(desk)?.id == job.id)
    }

    @Test("Where the old model is gone words decide meanwhile, and an explanation says so")
    func gone() async throws {
        let desk = try Desk()
        try await desk.add(Samples.guide, as: "guide.txt")
        desk.embedder.become("new/model", dimensions: 64)
        let hits = try await desk.search(Self.question)
        let calls = desk.embedder.batches.count
        _ = try await desk.search(Self.question)

        #expect(hits.first?.keywordRank == 1 && hits.allSatisfy { $0.vectorRank == nil })
        #expect(
            try await notes(desk).first?.hasSuffix(
                "words alone decide, because scripted/words cannot embed the question any more.")
                == true)
        // Known to be gone, it is not asked again and again.
        #expect(desk.embedder.batches.count == calls)
    }

    @Test("The same name with vectors of another length is another model")
    func otherLength() async throws {
        let desk = try Desk()
        let count = try await desk.add(Samples.guide, as: "guide.txt").reports.last?.total
        desk.embedder.become("scripted/words", dimensions: 48)
        #expect(try await desk.search(Self.question).first?.vectorRank == nil)
        let job = try #require(try await job(desk))
        try await desk.jobs.run(job.id, with: desk.library.reembedding, for: .alice)
        #expect(try await desk.search(Self.question).first?.vectorRank != nil)
        #expect(try await vectorCounts(desk.library) == ["scripted/words": count])
    }

    @Test("A job that was cut off goes on where it was, also in another process")
    func cutOff() async throws {
        let desk = try Desk { $0.embeddingBatchMax = 2 }
        let count = try #require(
            try await desk.add(Samples.guide, as: "guide.txt").reports.last?.total)
        desk.embedder.become("new/model", dimensions: 64, keepingOld: true)
        _ = try await desk.search(Self.question)
        let job = try #require(try await job(desk))
        var reports = 0
        await #expect(throws: CancellationError.self) {
            try await desk.library.reembedding.run(job, for: .alice) { _ in
                reports += 1
                if reports == 3 { throw CancellationError() }
            }
        }
        let between = try await vectorCounts(desk.library)
        let stillOld = try await desk.library.vectors.serving()?.candidate
        try desk.library.store.close()
        let second = try desk.another()
        let calls = desk.embedder.texts.count
        try await desk.jobs.run(job.id, with: second.reembedding, for: .alice)

        #expect(between == ["scripted/words": count, "new/model": 4])
        #expect(stillOld == "scripted/words")
        // One more for the length of the vectors.
        #expect(desk.embedder.texts.count - calls == count - 4 + 1)
        #expect(try await vectorCounts(second) == ["new/model": count])
        #expect(try await second.vectors.serving()?.candidate == "new/model")
    }

    @Test("The name of the configured model is enough to begin, without a call")
    func atStart() async throws {
        let desk = try Desk()
        try await desk.add("Boats float.", as: "boats.txt")
        let calls = desk.embedder.batches.count
        try desk.library.store.close()
        let same = try desk.another(embedderName: "scripted/words")
        await same.followModel()
        #expect(desk.jobs.jobs.allSatisfy { $0.kind != "reembed" })
        try same.store.close()
        let second = try desk.another(embedderName: "new/model")
        await second.followModel()

        #expect(desk.jobs.jobs.count { $0.kind == "reembed" } == 1)
        #expect(desk.embedder.batches.count == calls)
    }

    @Test("A job that fails is tried again, later each time")
    func again() async throws {
        let desk = try Desk()
        try await desk.add("Boats float.", as: "boats.txt")
        desk.embedder.become("new/model", dimensions: 64, keepingOld: true)
        _ = try await desk.search("boats")
        var counts: [Int] = []
        for minutes in [0, 0, 1, 1, 1] {
            desk.clock.advance(by: .seconds(60 * minutes))
            let job = try #require(try await job(desk))
            if !job.state.isFinal {
                desk.embedder.fail(with: Failure(.unavailable, "Not now."))
                let failed = await failure {
                    try await desk.jobs.run(job.id, with: desk.library.reembedding, for: .alice)
                }
                #expect(failed?.message == "Not now.")
            }
            counts.append(desk.jobs.jobs.count { $0.kind == "reembed" })
        }
        #expect(counts == [1, 1, 2, 2, 3])
    }

    @Test("A document that comes meanwhile is found by its meaning, before and after")
    func meanwhile() async throws {
        let desk = try Desk()
        try await desk.add(Samples.guide, as: "guide.txt")
        desk.embedder.become("new/model", dimensions: 64, keepingOld: true)
        _ = try await desk.search(Self.question)
        let job = try #require(try await job(desk))
        try await desk.add("Oars are kept in the shed.", as: "oars.txt")
        let before = try await desk.search("Oars are kept where?").first
        try await desk.jobs.run(job.id, with: desk.library.reembedding, for: .alice)
        let after = try await desk.search("Oars are kept where?").first

        for hit in [before, after] {
            #expect(hit?.passage.documentName == "oars.txt" && hit?.vectorRank == 1)
        }
    }

    @Test("Who has no budget left holds up nobody, and is found by words")
    func budget() async throws {
        struct Purse: Embedder {
            let embedder: ScriptedEmbedder
            func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
                guard
                    request.purpose != "reembed"
                        || request.principal.userID
                            != Principal.mallory.userID
                else { throw Failure(.budgetExceeded, "Nothing is left.") }
                return try await embedder.embed(request)
            }
        }
        let folder = try TemporaryFolder()
        let (embedder, jobs) = (ScriptedEmbedder(), ScriptedJobQueue())
        let library = try Library(
            RetrievalConfiguration(), folder: folder.path, embedder: Purse(embedder: embedder),
            jobs: jobs, client: HTTPClient(EgressConfiguration()), environment: .manual())
        for principal in [Principal.alice, .mallory] {
            let ingestion = try await library.ingest(
                Upload(
                    name: "a.txt", mediaType: "", bytes: Array("Boats float.".utf8),
                    collectionID: nil), for: principal)
            try await jobs.run(ingestion.jobID, with: library, for: principal)
        }
        embedder.become("new/model", dimensions: 64)
        let alice = SearchRequest(
            principal: .alice, text: "boats", collectionIDs: [], limit: 3)
        let mallory = SearchRequest(
            principal: .mallory, text: "boats", collectionIDs: [], limit: 3)
        _ = try await library.search(alice)
        await library.followModel()
        let job = try #require(jobs.jobs.last)
        let reports = try await jobs.run(job.id, with: library.reembedding, for: .alice)

        #expect(reports.last?.message.contains("Words alone find those") == true)
        #expect(try await library.search(alice).first?.vectorRank == 1)
        #expect(try await library.search(mallory).first?.vectorRank == nil)
        // With money again, the next look makes what is missing.
        _ = try await library.embedMissing(of: nil, model: nil)
        #expect(try await library.search(mallory).first?.vectorRank == 1)
    }

    @Test("A passage that the new model refuses holds up no other, and words find it")
    func refused() async throws {
        struct Picky: Embedder {
            let embedder: ScriptedEmbedder
            func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
                guard request.purpose != "reembed" || !request.texts.contains(where: Self.isBad)
                else { throw Failure(.invalid, "A text is too long.") }
                return try await embedder.embed(request)
            }
            static func isBad(_ text: String) -> Bool { text.contains("gulls") }
        }
        let folder = try TemporaryFolder()
        let (embedder, jobs) = (ScriptedEmbedder(), ScriptedJobQueue())
        let library = try Library(
            RetrievalConfiguration(), folder: folder.path, embedder: Picky(embedder: embedder),
            jobs: jobs, client: HTTPClient(EgressConfiguration()), environment: .manual())
        for (name, text) in [("a", "Boats float."), ("b", "All gulls cry."), ("c", "Lamps burn.")] {
            let ingestion = try await library.ingest(
                Upload(
                    name: "\(name).txt", mediaType: "", bytes: Array(text.utf8), collectionID: nil),
                for: .alice)
            try await jobs.run(ingestion.jobID, with: library, for: .alice)
        }
        func first(_ text: String) async throws -> SearchHit? {
            let request = SearchRequest(
                principal: .alice, text: text, collectionIDs: [], limit: 3)
            let hits: [SearchHit] = try await library.search(request)
            return hits.first
        }
        embedder.become("new/model", dimensions: 64)
        _ = try await first("boats")
        await library.followModel()
        let job = try #require(jobs.jobs.last)
        let reports = try await jobs.run(job.id, with: library.reembedding, for: .alice)

        #expect(reports.last?.message.contains("refuses 1, which") == true)
        #expect(try await first("boats")?.vectorRank != nil)
        #expect(try await first("lamps")?.vectorRank != nil)
        let hit = try await first("gulls")
        #expect(hit?.passage.documentName == "b.txt" && hit?.vectorRank == nil)
    }

    @Test("A change that is taken back leaves nothing of the other model")
    func takenBack() async throws {
        let desk = try Desk { $0.embeddingBatchMax = 1 }
        try await desk.add(Samples.guide, as: "guide.txt")
        desk.embedder.become("new/model", dimensions: 64, keepingOld: true)
        _ = try await desk.search(Self.question)
        let job = try #require(try await job(desk))
        _ = await failure {
            try await desk.library.reembedding.run(job, for: .alice) { progress in
                if progress.done == 3 { throw CancellationError() }
            }
        }
        #expect(try await vectorCounts(desk.library)["new/model"] == 3)
        desk.embedder.become("scripted/words", dimensions: 96)
        try desk.library.store.close()
        let second = try desk.another(embedderName: "scripted/words")
        await second.followModel()
        #expect(try await vectorCounts(second).keys.sorted() == ["scripted/words"])
    }

    @Test("After the last document is gone the next model's vectors serve at once")
    func emptied() async throws {
        let desk = try Desk()
        let document = try await desk.add("Boats float.", as: "boats.txt").document
        try await desk.library.remove(document: document, for: .alice)
        desk.embedder.become("new/model", dimensions: 64)
        await desk.library.followModel()
        try await desk.add("Oars row.", as: "oars.txt")
        #expect(try await desk.search("oars").first?.vectorRank == 1)
        #expect(desk.jobs.jobs.allSatisfy { $0.kind == "ingest" })
    }
}
