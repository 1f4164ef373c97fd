import Core
import Egress
import Foundation
import GRDB
import Storage
import TestSupport
import Testing

@testable import Retrieval

@Suite struct IngestTroubleTests {
    private func counts(_ library: Library) async throws -> [Int] {
        try await library.store.pool.read { database in
            try ["passage", "vector", "extraction"].map {
                try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM \($0)") ?? 0
            }
        }
    }

    @Test("A job that a restart cut off runs again to the same end")
    func restart() async throws {
        let desk = try Desk { $0.embeddingBatchMax = 2 }
        let ingestion = try await desk.upload(Samples.guide)
        let job = try #require(desk.jobs.jobs.first)
        // The server stops at the third report: the task is cancelled, the job is not.
        let stopped = Task {
            var reports = 0
            try await desk.library.run(job, for: .alice) { _ in
                reports += 1
                guard reports == 3 else { return }
                withUnsafeCurrentTask { $0?.cancel() }
                try Task.checkCancellation()
            }
        }
        let error = await stopped.result
        let between = try await counts(desk.library)
        try desk.library.store.close()
        let second = try desk.another()
        let reports = try await desk.jobs.run(ingestion.jobID, with: second, for: .alice)
        let once = try await counts(second)
        try await second.run(job, for: .alice) { _ in }

        #expect(throws: CancellationError.self) { try error.get() }
        #expect(between == [0, 0, 0])
        #expect(once == [reports.last?.total, reports.last?.total, 1])
        #expect(try await counts(second) == once)
    }

    @Test("A cancelled job leaves nothing behind", arguments: [1, 2, 3])
    func cancelled(atReport: Int) async throws {
        let desk = try Desk { $0.embeddingBatchMax = 2 }
        let ingestion = try await desk.upload(Samples.guide)
        let job = try #require(desk.jobs.jobs.first)
        var reports = 0
        await #expect(throws: CancellationError.self) {
            try await desk.library.run(job, for: .alice) { _ in
                reports += 1
                if reports == atReport { throw CancellationError() }
            }
        }

        #expect(try await counts(desk.library) == [0, 0, 0])
        #expect(try await desk.documents().isEmpty)
        let gone = await failure {
            _ = try await desk.library.text(of: ingestion.documentID, for: .alice)
        }
        #expect(gone?.code == .notFound)
    }

    @Test("A job that was cancelled while it waited takes its document along")
    func cancelledWaiting() async throws {
        let desk = try Desk()
        let ingestion = try await desk.upload("Boats.")
        let waiting = try await desk.documents().count
        try await desk.jobs.cancel(ingestion.jobID, for: .alice)
        #expect(waiting == 1)
        #expect(try await desk.documents().isEmpty)
    }

    @Test("On a full disk the job fails with that reason, and nothing half-indexed is found")
    func diskFull() async throws {
        let desk = try Desk()
        try await desk.add("Boats float.", as: "boats.txt")
        let words = (0..<4000).map { "word\($0) habits." }.joined(separator: " ")
        let ingestion = try await desk.upload(words, as: "big.txt")
        let pool = desk.library.store.pool
        try await pool.write { database in
            let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
            _ = try Int.fetchOne(database, sql: "PRAGMA max_page_count = \(pages + 8)")
        }
        let failed = await failure {
            try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .alice)
        }
        let refused = await failure {
            try await desk.upload(String(repeating: words, count: 3), as: "more.txt")
        }
        let document = try await desk.documents().first { $0.name == "big.txt" }

        #expect(failed?.message.hasPrefix("The disk is full") == true)
        #expect(refused?.message.hasPrefix("The disk is full") == true)
        #expect(document?.state == .failed && document?.failure == failed?.message)
        #expect(try await desk.search("habits").isEmpty)
        #expect(try await counts(desk.library) == [1, 1, 1])
        #expect(try await desk.search("boats").count == 1)

        // With room again the same file works.
        try await pool.write { _ = try Int.fetchOne($0, sql: "PRAGMA max_page_count = 100000") }
        try await desk.add(words, as: "big.txt")
        #expect(try await desk.search("habits").isEmpty == false)
    }

    @Test("A file without words fails with a sentence, and can be sent again")
    func wordless() async throws {
        let desk = try Desk()
        let failed = await failure { try await desk.add(" \n ", as: "a.txt") }
        let document = try #require(try await desk.documents().first)
        let again = await failure { try await desk.add(" \n ", as: "a.txt") }

        #expect(failed?.message == "“a.txt” has no text that could be searched.")
        #expect(document.state == .failed && document.failure == failed?.message)
        #expect(again?.message == failed?.message)
        #expect(try await desk.documents().count == 1)
    }

    @Test("Where no job can be had nothing is kept")
    func noJob() async throws {
        let desk = try Desk()
        desk.jobs.refuse(with: Failure(.unavailable, "No jobs today."))
        let refused = await failure { try await desk.upload("Boats.") }
        desk.jobs.refuse(with: nil)

        #expect(refused?.message == "No jobs today.")
        #expect(try await desk.documents().isEmpty)
    }

    @Test("A file that the server lost between two steps says so, and can be sent again")
    func lost() async throws {
        let desk = try Desk()
        _ = try await desk.library.documents.keep(
            Upload(name: "a.txt", mediaType: "", bytes: [65], collectionID: nil),
            mediaType: "text/plain", for: .alice)
        let fresh = try await desk.documents().map(\.state)
        desk.clock.advance(by: .seconds(120))
        let old = try await desk.documents().map(\.state)
        try await desk.add("A", as: "a.txt")

        #expect(fresh == [.pending] && old == [.failed])
        #expect(try await desk.documents().map(\.state) == [.ready])
    }

    @Test("A document that is removed while it is read stays removed")
    func removedMeanwhile() async throws {
        let desk = try Desk()
        let ingestion = try await desk.upload(Samples.guide)
        let job = try #require(desk.jobs.jobs.first)
        let failed = await failure {
            try await desk.library.run(job, for: .alice) { progress in
                guard progress.total > 0 else { return }
                try? await desk.library.remove(document: ingestion.documentID, for: .alice)
            }
        }
        #expect(failed?.code == .notFound)
        #expect(try await counts(desk.library) == [0, 0, 0])
    }

    @Test(
        "A model that answers with rubbish leaves words to search by",
        arguments: [[Float.nan, 1], [0, 0], [1, 0, 0], []] as [[Float]])
    func rubbish(values: [Float]) async throws {
        struct Broken: Embedder {
            let values: [Float]
            func embed(_ request: EmbeddingRequest) async throws -> Embeddings {
                Embeddings(
                    candidate: "broken/model", dimensions: 2, values: values, usage: TokenUsage())
            }
        }
        let folder = try TemporaryFolder()
        let jobs = ScriptedJobQueue()
        let library = try Library(
            RetrievalConfiguration(), folder: folder.path, embedder: Broken(values: values),
            jobs: jobs, client: HTTPClient(EgressConfiguration()), environment: .manual())
        let ingestion = try await library.ingest(
            Upload(
                name: "a.txt", mediaType: "", bytes: Array("Boats float.".utf8), collectionID: nil),
            for: .alice)
        let reports = try await jobs.run(ingestion.jobID, with: library, for: .alice)
        let hits = try await library.search(
            SearchRequest(principal: .alice, text: "boats", collectionIDs: [], limit: 3))

        #expect(reports.last?.message.contains("keywords only") == true)
        #expect(hits.count == 1 && hits.first?.similarity == nil)
    }
}
