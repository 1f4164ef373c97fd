import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct TurnStopTests {
    @Test("Stopped before the first token, a turn is cancelled and empty")
    func beforeFirst() async throws {
        let gate = Gate()
        let model = ScriptedModel(.steps([.gate(gate), .text("Never")]))
        let outcome = try await withOrchestrator(model: model) {
            let turn = try await $0.ask().turnID
            try await until { gate.waitingCount == 1 }
            try await $0.cancel(turn: turn, for: .alice)
            return try await $0.outcome(of: turn)
        }
        #expect(outcome.state == .cancelled && outcome.text.isEmpty && outcome.failure == nil)
        #expect(outcome.completion == nil)
        #expect(model.endedEarlyCount == 1)
    }

    @Test("Stopped in the middle, a turn keeps its text and says no more")
    func inTheMiddle() async throws {
        let price = TokenPrice(
            input: Picodollars(2), cacheRead: .zero, cacheWrite: .zero, output: Picodollars(5),
            asOf: "configured")
        let model = ScriptedModel(
            .steps([.text("One "), .text("two "), .wait(.seconds(60)), .text("three")]),
            cards: [.scripted(price: price)])
        let (outcome, entry) = try await withOrchestrator(model: model) { orchestrator in
            let chat = try await orchestrator.newChat()
            let turn = try await orchestrator.ask(in: chat).turnID
            try await until { orchestrator.turns[turn]?.text == "One two " }
            try await orchestrator.cancel(turn: turn, for: .alice)
            let outcome = try await orchestrator.outcome(of: turn)
            return (outcome, try await orchestrator.entries(in: chat, for: .alice).1.last)
        }
        #expect(outcome.state == .cancelled && outcome.text == "One two ")
        #expect(entry?.text == "One two " && entry?.turnState == .cancelled)
        let usage = try #require(outcome.completion?.usage)
        #expect(usage.isEstimated && usage.output == 2)
        #expect(
            outcome.completion?.cost == Picodollars(Int64(2 * usage.freshInput + 5 * usage.output)))
    }

    @Test("Stopped after the last token, a turn stays complete")
    func afterLast() async throws {
        let outcome = try await withOrchestrator(model: ScriptedModel(.says("All of it."))) {
            let turn = try await $0.ask().turnID
            _ = try await $0.outcome(of: turn)
            try await $0.cancel(turn: turn, for: .alice)
            return try await $0.outcome(of: turn)
        }
        #expect(outcome.state == .completed && outcome.text == "All of it.")
    }

    @Test("A chat that is taken away takes its running turn along; its followers see the end")
    func removedChat() async throws {
        let model = ScriptedModel(.steps([.text("One"), .wait(.seconds(60))]))
        try await withOrchestrator(model: model) { orchestrator in
            let chat = try await orchestrator.newChat()
            let turn = try await orchestrator.ask(in: chat).turnID
            async let outcome = orchestrator.outcome(of: turn)
            try await until { orchestrator.turns[turn]?.text == "One" }
            try await orchestrator.removeChat(chat, for: .alice)
            #expect(try await outcome.state == .cancelled)
            let code = await refusal { _ = try await orchestrator.events(of: turn) }?.code
            #expect(code == .notFound)
        }
    }

    @Test("A server that stops keeps what its turns have as interrupted")
    func shutdown() async throws {
        let folder = try TemporaryFolder()
        let model = ScriptedModel(.steps([.text("Half "), .wait(.seconds(60))]))
        let turn = try await withOrchestrator(model: model, folder: folder) { orchestrator in
            let turn = try await orchestrator.ask().turnID
            try await until { orchestrator.turns[turn]?.text == "Half " }
            return turn
        }
        let outcome = try await withOrchestrator(folder: folder) {
            try await $0.outcome(of: turn)
        }
        #expect(outcome.state == .interrupted && outcome.text == "Half ")
    }

    @Test(
        "Every end has its state and its sentence",
        arguments: [
            (TurnEnd.cutOff(keeping: ""), TurnState.completed, false),
            (.stopped(.user), .cancelled, false),
            (.stopped(.shutdown), .interrupted, false),
            (.stopped(.timeout(seconds: 3)), .failed, true),
            (.failed(Failure(.upstream, "Gone.")), .failed, true),
        ])
    func states(end: TurnEnd, state: TurnState, hasFailure: Bool) {
        #expect(end.state == state && (end.failure != nil) == hasFailure)
    }
}
