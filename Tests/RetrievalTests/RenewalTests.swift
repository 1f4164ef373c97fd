import Core
import Foundation
import GRDB
import Storage
import TestSupport
import Testing

@testable import Retrieval

/// A document that is read again.
@Suite struct RenewalTests {
    @Test("It is found as it was until the new passages are there, and then once")
    func findable() async throws {
        let desk = try Desk()
        let document = try await desk.add("The red boats rest.", as: "a.txt").document
        let before = try await desk.search("red boats")
        let ingestion = try await desk.library.renew(
            document: document, vectorsOnly: false, for: .alice)
        let job = try #require(desk.jobs.jobs.last)
        var between: [[SearchHit]] = [try await desk.search("red boats")]
        try await desk.library.run(job, for: .alice) { _ in
            between.append(try await desk.search("red boats"))
        }
        let after = try await desk.search("red boats")

        #expect(ingestion.documentID == document)
        // The last report comes when it is done.
        #expect(between.count > 2 && between.dropLast().allSatisfy { $0 == before })
        #expect(after.map(\.passage.text) == before.map(\.passage.text))
        #expect(after.map(\.passage.id) != before.map(\.passage.id))
        #expect(after.first?.vectorRank == 1)
        #expect(try await desk.documents().map(\.passageCount) == [1])
        let terms = try await desk.library.store.pool.read { database in
            try Int.fetchOne(
                database,
                sql: "SELECT COUNT(*) FROM passage_terms WHERE passage_terms MATCH 'boats'")
        }
        #expect(terms == 1)
        // It was read again once: the job coming a second time changes nothing.
        try await desk.library.run(job, for: .alice) { _ in }
        #expect(try await desk.search("red boats").map(\.passage.id) == after.map(\.passage.id))
    }

    private enum End: CaseIterable { case calledOff, failed, stopped }

    @Test("Whatever ends the reading, the document stays what it was", arguments: End.allCases)
    private func ended(end: End) async throws {
        let desk = try Desk()
        let document = try await desk.add("The red boats rest.", as: "a.txt").document
        let before = try await desk.search("red boats")
        let ingestion = try await desk.library.renew(
            document: document, vectorsOnly: false, for: .alice)
        let job = try #require(desk.jobs.jobs.last)
        if end == .failed {
            try await desk.library.store.pool.write { database in
                try database.execute(sql: "UPDATE original SET bytes = x'20'")
            }
        }
        let run = Task {
            try await desk.library.run(job, for: .alice) { _ in
                if end == .calledOff { throw CancellationError() }
                guard end == .stopped else { return }
                withUnsafeCurrentTask { $0?.cancel() }
                try Task.checkCancellation()
            }
        }
        let result = await run.result

        #expect(throws: (any Error).self) { try result.get() }
        #expect(try await desk.search("red boats") == before)
        #expect(try await desk.documents().map(\.state) == [.ready])
        // Only the server's end leaves the job to be done.
        try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .alice)
        let isNew = try await desk.search("red boats").map(\.passage.id) != before.map(\.passage.id)
        #expect(isNew == (end == .stopped))
    }

    @Test("One that failed is read as if it had just come")
    func failedBefore() async throws {
        let desk = try Desk()
        _ = await failure { try await desk.add(" ", as: "a.txt") }
        let document = try #require(try await desk.documents().first)
        _ = try await desk.library.renew(document: document.id, vectorsOnly: false, for: .alice)
        #expect(try await desk.documents().map(\.state) == [.pending])
    }
}
