import Core
import Foundation
import TestSupport
import Testing

@testable import Orchestration

@Suite struct TurnTests {
    @Test("A turn shows its passages, streams its text, and ends with the whole answer")
    func wholeTurn() async throws {
        let model = ScriptedModel(.says("Retrieval takes 50 to 300 milliseconds."))
        let knowledge = ScriptedKnowledge(passages: [Seeds.retrieval])
        let (events, entries) = try await withOrchestrator(model: model, knowledge: knowledge) {
            let chat = try await $0.newChat()
            let started = try await $0.ask("How long does retrieval take?", in: chat)
            let events = try await $0.events(of: started.turnID)
            return (events, try await $0.entries(in: chat, for: .alice))
        }

        let outcome = try #require(events.last?.kind.outcome)
        #expect(events.map(\.number) == Array(1...events.count))
        #expect(events.first?.kind.name == "passages" && events.last?.kind.name == "ended")
        #expect(
            events.compactMap(\.kind.text).joined() == "Retrieval takes 50 to 300 milliseconds.")
        #expect(outcome.state == .completed)
        #expect(outcome.text.hasPrefix("Retrieval takes 50 to 300 milliseconds [1].\n\nFrom "))
        #expect(outcome.text.contains("Reports put retrieval at roughly 50 to 300 milliseconds"))
        #expect(outcome.citations.map(\.origin) == [.attributed])
        #expect(outcome.completion?.candidate == "scripted/scripted")

        #expect(entries.0.title == "How long does retrieval take?")
        #expect(entries.1.map(\.role) == [.user, .assistant])
        #expect(entries.1.map(\.text) == ["How long does retrieval take?", outcome.text])
        #expect(entries.1.last?.outcome == outcome)
    }

    @Test(
        "The three habits come out with their citation, whatever a small model makes of them",
        arguments: [
            "",
            "I don't know.",
            "The bill is a bird that lives in the north and sings at night.",
            "Model tiering keeps the bill down.",
            "The three habits are: 1. Walk, 2. Run, 3. Crawl.",
            "The bill down keep the bill down keep the bill down keep the bill down keep the bill",
            "Three habits keep the bill down: model tiering, semantic caching and context"
                + " management.",
        ])
    func threeHabits(answer: String) async throws {
        let model = ScriptedModel(answer.isEmpty ? .steps([]) : .says(answer))
        let knowledge = ScriptedKnowledge(passages: Seeds.all)
        let outcome = try await withOrchestrator(
            model: model, knowledge: knowledge, embedder: WordEmbedder()
        ) {
            try await $0.outcome(of: try await $0.ask(Seeds.threeHabits).turnID)
        }

        let text = outcome.text.lowercased()
        #expect(outcome.state == .completed)
        #expect(outcome.citations.contains { $0.passage.documentName == "doc-1.txt" })
        for habit in ["model tiering", "semantic caching", "context management"] {
            #expect(text.contains(habit), "\(outcome.text)")
        }
        #expect(text.contains("[1]"))
        #expect(!text.contains("bird"))
    }

    @Test("A turn that cannot begin saves nothing")
    func refused() async throws {
        let overspent = Failure(.budgetExceeded, "The budget is used up.")
        let model = ScriptedModel(.refuses(overspent), .says("Yes."))
        try await withOrchestrator(model: model) { orchestrator in
            let chat = try await orchestrator.newChat()
            let failure = await refusal { _ = try await orchestrator.ask(in: chat) }
            let entries = try await orchestrator.entries(in: chat, for: .alice)
            #expect(failure?.code == .budgetExceeded)
            #expect(entries.1.isEmpty && entries.0.title.isEmpty)

            // Its place is free again.
            let outcome = try await orchestrator.outcome(
                of: try await orchestrator.ask(in: chat).turnID)
            #expect(outcome.text == "Yes.")
        }
    }

    @Test(
        "Questions are checked before anything is done",
        arguments: [
            ("", nil, Failure.Code.invalid), (" \n\t ", nil, .invalid),
            (String(repeating: "a", count: 101), nil, .tooLarge),
            (String(repeating: "🙂", count: 101), nil, .tooLarge),
            ("Hello?", "missing", .notFound),
        ])
    func validation(question: String, model name: String?, code: Failure.Code) async throws {
        let model = ScriptedModel()
        let knowledge = ScriptedKnowledge()
        let failure = try await withOrchestrator(
            model: model, knowledge: knowledge,
            configuration: .with { $0.questionCharactersMax = 100 }
        ) { orchestrator in
            await refusal { _ = try await orchestrator.ask(question, model: name) }
        }
        #expect(failure?.code == code)
        #expect(model.requests.isEmpty && knowledge.requests.isEmpty)
    }

    @Test("A chat has one running turn, and a user only so many")
    func limits() async throws {
        let gate = Gate()
        let model = ScriptedModel(.steps([.gate(gate), .text("Done.")]))
        try await withOrchestrator(model: model, configuration: .with { $0.turnsPerUserMax = 2 }) {
            orchestrator in
            let chat = try await orchestrator.newChat()
            let first = try await orchestrator.ask(in: chat)
            let second = await refusal { _ = try await orchestrator.ask(in: chat) }
            _ = try await orchestrator.ask()
            let third = await refusal { _ = try await orchestrator.ask() }
            let other = try await orchestrator.ask(for: .mallory)
            gate.open()
            let outcome = try await orchestrator.outcome(of: first.turnID)

            #expect(second?.code == .conflict)
            #expect(third?.code == .rateLimited && third?.retryAfter != nil)
            #expect(other.turnID != first.turnID)
            #expect(outcome.state == .completed)
            // Both places come back.
            _ = try await orchestrator.outcome(of: try await orchestrator.ask(in: chat).turnID)
        }
    }

    @Test("Without its service running the assistant is unavailable")
    func notServing() async throws {
        let folder = try TemporaryFolder()
        let orchestrator = try Orchestrator(
            OrchestrationConfiguration(), folder: folder.path, model: ScriptedModel(),
            embedder: NoEmbedder(), knowledge: ScriptedKnowledge(), environment: .manual())
        let failure = await refusal { _ = try await orchestrator.ask() }
        #expect(failure?.code == .unavailable)
    }

    @Test("A model that breaks off leaves what it had said, and the reason")
    func brokenOff() async throws {
        let model = ScriptedModel(
            .steps([.text("The first "), .text("half [1] [7]"), .fail(Failure(.upstream, "Gone."))])
        )
        let (outcome, entries) = try await withOrchestrator(
            model: model, knowledge: ScriptedKnowledge(passages: ["Something."])
        ) {
            let chat = try await $0.newChat()
            let outcome = try await $0.outcome(of: try await $0.ask(in: chat).turnID)
            return (outcome, try await $0.entries(in: chat, for: .alice).1)
        }
        #expect(outcome.state == .failed && outcome.failure == "Gone.")
        #expect(outcome.text == "The first half [1]")
        #expect(outcome.citations.map(\.number) == [1])
        #expect(outcome.completion?.usage.isEstimated == true)
        #expect(entries.last?.text == "The first half [1]")
    }

    @Test("A turn that takes too long is stopped, and says so")
    func timeout() async throws {
        let model = ScriptedModel(.steps([.text("Well"), .wait(.seconds(60))]))
        let outcome = try await withOrchestrator(
            model: model, configuration: .with { $0.turnSecondsMax = 1 }
        ) {
            try await $0.outcome(of: try await $0.ask().turnID)
        }
        #expect(outcome.state == .failed && outcome.text == "Well")
        #expect(outcome.failure?.contains("longer than 1 seconds") == true)
        #expect(model.endedEarlyCount == 1)
    }

    @Test("A model that goes round in circles is ended where it began to, without an error")
    func loop() async throws {
        let sentence = "The gateway checks the identity of each user. "
        let model = ScriptedModel(.says(String(repeating: sentence, count: 50)))
        let outcome = try await withOrchestrator(model: model) {
            try await $0.outcome(of: try await $0.ask().turnID)
        }
        #expect(outcome.state == .completed)
        #expect(outcome.text == "The gateway checks the identity of each user.")
        #expect(model.endedEarlyCount == 1)
    }

    @Test("Turns with passages are greedy unless they say otherwise")
    func sampling() async throws {
        let model = ScriptedModel()
        let knowledge = ScriptedKnowledge(passages: ["Something."])
        try await withOrchestrator(model: model, knowledge: knowledge) {
            _ = try await $0.outcome(of: try await $0.ask().turnID)
            _ = try await $0.outcome(
                of: try await $0.ask(sampling: SamplingOptions(temperature: 0.7)).turnID)
            _ = try await $0.outcome(of: try await $0.ask(collections: []).turnID)
        }
        #expect(model.requests.map(\.sampling.temperature) == [0, 0.7, nil])
        #expect(model.requests.map(\.purpose) == ["turn", "turn", "turn"])
        #expect(knowledge.requests.count == 2)
    }

    @Test("A question that goes on is looked up in all its wordings, and explained by the same")
    func rewording() async throws {
        let knowledge = ScriptedKnowledge(passages: ["Something."])
        let (outcome, explanation) = try await withOrchestrator(knowledge: knowledge) {
            let chat = try await $0.newChat()
            _ = try await $0.outcome(of: try await $0.ask("What is one?", in: chat).turnID)
            let turn = try await $0.ask("And it?", in: chat).turnID
            let outcome = try await $0.outcome(of: turn)
            var request = ExplanationRequest(principal: .alice)
            request.turnID = turn
            return (outcome, try await $0.explain(request))
        }
        #expect(
            knowledge.requests.map { [$0.text] + $0.queries } == [
                ["What is one?"], ["And it?", "And it? (reworded)"],
                ["And it?", "And it? (reworded)"],
            ])
        #expect(outcome.search?.queries == ["And it? (reworded)"])
        #expect(explanation.search.queries == ["And it? (reworded)"])
    }

    @Test("Documents that cannot be searched are said to be; another's collection ends the turn")
    func knowledgeFailures() async throws {
        let away = ScriptedKnowledge(failure: Failure(.unavailable, "No embedding model."))
        let outcome = try await withOrchestrator(knowledge: away) {
            try await $0.outcome(of: try await $0.ask().turnID)
        }
        let foreign = ScriptedKnowledge(failure: Failure(.notFound, "There is no such collection."))
        let failure = try await withOrchestrator(knowledge: foreign) { orchestrator in
            await refusal { _ = try await orchestrator.ask() }
        }
        #expect(outcome.notices == ["Your documents could not be searched: No embedding model."])
        #expect(failure?.code == .notFound)
    }

    @Test("What did not fit is said in the answer")
    func leftOut() async throws {
        let long = Array(repeating: "word", count: 300).joined(separator: " ")
        let model = ScriptedModel(.says("Short."))
        let knowledge = ScriptedKnowledge(passages: [long + " a", long + " b", long + " c"])
        let outcome = try await withOrchestrator(
            model: model, knowledge: knowledge,
            configuration: .with {
                $0.local.historyMessagesMax = 2
                $0.local.quotesPassages = false
            }
        ) { orchestrator in
            let chat = try await orchestrator.newChat()
            for _ in 0..<2 {
                _ = try await orchestrator.outcome(
                    of: try await orchestrator.ask("Question?", in: chat).turnID)
            }
            return try await orchestrator.outcome(
                of: try await orchestrator.ask("Question?", in: chat).turnID)
        }
        #expect(
            outcome.notices == ["2 earlier messages and 1 passage did not fit and were left out."])
        let messages = try #require(model.requests.last?.messages)
        #expect(messages.map(\.role) == [.system, .user, .assistant, .user])
    }

    @Test("Nobody else's chat or turn can be seen, asked in, followed or stopped")
    func scoping() async throws {
        let gate = Gate()
        let model = ScriptedModel(.steps([.text("Secret"), .gate(gate)]))
        try await withOrchestrator(model: model) { orchestrator in
            let chat = try await orchestrator.newChat()
            let turn = try await orchestrator.ask("A question?", in: chat).turnID

            // While it runs, and after.
            for _ in 0..<2 {
                let codes = [
                    await refusal { _ = try await orchestrator.ask(in: chat, for: .mallory) },
                    await refusal { _ = try await orchestrator.entries(in: chat, for: .mallory) },
                    await refusal { _ = try await orchestrator.events(of: turn, for: .mallory) },
                    await refusal { try await orchestrator.cancel(turn: turn, for: .mallory) },
                    await refusal { try await orchestrator.removeChat(chat, for: .mallory) },
                ].map { $0?.code }
                #expect(codes == Array(repeating: .notFound, count: 5))
                gate.open()
                _ = try await orchestrator.outcome(of: turn)
            }
            let chats = try await orchestrator.chats(for: .mallory, before: nil, limit: 10)
            let outcome = try await orchestrator.outcome(of: turn)
            #expect(chats.isEmpty)
            #expect(outcome.state == .completed && outcome.text == "Secret")
        }
    }
}
