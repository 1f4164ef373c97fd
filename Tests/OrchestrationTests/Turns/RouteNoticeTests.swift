import Core
import TestSupport
import Testing

@testable import Orchestration

/// What a reader is told when someone else answers than was asked for.
@Suite struct RouteNoticeTests {
    @Test("A model that steps in for others says so before it answers, and in the end")
    func steppedIn() async throws {
        let model = ScriptedModel(.says("Yes."), notice: "The local model answers instead.")
        let events = try await withOrchestrator(model: model) {
            try await $0.events(of: try await $0.ask().turnID)
        }
        #expect(events.map(\.kind.name).first == "notice")
        #expect(events.last?.kind.outcome?.notices == ["The local model answers instead."])
    }

    @Test("An answer that another model goes on with says so where it happens")
    func wentOn() async throws {
        let change = CandidateSwitch(
            from: "far/a", usage: TokenUsage(), to: "near/b", isContinued: true)
        let unseen = CandidateSwitch(
            from: "far/c", usage: TokenUsage(), to: "far/a", isContinued: false)
        let model = ScriptedModel(
            .steps([.switched(unseen), .text("Yes,"), .switched(change), .text(" it is.")]))
        let events = try await withOrchestrator(model: model) {
            try await $0.events(of: try await $0.ask().turnID)
        }
        #expect(events.map(\.kind.name) == ["text", "notice", "text", "ended"])
        let outcome = events.last?.kind.outcome
        #expect(outcome?.text == "Yes, it is.")
        #expect(
            outcome?.notices == [
                "far/a broke off in the middle of the answer; near/b wrote on from there."
            ])
    }
}
