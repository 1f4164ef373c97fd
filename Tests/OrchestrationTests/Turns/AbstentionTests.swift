import Core
import Foundation
import TestSupport
import Testing

@testable import Orchestration

/// Turns that find too little, and verdicts that are kept with a turn.
@Suite struct AbstentionTests {
    private static func hit(_ passage: Passage, similarity: Double) -> SearchHit {
        SearchHit(
            passage: passage, score: 0.1, keywordRank: nil, vectorRank: 1, similarity: similarity)
    }

    @Test("An answer that there is none says what was looked for, where, and how near it came")
    func abstains() async throws {
        let model = ScriptedModel(.says("I don't know."))
        let knowledge = ScriptedKnowledge(passages: [Seeds.gateway, Seeds.finOps])
        let outcome = try await withOrchestrator(model: model, knowledge: knowledge) {
            try await $0.outcome(of: try await $0.ask("Which whales sing in winter?").turnID)
        }
        #expect(
            outcome.text == """
                I found no answer to this in your documents. What comes closest is in "doc-1.txt" \
                [1].

                Looked for “Which whales sing in winter?” in 2 documents (2 passages); the closest \
                is alike by 50 %.
                """)
        #expect(outcome.citations.map(\.origin) == [.closest])
        #expect(outcome.search?.documentCount == 2 && outcome.search?.bestSimilarity == 0.5)
        #expect(outcome.verdicts == [])
    }

    @Test("A hosted model's refusal stands, and what was looked for is told beside it")
    func hosted() async throws {
        let model = ScriptedModel(.says("I don't know."), cards: [.scripted(isLocal: false)])
        let knowledge = ScriptedKnowledge(passages: [Seeds.gateway])
        let outcome = try await withOrchestrator(model: model, knowledge: knowledge) {
            try await $0.outcome(of: try await $0.ask("Which whales sing in winter?").turnID)
        }
        #expect(outcome.text == "I don't know.")
        #expect(outcome.notices.count == 1)
        #expect(outcome.notices.first?.contains("in 1 document (1 passage)") == true)
    }

    @Test("Where nothing fits the model answers alone, and the reader is told what was searched")
    func nothingFits() async throws {
        let far = Self.hit(.sample("Far away."), similarity: 0.1)
        let knowledge = ScriptedKnowledge(hits: [far])
        let model = ScriptedModel(.says("Hello!"))
        let outcome = try await withOrchestrator(model: model, knowledge: knowledge) {
            try await $0.outcome(of: try await $0.ask("Hello there, friend?").turnID)
        }
        #expect(outcome.text == "Hello!")
        #expect(
            outcome.notices == [
                """
                Nothing in your documents fits this question, so the model answers alone. Looked\
                 for “Hello there, friend?” in 1 document (1 passage); the closest is alike\
                 by 10 %.
                """
            ])
        // Who has no documents is not told about them.
        let without = try await withOrchestrator(model: ScriptedModel(.says("Hello!"))) {
            try await $0.outcome(of: try await $0.ask("Hello there, friend?").turnID)
        }
        #expect(without.notices == [])
    }

    @Test("Verdicts are kept with the turn, and older turns without them can be read")
    func kept() async throws {
        let folder = try TemporaryFolder()
        let answer = "Retrieval takes 50 to 300 milliseconds [1]. Dolphins dance at midnight."
        let started = try await withOrchestrator(
            model: ScriptedModel(.says(answer), cards: [.scripted(isLocal: false)]),
            knowledge: ScriptedKnowledge(passages: [Seeds.retrieval]), folder: folder
        ) { orchestrator in
            let chat = try await orchestrator.newChat()
            let turn = try await orchestrator.ask("How long does retrieval take?", in: chat)
            let outcome = try await orchestrator.outcome(of: turn.turnID)
            #expect(outcome.verdicts?.map(\.support) == [.supported, .unsupported])
            #expect(outcome.search?.text == "How long does retrieval take?")
            return (chat: chat, outcome: outcome)
        }
        try await withOrchestrator(folder: folder) { orchestrator in
            let entries = try await orchestrator.entries(in: started.chat, for: .alice).1
            #expect(entries.last?.outcome == started.outcome)
        }
        let old =
            #"{"state":"completed","text":"a","citations":[],"notices":[],"totalMilliseconds":1}"#
        let outcome = try JSONDecoder().decode(TurnOutcome.self, from: Data(old.utf8))
        #expect(outcome.verdicts == nil && outcome.search == nil)
    }

    @Test("A chat is given as many passages as were chosen for it, and room for them")
    func passagesOfAChat() async throws {
        let words = Array(repeating: "word", count: 150).joined(separator: " ")
        let model = ScriptedModel(.says("Fine."))
        let knowledge = ScriptedKnowledge(passages: (1...9).map { "\(words) \($0)" })
        try await withOrchestrator(model: model, knowledge: knowledge) { orchestrator in
            func given(in chat: Identifier) async throws -> Int {
                let turn = try await orchestrator.ask("What is word?", in: chat).turnID
                let first = try await orchestrator.events(of: turn).first?.kind
                guard case .passages(let passages) = first else { return 0 }
                return passages.count
            }
            let chat = try await orchestrator.newChat()
            #expect(try await given(in: chat) == 4)
            try await orchestrator.setPassages(7, in: chat, for: .alice)
            #expect(try await given(in: chat) == 7)
            #expect(try await orchestrator.entries(in: chat, for: .alice).0.passagesMax == 7)
            try await orchestrator.setPassages(nil, in: chat, for: .alice)
            #expect(try await given(in: chat) == 4)

            let tooMany = await refusal {
                try await orchestrator.setPassages(33, in: chat, for: .alice)
            }
            let anothers = await refusal {
                try await orchestrator.setPassages(5, in: chat, for: .mallory)
            }
            #expect(tooMany?.code == .invalid && anothers?.code == .notFound)
        }
    }
}
