import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct ContextFitTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var room = 1000
        var fixed = 100
        var passages = [200, 200, 200]
        var history = [50, 50, 50, 50]
        var shape = TurnShape.small
        let fits: [Int]
        let historyCount: Int
    }

    @Test(
        "What goes in, by the stated rule",
        arguments: [
            Case(testDescription: "all of it", fits: [0, 1, 2], historyCount: 4),
            Case(
                testDescription: "passages before history", room: 760, fits: [0, 1, 2],
                historyCount: 0),
            Case(
                testDescription: "the newest of the history", room: 880, fits: [0, 1, 2],
                historyCount: 2),
            Case(
                testDescription: "a passage that is too long makes place for the next", room: 700,
                passages: [900, 300, 100], fits: [1, 2], historyCount: 2),
            Case(
                testDescription: "no more tokens of passages than the budget", room: 8000,
                passages: [300, 300, 300, 100], fits: [0, 1, 3], historyCount: 4),
            Case(
                testDescription: "an old message does not jump over a newer one", room: 1000,
                history: [10, 400, 20], fits: [0, 1, 2], historyCount: 1),
            Case(
                testDescription: "the question alone", room: 148, fits: [], historyCount: 0),
        ])
    func rule(_ example: Case) throws {
        let fit = try ContextFit(
            room: example.room, fixed: example.fixed, passages: example.passages,
            history: example.history, shape: example.shape)
        #expect(fit.passages == example.fits && fit.historyCount == example.historyCount)
    }

    @Test("A question that does not fit by itself is refused")
    func tooLarge() {
        #expect {
            try ContextFit(room: 147, fixed: 100, passages: [], history: [], shape: .small)
        } throws: {
            ($0 as? Failure)?.code == .tooLarge
        }
    }

    @Test(
        "What was left out is said",
        arguments: [
            (0, 0, nil), (1, 0, "1 earlier message did not fit and was left out."),
            (0, 2, "2 passages did not fit and were left out."),
            (3, 2, "3 earlier messages and 2 passages did not fit and were left out."),
            (1, 1, "1 earlier message and 1 passage did not fit and were left out."),
        ])
    func notice(messages: Int, passages: Int, sentence: String?) {
        #expect(
            ContextFit.notice(messagesLeftOut: messages, passagesLeftOut: passages) == sentence)
    }
}
