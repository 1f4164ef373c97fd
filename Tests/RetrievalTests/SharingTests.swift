import Core
import Foundation
import TestSupport
import Testing

@testable import Retrieval

@Suite struct SharingTests {
    private static let team = Environment.manual(ManualClock(), seed: 7).identifier()

    /// Mallory as a member of a team.
    private static var teamed: Principal {
        var principal = Principal.mallory
        principal.teamIDs = [team]
        return principal
    }

    /// A shared collection with a document, and one that is not shared.
    private struct Scene {
        let desk: Desk
        let shared: Identifier
        let document: Identifier
        let secret: Identifier

        init() async throws {
            desk = try Desk()
            shared = try await desk.library.createCollection(named: "Boats", for: .alice).id
            document = try await desk.add(
                "Boats float in the harbour.", as: "boats.txt", in: shared
            ).document
            secret = try await desk.add(
                "The harbour has a secret boats door.", as: "secret.txt"
            ).document
        }

        func share(_ access: CollectionAccess?, with grantee: Identifier) async throws {
            try await desk.library.share(shared, with: grantee, access, for: .alice)
        }

        func found(_ principal: Principal) async throws -> [String] {
            try await desk.search("harbour boats", for: principal).map(\.passage.documentName)
                .sorted()
        }

        /// What reading comes to: the name of the failure where it is refused.
        func reads(_ principal: Principal) async -> [Failure.Code?] {
            let library = desk.library
            let attempts: [() async throws -> Void] = [
                { _ = try await library.text(of: document, for: principal) },
                { _ = try await library.content(of: document, for: principal) },
                { _ = try await library.document(document, for: principal) },
                { _ = try await library.documents(in: shared, for: principal) },
                { _ = try await desk.search("boats", for: principal, in: [shared]) },
            ]
            return await codes(attempts)
        }

        func writes(_ principal: Principal) async -> [Failure.Code?] {
            let library = desk.library
            var change = DocumentChange()
            change.tags = ["taken"]
            let attempts: [() async throws -> Void] = [
                { try await desk.add("Planted.", for: principal, in: shared) },
                { _ = try await library.changeDocument(document, change, for: principal) },
                { try await library.remove(document: document, for: principal) },
            ]
            return await codes(attempts)
        }

        func owns(_ principal: Principal) async -> [Failure.Code?] {
            let library = desk.library
            let attempts: [() async throws -> Void] = [
                { _ = try await library.changeCollection(shared, .init(), for: principal) },
                { _ = try await library.shares(of: shared, for: principal) },
                {
                    try await library.share(
                        shared, with: Principal.owner.userID, .write, for: principal)
                },
                {
                    try await library.removeCollection(
                        shared, keepingDocuments: true, for: principal)
                },
            ]
            return await codes(attempts)
        }

        private func codes(_ attempts: [() async throws -> Void]) async -> [Failure.Code?] {
            var codes: [Failure.Code?] = []
            for attempt in attempts { codes.append(await failure(of: attempt)?.code) }
            return codes
        }
    }

    @Test("What is not shared is not there, for members and administrators alike")
    func unshared() async throws {
        let scene = try await Scene()
        for stranger in [Principal.mallory, .owner] {
            #expect(try await scene.found(stranger).isEmpty)
            #expect(try await scene.desk.library.collections(for: stranger).isEmpty)
            #expect(await scene.reads(stranger).allSatisfy { $0 == .notFound })
            #expect(await scene.writes(stranger).allSatisfy { $0 == .notFound })
            #expect(await scene.owns(stranger).allSatisfy { $0 == .notFound })
        }
    }

    @Test("A reader reads what is shared and nothing else, and changes nothing")
    func reader() async throws {
        let scene = try await Scene()
        try await scene.share(.read, with: Principal.mallory.userID)
        let seen = try await scene.desk.library.collections(for: .mallory)

        #expect(try await scene.found(.mallory) == ["boats.txt"])
        #expect(seen.map(\.access) == [.read] && seen.map(\.ownerID) == [Principal.alice.userID])
        #expect(await scene.reads(.mallory).allSatisfy { $0 == nil })
        #expect(await scene.writes(.mallory).allSatisfy { $0 == .forbidden })
        #expect(await scene.owns(.mallory).allSatisfy { $0 == .forbidden })
        let other = await failure {
            _ = try await scene.desk.library.text(of: scene.secret, for: .mallory)
        }
        #expect(other?.code == .notFound)
        #expect(try await scene.found(.alice) == ["boats.txt", "secret.txt"])
    }

    @Test("A writer adds and removes; the collection stays its owner's")
    func writer() async throws {
        let scene = try await Scene()
        try await scene.share(.write, with: Principal.mallory.userID)
        let added = try await scene.desk.add(
            "More boats by Mallory.", as: "more.txt", for: .mallory, in: scene.shared)

        #expect(try await scene.found(.alice) == ["boats.txt", "more.txt", "secret.txt"])
        #expect(await scene.owns(.mallory).allSatisfy { $0 == .forbidden })
        // What Mallory added belongs to the collection, and goes with it.
        let own = try await scene.desk.library.createCollection(named: "Mine", for: .mallory)
        var move = DocumentChange()
        move.collectionID = own.id
        let carried = await failure {
            _ = try await scene.desk.library.changeDocument(scene.document, move, for: .mallory)
        }
        let attached = await failure {
            _ = try await scene.desk.library.attach(
                scene.document, to: own.id, true, for: .mallory)
        }
        #expect(carried?.code == .forbidden && attached?.code == .forbidden)
        try await scene.desk.library.remove(document: scene.document, for: .mallory)
        try await scene.share(nil, with: Principal.mallory.userID)
        let after = await failure {
            _ = try await scene.desk.library.text(of: added.document, for: .mallory)
        }
        #expect(after?.code == .notFound)
        #expect(try await scene.found(.mallory).isEmpty)
    }

    @Test("A share that ends has ended, for searches, texts, files and citations")
    func revoked() async throws {
        let scene = try await Scene()
        try await scene.share(.read, with: Principal.mallory.userID)
        let ids: Set = [scene.document]
        let before = try await scene.desk.library.hidden(ids, from: .mallory)
        try await scene.share(nil, with: Principal.mallory.userID)

        #expect(before.isEmpty)
        #expect(try await scene.desk.library.hidden(ids, from: .mallory) == ids)
        #expect(try await scene.desk.library.hidden(ids, from: .alice).isEmpty)
        #expect(try await scene.found(.mallory).isEmpty)
        #expect(await scene.reads(.mallory).allSatisfy { $0 == .notFound })
    }

    @Test("A team's members have what the team has, for as long as they are in it")
    func teams() async throws {
        let scene = try await Scene()
        try await scene.share(.write, with: Self.team)
        #expect(try await scene.found(Self.teamed) == ["boats.txt"])
        #expect(try await scene.found(.mallory).isEmpty)
        try await scene.share(.read, with: Principal.mallory.userID)
        let access = try await scene.desk.library.collections(for: Self.teamed).map(\.access)
        #expect(access == [.write])
        #expect(try await scene.desk.library.shares(of: scene.shared, for: .alice).count == 2)
    }

    @Test("A key that is limited to collections sees nothing beside them")
    func limitedKey() async throws {
        let scene = try await Scene()
        var limited = Principal.alice
        limited.collectionIDs = [scene.shared]
        let library = scene.desk.library

        #expect(try await scene.found(limited) == ["boats.txt"])
        #expect(try await library.collections(for: limited).map(\.id) == [scene.shared])
        #expect(try await library.documents(in: nil, for: limited).map(\.id) == [scene.document])
        let other = await failure { _ = try await library.text(of: scene.secret, for: limited) }
        #expect(other?.code == .notFound)
        let made = await failure {
            _ = try await library.createCollection(named: "New", for: limited)
        }
        #expect(made?.code == .forbidden)
        // What it uploads goes to its only collection.
        let added = try await scene.desk.add("Key boats.", as: "key.txt", for: limited)
        let summary = try await library.document(added.document, for: .alice)
        #expect(summary.collectionID == scene.shared)
        limited.collectionIDs = []
        #expect(try await scene.found(limited).isEmpty)
    }

    @Test("The owner of a document alone sees where it came from and what it resembles")
    func privateDetails() async throws {
        let scene = try await Scene()
        let upload = Upload(
            name: "copy.txt", mediaType: "", bytes: Array(Samples.guide.utf8),
            collectionID: nil, source: "/home/alice/guide.txt")
        let first = try await scene.desk.library.ingest(upload, for: .alice)
        try await scene.desk.jobs.run(first.jobID, with: scene.desk.library, for: .alice)
        try await scene.share(.write, with: Principal.mallory.userID)
        let second = try await scene.desk.add(
            Samples.guide, as: "guide.txt", for: .mallory, in: scene.shared)
        let hers = try await scene.desk.library.document(second.document, for: .alice)
        let his = try await scene.desk.library.document(second.document, for: .mallory)

        #expect(hers.similarTo == first.documentID && his.similarTo == nil)
        #expect(second.reports.last?.message.contains("copy.txt") == false)
    }
}
