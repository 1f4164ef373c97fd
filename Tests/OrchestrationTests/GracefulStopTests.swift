import Core
import Logging
import Orchestration
import ServiceLifecycle
import TestSupport
import Testing

// Without `@testable`: this is how Appliance wires the layer.
@Suite struct GracefulStopTests {
    @Test("Asked to stop, the layer lets running answers and jobs end and takes no new ones")
    func gracefulStop() async throws {
        let folder = try TemporaryFolder()
        let gate = Gate()
        let store = try OrchestrationStore(folder: folder.path)
        let jobs = try JobStore(store: store, environment: .system)
        let runner = JobRunner(store: jobs, handlers: [GatedHandler(gate: gate)])
        let orchestrator = try Orchestrator(
            OrchestrationConfiguration(), store: store,
            model: ScriptedModel(.steps([.text("All "), .gate(gate), .text("of it.")])),
            embedder: NoEmbedder(), knowledge: ScriptedKnowledge(), environment: .system)
        let group = ServiceGroup(
            services: [runner, orchestrator], logger: Logger(label: "test"))

        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let chat = try await orchestrator.createChat(titled: "", for: .alice)
            let request = TurnRequest(
                principal: .alice, chatID: chat.id, question: "Well?", model: nil,
                collectionIDs: nil)
            var started: TurnStarted?
            try await until {
                started = try? await orchestrator.begin(request)
                return started != nil
            }
            let turn = try #require(started).turnID
            let job = try await jobs.enqueue(kind: "gated", payload: "", for: .alice)
            try await until { gate.waitingCount == 2 }

            await group.triggerGracefulShutdown()
            let second = try await orchestrator.createChat(titled: "", for: .alice)
            try await until {
                let again = TurnRequest(
                    principal: .alice, chatID: second.id, question: "Well?", model: nil,
                    collectionIDs: nil)
                return await refusal { _ = try await orchestrator.begin(again) }?.code
                    == .unavailable
            }
            gate.open()
            try await tasks.waitForAll()

            let (_, entries) = try await orchestrator.entries(in: chat.id, for: .alice)
            #expect(entries.last?.turnID == turn)
            #expect(entries.last?.turnState == .completed && entries.last?.text == "All of it.")
            #expect(try await jobs.job(job.id, for: .alice).state == .completed)
        }
    }
}

private struct GatedHandler: JobHandler {
    let kind = "gated"
    let gate: Gate

    func run(
        _ job: Job, for principal: Principal, report: (JobProgress) async throws -> Void
    ) async throws {
        try await gate.wait()
    }
}
