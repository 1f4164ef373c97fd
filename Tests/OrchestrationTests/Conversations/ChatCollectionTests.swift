import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct ChatCollectionTests {
    private static func id(_ number: Int) -> Identifier { Passage.sample("", number: number).id }

    @Test("A chat's questions look in its collections, unless one says otherwise")
    func chosen() async throws {
        let knowledge = ScriptedKnowledge(passages: Seeds.all)
        try await withOrchestrator(knowledge: knowledge) { orchestrator in
            let chat = try await orchestrator.newChat()
            try await orchestrator.setCollections([Self.id(1)], in: chat, for: .alice)
            for collections in [nil, [Self.id(2)], []] {
                let turn = try await orchestrator.ask(in: chat, collections: collections)
                _ = try await orchestrator.outcome(of: turn.turnID)
            }
            try await orchestrator.setCollections(nil, in: chat, for: .alice)
            let turn = try await orchestrator.ask(in: chat)
            _ = try await orchestrator.outcome(of: turn.turnID)
            // The third searched nothing.
            #expect(knowledge.requests.map(\.collectionIDs) == [[Self.id(1)], [Self.id(2)], []])
        }
    }

    @Test("A collection that is gone is left out of a chat's choice, and it is said")
    func gone() async throws {
        let knowledge = ScriptedKnowledge(passages: Seeds.all)
        try await withOrchestrator(knowledge: knowledge) { orchestrator in
            let chat = try await orchestrator.newChat()
            try await orchestrator.setCollections([Self.id(1), Self.id(2)], in: chat, for: .alice)
            var notices: [String] = []
            for gone in [[Self.id(1)], [Self.id(1), Self.id(2)]] {
                knowledge.lose(Set(gone))
                let turn = try await orchestrator.ask(in: chat)
                notices += try await orchestrator.outcome(of: turn.turnID).notices
            }
            #expect(knowledge.requests.map(\.collectionIDs) == [[Self.id(2)], []])
            #expect(notices.count == 2 && notices.allSatisfy { $0.contains("gone") })
            // What a request names itself has to be there.
            let refused = await refusal {
                _ = try await orchestrator.ask(in: chat, collections: [Self.id(1)])
            }
            #expect(refused?.code == .notFound)
        }
    }

    @Test("The choice is kept over a restart, listed with the chat, and nobody else's to make")
    func kept() async throws {
        let folder = try TemporaryFolder()
        let chat = try await withOrchestrator(folder: folder) { orchestrator in
            let chat = try await orchestrator.newChat()
            try await orchestrator.setCollections([Self.id(3), Self.id(4)], in: chat, for: .alice)
            let refused = await refusal {
                try await orchestrator.setCollections([], in: chat, for: .mallory)
            }
            #expect(refused?.code == .notFound)
            let many = await refusal {
                try await orchestrator.setCollections(
                    (0..<101).map { Self.id($0) }, in: chat, for: .alice)
            }
            #expect(many?.code == .invalid)
            return chat
        }
        try await withOrchestrator(folder: folder) { orchestrator in
            let (summary, _) = try await orchestrator.entries(in: chat, for: .alice)
            #expect(summary.collectionIDs == [Self.id(3), Self.id(4)])
            let listed = try await orchestrator.chats(for: .alice, before: nil, limit: 5)
            #expect(listed.map(\.collectionIDs) == [[Self.id(3), Self.id(4)]])
        }
    }
}
