import Core
import GRDB
import TestSupport
import Testing

@testable import Orchestration

@Suite struct TurnLogTests {
    @Test(
        "A turn can be followed from any event on, while it runs and after", arguments: [0, 1, 3])
    func resumption(after number: Int) async throws {
        let gate = Gate()
        let model = ScriptedModel(
            .steps([.text("a"), .text("b"), .text("c"), .gate(gate), .text("d")]))
        let (live, saved) = try await withOrchestrator(model: model) { orchestrator in
            let turn = try await orchestrator.ask().turnID
            try await until { gate.waitingCount == 1 }
            async let live = orchestrator.events(of: turn, after: number)
            gate.open()
            return (try await live, try await orchestrator.events(of: turn, after: number))
        }
        #expect(live.map(\.number) == Array((number + 1)...5))
        #expect(live.dropLast().compactMap(\.kind.text) == Array(["a", "b", "c", "d"][number...]))
        #expect(saved == live)
    }

    @Test("A number from nowhere is no trap", arguments: [Int.min, -1, Int.max, 99])
    func hostileNumbers(number: Int) async throws {
        let gate = Gate()
        let model = ScriptedModel(.steps([.gate(gate), .text("a")]))
        let (live, saved) = try await withOrchestrator(model: model) { orchestrator in
            let turn = try await orchestrator.ask().turnID
            async let live = orchestrator.events(of: turn, after: number)
            try await Task.sleep(for: .milliseconds(20))
            gate.open()
            return (try await live, try await orchestrator.events(of: turn, after: number))
        }
        #expect(live.map(\.kind.name) == (number < 0 ? ["text", "ended"] : []))
        #expect(saved == live)
    }

    @Test("Followers neither hold the answer up nor end it")
    func followers() async throws {
        let model = ScriptedModel(
            .says(Array(repeating: "word", count: 200).joined(separator: " ")))
        try await withOrchestrator(
            model: model, configuration: .with { $0.local.endsLoops = false }
        ) {
            orchestrator in
            let never = Gate()
            let gone = Gate()
            let chat = try await orchestrator.newChat()
            let turn = try await orchestrator.ask(in: chat).turnID
            try await withThrowingTaskGroup(of: Int.self) { group in
                // One reads nothing after its first event, one goes away.
                group.addTask {
                    try await orchestrator.follow(turn: turn, after: 0, for: .alice) { _ in
                        do { try await never.wait() } catch { gone.open() }
                        throw CancellationError()
                    }
                    return 0
                }
                for _ in 0..<8 {
                    group.addTask { try await orchestrator.events(of: turn).count }
                }
                var counts: [Int] = []
                for _ in 0..<8 { counts.append(try await group.next() ?? 0) }
                #expect(Set(counts) == [201])
                group.cancelAll()
                while await group.nextResult() != nil {}
            }
            let outcome = try await orchestrator.outcome(of: turn)
            #expect(gone.isOpen)
            #expect(outcome.state == .completed)
        }
    }

    @Test("A turn has a limit on followers")
    func followerLimit() throws {
        let turn = LiveTurn.sample()
        for _ in 0..<LiveTurn.followersMax { try turn.addFollower() }
        #expect(throws: Failure.self) { try turn.addFollower() }
        turn.removeFollower()
        try turn.addFollower()
    }

    @Test("After a crash the turn is interrupted, and what was written is the answer")
    func crash() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        let model = ScriptedModel(
            .steps([.text("The first half [1] "), .text("and more"), .gate(gate)]))
        let knowledge = ScriptedKnowledge(passages: ["Something.", "Else."])
        // The first orchestrator keeps its turn running while a second one opens the same folder, as
        // after a `kill -9`: nothing of the first was closed or ended.
        try await withOrchestrator(model: model, knowledge: knowledge, folder: folder) { first in
            let chat = try await first.newChat()
            let turn = try await first.ask(in: chat).turnID
            try await until {
                try await first.store.pool.read {
                    try Int.fetchOne($0, sql: "SELECT count(*) FROM turn_events") == 3
                }
            }
            let before = try await first.entries(in: chat, for: .alice).1.last
            #expect(before?.text == "The first half [1] and more" && before?.turnState == .running)

            try await withOrchestrator(folder: folder) { second in
                let events = try await second.events(of: turn)
                let resumed = try await second.events(of: turn, after: 2)
                // More was seen than the crash let be saved.
                let ahead = try await second.events(of: turn, after: 1000)
                let entry = try await second.entries(in: chat, for: .alice).1.last

                #expect(events.map(\.number) == [1, 2, 3, 4])
                #expect(resumed == Array(events[2...]))
                #expect(ahead == [events[3]])
                let outcome = try #require(events.last?.kind.outcome)
                #expect(outcome.state == .interrupted)
                #expect(outcome.text == "The first half [1] and more")
                #expect(outcome.citations.map(\.passage.text) == ["Something."])
                #expect(entry?.text == outcome.text && entry?.outcome == outcome)
                // The chat can go on.
                _ = try await second.outcome(of: try await second.ask(in: chat).turnID)
            }
        }
    }

    @Test("The end is durable before anyone sees it, and numbers have no gaps")
    func durability() async throws {
        let folder = try TemporaryFolder()
        let model = ScriptedModel(
            .says(Array(repeating: "a b c", count: 100).joined(separator: ". ")))
        try await withOrchestrator(
            model: model, folder: folder, configuration: .with { $0.local.endsLoops = false }
        ) { orchestrator in
            let other = try OrchestrationStore(folder: folder.path)
            let turn = try await orchestrator.ask().turnID
            try await orchestrator.follow(turn: turn, after: 0, for: .alice) { event in
                guard case .ended = event.kind else { return }
                let numbers = try await other.pool.read {
                    try Int.fetchAll($0, sql: "SELECT number FROM turn_events ORDER BY number")
                }
                #expect(numbers == Array(1...event.number))
            }
        }
    }

    @Test("Old logs shrink to their last event; the answer stays")
    func compaction() async throws {
        let folder = try TemporaryFolder()
        let clock = ManualClock()
        let turn = try await withOrchestrator(
            model: ScriptedModel(.says("An old answer.")), folder: folder, clock: clock
        ) { orchestrator in
            let turn = try await orchestrator.ask().turnID
            _ = try await orchestrator.outcome(of: turn)
            return turn
        }
        clock.advance(by: .seconds(29 * 86_400))
        let young = try await withOrchestrator(folder: folder, clock: clock) {
            try await $0.events(of: turn).map(\.number)
        }
        clock.advance(by: .seconds(2 * 86_400))
        let old = try await withOrchestrator(folder: folder, clock: clock) {
            try await $0.events(of: turn)
        }
        #expect(young == [1, 2, 3, 4])
        #expect(old.map(\.number) == [4])
        #expect(old.first?.kind.outcome?.text == "An old answer.")
    }

    @Test(
        "Hot queries go by an index",
        arguments: [
            (ConversationStore.chatsQuery, 3), (ConversationStore.logQuery, 3),
            (ConversationStore.appendQuery, 6), (JobTable.claimQuery("?"), 1),
        ])
    func queryPlans(query: String, arguments: Int) throws {
        let folder = try TemporaryFolder()
        let store = try OrchestrationStore(folder: folder.path)
        let plan = try store.pool.read { database in
            try Row.fetchAll(
                database, sql: "EXPLAIN QUERY PLAN " + query,
                arguments: StatementArguments(Array(repeating: 1, count: arguments))
            ).map { $0["detail"] as String }
        }
        let scans = plan.filter { $0.hasPrefix("SCAN") && !$0.contains("INDEX") }
        #expect(scans.allSatisfy { $0.contains("next") }, "\(plan)")
    }
}

extension LiveTurn {
    static func sample() -> LiveTurn {
        let id = Environment.manual().identifier()
        return LiveTurn(id: id, chatID: id, ownerID: Principal.alice.userID, events: [])
    }
}
