import Core
import Foundation
import GRDB
import Storage
import TestSupport
import Testing

@testable import Retrieval

/// What a search says of a document that should have been found.
@Suite struct ExplainTests {
    private static func explain(
        _ desk: Desk, _ text: String, expecting document: Identifier? = nil,
        for principal: Principal = .alice, in collections: [Identifier] = [], limit: Int = 20
    ) async throws -> SearchExplanation {
        try await desk.library.explain(
            SearchRequest(
                principal: principal, text: text, collectionIDs: collections, limit: limit,
                documentID: document))
    }

    @Test("A document's passages have their ranks, scores and words, and its text is shown")
    func document() async throws {
        let desk = try Desk()
        for number in 0..<12 {
            try await desk.add("Boats boats rest here, number \(number).", as: "d\(number).txt")
        }
        let wanted = try await desk.add(
            "Among the many things that people leave behind there are also boats.", as: "wanted.txt"
        ).document
        let explanation = try await Self.explain(
            desk, "boats paddle", expecting: wanted, limit: 5)
        let expected = try #require(explanation.expected)
        let rank = try #require(expected.hits.first?.rank)
        #expect(rank > 5 && explanation.hits.map(\.rank) == [1, 2, 3, 4, 5])
        #expect(explanation.documentCount == 13 && explanation.passageCount == 13)
        #expect(expected.words == ["boats"] && expected.missingWords == ["paddle"])
        #expect(expected.hits.first?.keywordScore ?? 0 > 0)
        #expect(expected.hits.first?.similarity != nil)
        #expect(expected.excerpt.hasPrefix("Among the many") && expected.characterCount > 60)
        #expect(expected.isSearched && expected.passagesWithoutVector == 0)
        // The rank is the one it has when all are asked for.
        let all = try await desk.search("boats paddle", limit: 50)
        #expect(all[rank - 1].passage.documentName == "wanted.txt")
    }

    @Test("What was not found at all still has its own scores")
    func missed() async throws {
        let desk = try Desk { $0.candidatesMax = 3 }
        for number in 0..<8 { try await desk.add("boats rest \(number)", as: "d\(number).txt") }
        let far = try await desk.add("Nothing of the sort.", as: "far.txt").document
        let expected = try #require(
            try await Self.explain(desk, "boats rest", expecting: far).expected)
        #expect(expected.hits.map(\.rank) == [nil])
        #expect(expected.hits.first?.similarity != nil && expected.words.isEmpty)
    }

    @Test("A document of another collection, without vectors, or not read is said to be that")
    func states() async throws {
        let desk = try Desk(embedder: .missing)
        let other = try await desk.library.createCollection(named: "Other", for: .alice)
        let here = try await desk.add("boats", as: "here.txt").document
        let expected = try await Self.explain(desk, "boats", expecting: here, in: [other.id])
            .expected
        #expect(expected?.isSearched == false && expected?.passagesWithoutVector == 1)

        let pending = try await desk.upload("ferries", as: "pending.txt").documentID
        let waiting = try await Self.explain(desk, "ferries", expecting: pending).expected
        #expect(waiting?.document.state == .pending && waiting?.hits.isEmpty == true)
    }

    @Test("Nobody sees another's documents in an explanation, whatever is asked for")
    func isolation() async throws {
        let desk = try Desk()
        let secret = try await desk.add("The secret boats of Alice.", as: "secret.txt").document
        try await desk.add("The boats of Mallory.", as: "own.txt", for: .mallory)
        let collection = try #require(try await desk.library.collections(for: .alice).first).id

        let own = try await Self.explain(desk, "secret boats", for: .mallory)
        let seen = own.hits + own.dropped
        #expect(seen.map(\.passage.documentName) == ["own.txt"])
        #expect(own.documentCount == 1 && own.passageCount == 1)
        for (document, collections) in [(secret, []), (nil, [collection]), (secret, [collection])] {
            let refused = await failure {
                _ = try await Self.explain(
                    desk, "secret boats", expecting: document, for: .mallory, in: collections)
            }
            #expect(refused?.code == .notFound)
            #expect(refused?.message.contains("secret") == false)
        }
        let renewal = await failure {
            _ = try await desk.library.renew(document: secret, vectorsOnly: false, for: .mallory)
        }
        #expect(renewal?.code == .notFound)
        #expect(try await desk.search("secret").count == 1)
    }

    @Test("Vectors that are missing are made when asked for, also those of another model")
    func vectorsOnly() async throws {
        let embedder = ScriptedEmbedder(failing: Failure(.unavailable, "Not yet."))
        let desk = try Desk(embedder: embedder)
        let document = try await desk.add("The red boats.", as: "a.txt").document
        embedder.fail(with: nil)
        #expect(
            try await Self.explain(desk, "boats", expecting: document).expected?
                .passagesWithoutVector == 1)
        for candidate in ["scripted/words", "scripted/other"] {
            embedder.become(candidate)
            // The question's model is the one that counts.
            _ = try await desk.search("boats")
            let ingestion = try await desk.library.renew(
                document: document, vectorsOnly: true, for: .alice)
            #expect(try await desk.documents().map(\.state) == [.ready])
            try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .alice)
            let expected = try await Self.explain(desk, "boats", expecting: document).expected
            #expect(expected?.passagesWithoutVector == 0)
        }
    }
}
