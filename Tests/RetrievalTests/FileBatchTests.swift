import Core
import TestSupport
import Testing

@testable import Retrieval

@Suite struct FileBatchTests {
    @Test("A batch attaches all of its files with their attributes, and says how far they are")
    func created() async throws {
        let desk = try Desk()
        let store = try await desk.library.createCollection(named: "Store", for: .alice).id
        let ready = try await desk.add("Boats float.", as: "a.txt").document
        let pending = try await desk.upload("Lamps burn.", as: "b.txt").documentID
        let batch = try await desk.library.createBatch(
            of: [(ready, ["year": .number(2024)]), (pending, nil)], in: store, for: .alice)
        #expect(Set(batch.documents.map(\.id)) == [ready, pending])
        #expect(batch.documents.first { $0.id == ready }?.attributes == ["year": .number(2024)])
        #expect(!batch.isCancelled && batch.documents.count { $0.state == .pending } == 1)
        let again = try await desk.library.batch(batch.id, in: store, for: .alice)
        #expect(again == batch)

        let cancelled = try await desk.library.cancelBatch(batch.id, in: store, for: .alice)
        #expect(cancelled.isCancelled && cancelled.documents.map(\.id) == [ready])
        #expect(cancelled.cancelled.map(\.id) == [pending])
        // Out of the store, and still there.
        let inStore = try await desk.library.documents(in: store, for: .alice).map(\.id)
        #expect(inStore == [ready])
        #expect(try await desk.library.document(pending, for: .alice).id == pending)
    }

    @Test("All files of a batch are attached, or none")
    func allOrNone() async throws {
        let desk = try Desk()
        let store = try await desk.library.createCollection(named: "Store", for: .alice).id
        let mine = try await desk.add("Boats float.", as: "a.txt").document
        let others = try await desk.add("Secret.", as: "s.txt", for: .mallory).document
        let refused = await failure {
            _ = try await desk.library.createBatch(
                of: [(mine, nil), (others, nil)], in: store, for: .alice)
        }
        #expect(refused?.code == .notFound)
        #expect(try await desk.library.documents(in: store, for: .alice).isEmpty)
    }

    @Test("Another user's batch is not there, nor one of another collection")
    func anothers() async throws {
        let desk = try Desk()
        let store = try await desk.library.createCollection(named: "Store", for: .alice).id
        let other = try await desk.library.createCollection(named: "Other", for: .alice).id
        let file = try await desk.add("Boats float.", as: "a.txt").document
        let batch = try await desk.library.createBatch(of: [(file, nil)], in: store, for: .alice)
        for (principal, place) in [(Principal.mallory, store), (.alice, other)] {
            for attempt in [desk.library.batch, desk.library.cancelBatch] {
                let refused = await failure { _ = try await attempt(batch.id, place, principal) }
                #expect(refused?.code == .notFound)
            }
        }
        // It goes with its collection.
        try await desk.library.removeCollection(store, keepingDocuments: true, for: .alice)
        let gone = await failure {
            _ = try await desk.library.batch(batch.id, in: store, for: .alice)
        }
        #expect(gone?.code == .notFound)
    }
}
