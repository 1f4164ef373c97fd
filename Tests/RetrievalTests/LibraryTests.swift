import Core
import Foundation
import GRDB
import Storage
import TestSupport
import Testing

@testable import Retrieval

@Suite struct LibraryTests {
    @Test("An uploaded document is searchable once its job has run, and not before")
    func ingest() async throws {
        let desk = try Desk()
        let ingestion = try await desk.upload(Samples.guide, as: "guide.txt")
        let before = try await desk.search("Which three habits keep the bill down?")
        let pending = try await desk.documents()
        let reports = try await desk.jobs.run(
            ingestion.jobID, with: desk.library, for: .alice)
        let hits = try await desk.search("Which three habits keep the bill down?")
        let ready = try await desk.documents()

        #expect(before.isEmpty && pending.map(\.state) == [.pending])
        #expect(ready.map(\.state) == [.ready] && ready.first?.id == ingestion.documentID)
        #expect(ready.first?.passageCount == reports.last?.total)
        #expect(reports.last?.message.hasPrefix("“guide.txt” is ready: ") == true)
        #expect(hits.first?.passage.text.contains("Three habits keep the bill down:") == true)
        #expect(hits.first?.passage.text.contains("Context management:") == true)
        #expect(hits.first?.keywordRank == 1 && hits.first?.vectorRank == 1)
        #expect(try await desk.library.collections(for: .alice).map(\.name) == ["Documents"])
    }

    @Test("A passage is found in its place in the document's text")
    func place() async throws {
        let desk = try Desk()
        let (document, _) = try await desk.add("Ünï 👩‍👩‍👧\n\n" + Samples.guide, as: "guide.txt")
        let (summary, text) = try await desk.library.text(of: document, for: .alice)
        let scalars = Array(text.unicodeScalars)
        let hits = try await desk.search("vector database layer habits model", limit: 50)

        #expect(summary.id == document && hits.count > 3)
        for hit in hits {
            let slice = scalars[hit.passage.start..<hit.passage.end]
            #expect(String(String.UnicodeScalarView(slice)) == hit.passage.text)
        }
    }

    @Test("Passages are embedded in batches, under the line that says where they stand")
    func batches() async throws {
        let desk = try Desk { $0.embeddingBatchMax = 3 }
        let (_, reports) = try await desk.add(Samples.guide, as: "guide.txt")
        let count = try #require(reports.last?.total)

        #expect(desk.embedder.batches.reduce(0, +) == count && desk.embedder.batches.max() == 3)
        #expect(reports.map(\.done) == [0] + Array(stride(from: 0, to: count, by: 3)) + [count])
        #expect(
            desk.embedder.texts.contains {
                $0.hasPrefix(
                    "The Cloud Architecture Behind Every AI App > Layer 7: Cost and FinOps\nAI apps"
                )
            })
    }

    @Test("Without an embedding model words find the document, and the job says so")
    func keywordsOnly() async throws {
        let desk = try Desk(embedder: .missing)
        let (_, reports) = try await desk.add(Samples.guide, as: "guide.txt")
        let hits = try await desk.search("Which three habits keep the bill down?")

        #expect(reports.last?.message.contains("Found by keywords only for now.") == true)
        #expect(hits.first?.passage.text.contains("Three habits keep the bill down:") == true)
        #expect(hits.first?.vectorRank == nil && hits.first?.similarity == nil)
    }

    @Test("Vectors that could not be made are made with the next document, and at the next start")
    func lateVectors() async throws {
        let desk = try Desk(embedder: .missing)
        try await desk.add(Samples.guide, as: "guide.txt")
        try await desk.add("Mallory's own words.", for: .mallory)
        desk.embedder.fail(with: nil)
        try await desk.add("Another text about boats.", as: "boats.txt")
        let afterNext = try await desk.search("three habits keep the bill down").first
        let others = try await desk.search("Mallory's own words", for: .mallory).first
        let made = try await desk.library.embedMissing(of: nil, model: nil)
        let afterStart = try await desk.search("Mallory's own words", for: .mallory).first

        #expect(afterNext?.vectorRank == 1 && others?.vectorRank == nil)
        #expect(made == 1 && afterStart?.vectorRank == 1)
    }

    @Test("The service makes missing vectors by itself")
    func service() async throws {
        let desk = try Desk(embedder: .missing)
        try await desk.add(Samples.guide, as: "guide.txt")
        desk.embedder.fail(with: nil)
        let service = Task { try await desk.library.run() }
        var rank: Int?
        for _ in 0..<500 where rank == nil {
            try await Task.sleep(for: .milliseconds(10))
            rank = try await desk.search("three habits keep the bill down").first?.vectorRank
        }
        service.cancel()
        try await service.value

        #expect(rank == 1)
    }

    // MARK: The same name again

    @Test("The same file sent twice is one document")
    func again() async throws {
        let desk = try Desk()
        let first = try await desk.add(Samples.guide, as: "guide.txt")
        let second = try await desk.add(Samples.guide, as: "guide.txt")
        let copy = try await desk.add(Samples.guide, as: "copy.txt")
        let collections = try await desk.library.collections(for: .alice)

        #expect(first.document == second.document && copy.document != first.document)
        #expect(second.reports.last?.message.contains("is ready") == true)
        #expect(collections.map(\.documentCount) == [2])
        #expect(collections.map(\.passageCount) == [2 * (first.reports.last?.total ?? 0)])
    }

    @Test("A new version takes the old one's place once it is ready")
    func newVersion() async throws {
        let desk = try Desk()
        let old = try await desk.add("The password is swordfish.", as: "a.txt")
        let new = try await desk.upload("The password is marlin.", as: "a.txt")
        let during = try await desk.search("password")
        try await desk.jobs.run(new.jobID, with: desk.library, for: .alice)
        let after = try await desk.search("password")

        #expect(during.map(\.passage.documentID) == [old.document])
        #expect(after.map(\.passage.text) == ["The password is marlin."])
        #expect(try await desk.documents().map(\.id) == [new.documentID])
    }

    @Test("A version that was overtaken by a newer one does not come back")
    func overtaken() async throws {
        let desk = try Desk()
        let old = try await desk.upload("The password is swordfish.", as: "a.txt")
        let new = try await desk.upload("The password is marlin.", as: "a.txt")
        let oldJob = try #require(desk.jobs.jobs.first)
        let late = await failure {
            // While the old one is read, the new one becomes ready.
            try await desk.library.run(oldJob, for: .alice) { progress in
                guard progress.total > 0 else { return }
                try await desk.jobs.run(new.jobID, with: desk.library, for: .alice)
            }
        }
        let found = try await desk.search("password")

        #expect(late?.message == "The document was removed or replaced before it was indexed.")
        #expect(old.documentID != new.documentID)
        #expect(found.map(\.passage.text) == ["The password is marlin."])
        #expect(try await desk.documents().map(\.id) == [new.documentID])
    }

    // MARK: Owners

    @Test("What is another's is not there")
    func owners() async throws {
        let desk = try Desk()
        let mine = try await desk.add(Samples.guide, as: "guide.txt")
        let collection = try #require(try await desk.library.collections(for: .alice).first)
        let library = desk.library
        let attempts: [() async throws -> Void] = [
            { _ = try await library.text(of: mine.document, for: .mallory) },
            { try await library.remove(document: mine.document, for: .mallory) },
            { _ = try await library.documents(in: collection.id, for: .mallory) },
            {
                try await library.removeCollection(
                    collection.id, keepingDocuments: true, for: .mallory)
            },
            { try await desk.add("x", for: .mallory, in: collection.id) },
            { _ = try await desk.search("habits", for: .mallory, in: [collection.id]) },
            {
                let job = try #require(desk.jobs.jobs.first)
                try await library.run(job, for: .mallory) { _ in }
            },
        ]
        for attempt in attempts { #expect(await failure(of: attempt)?.code == .notFound) }

        #expect(try await desk.search("habits", for: .mallory).isEmpty)
        #expect(try await desk.documents(for: .mallory).isEmpty)
        #expect(try await desk.documents().count == 1)
        // Administrators look after the appliance, not into documents.
        #expect(try await desk.search("habits", for: .owner).isEmpty)
    }

    @Test("Another's passages take no place in one's own results")
    func crowd() async throws {
        let desk = try Desk { $0.candidatesMax = 5 }
        try await desk.add("Boats float on water, said Alice.", as: "boats.txt")
        for number in 1...12 {
            try await desk.add("Boats boats boats float.", as: "b\(number).txt", for: .mallory)
        }
        let hit = try await desk.search("boats float").first

        #expect(hit?.keywordRank == 1 && hit?.vectorRank == 1)
        #expect(hit?.passage.documentName == "boats.txt")
    }

    @Test("A search stays in the collections it names")
    func scope() async throws {
        let desk = try Desk()
        let work = try await desk.library.createCollection(named: "Work", for: .alice)
        let home = try await desk.library.createCollection(named: "Home", for: .alice)
        try await desk.add("Boats at work.", as: "a.txt", in: work.id)
        try await desk.add("Boats at home.", as: "b.txt", in: home.id)

        let found = try await desk.search("boats", in: [home.id])
        let both = try await desk.search("boats", in: [home.id, work.id, home.id])
        #expect(found.map(\.passage.text) == ["Boats at home."] && both.count == 2)
        #expect(try await desk.search("boats").count == 2)
    }

    @Test("Collections have names of their own, and go with all that is in them")
    func collections() async throws {
        let desk = try Desk()
        let work = try await desk.library.createCollection(named: " Work ", for: .alice)
        let twice = await failure {
            _ = try await desk.library.createCollection(named: "Work", for: .alice)
        }
        let empty = await failure {
            _ = try await desk.library.createCollection(named: " ", for: .alice)
        }
        _ = try await desk.library.createCollection(named: "Work", for: .mallory)
        let (document, _) = try await desk.add("Boats.", in: work.id)
        try await desk.library.removeCollection(
            work.id, keepingDocuments: false, for: .alice)

        #expect(work.name == "Work" && twice?.code == .conflict && empty?.code == .invalid)
        #expect(try await desk.search("boats").isEmpty)
        let gone = await failure { _ = try await desk.library.text(of: document, for: .alice) }
        #expect(gone?.code == .notFound)
    }

    @Test("A document that was removed is found no more, by words or by meaning")
    func removal() async throws {
        let desk = try Desk()
        let (document, _) = try await desk.add(Samples.guide, as: "guide.txt")
        try await desk.add("Boats float.", as: "boats.txt")
        try await desk.library.remove(document: document, for: .alice)
        let tables = try await desk.library.store.pool.read { database in
            try ["original", "extraction", "passage", "vector", "document"].map {
                try Int.fetchOne(database, sql: "SELECT COUNT(*) FROM \($0)") ?? 0
            }
        }
        let words = try await desk.library.store.pool.read { database in
            try Int.fetchOne(
                database,
                sql: "SELECT COUNT(*) FROM passage_terms WHERE passage_terms MATCH 'habit'")
        }

        #expect(try await desk.search("three habits").isEmpty)
        #expect(tables == [1, 1, 1, 1, 1] && words == 0)
    }
}
