import Core
import TestSupport
import Testing

@testable import Inference

struct CacheAuditTests {
    private let clock = ManualClock()
    private let embedder = ScriptedEmbedder()
    private let tracer = RecordingTracer()

    private func audit(
        _ model: any ChatModel, _ change: (inout AuditConfiguration) -> Void = { _ in }
    ) -> CacheAudit {
        var configuration = AuditConfiguration()
        configuration.share = 1
        change(&configuration)
        return CacheAudit(
            configuration, model: model, embedder: embedder, environment: .manual(clock),
            tracer: tracer)
    }

    /// Asks one question in two wordings, the second of which is answered from the cache.
    private func ask(_ audit: CacheAudit, times: Int = 1) async throws {
        var configuration = InferenceConfiguration()
        configuration.cache.semantic = .always
        configuration.cache.similarityMin = 0.6
        let cached = CachedModel(
            ScriptedModel(.says("It is Paris.")), configuration, embedder: embedder, audit: audit,
            environment: .manual(clock), tracer: tracer)
        for question in ["What is the capital of France?"]
            + Array(repeating: "Tell me the capital of France", count: times)
        {
            let request = ChatRequest(
                principal: .alice, model: "scripted", messages: [ChatMessage(.user, question)],
                purpose: "api")
            _ = try await cached.open(request).run { _ in }
        }
    }

    private func finished(_ audit: CacheAudit, _ isDone: @escaping @Sendable () -> Bool)
        async throws
    {
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await audit.run() }
            #expect(await eventually(isDone))
            group.cancelAll()
        }
    }

    @Test(
        "A similar question is asked after all, and its answer compared",
        arguments: [
            ("It is Paris.", 0), ("Paris, it is.", 0), ("It is Lyon.", 1), ("No idea at all", 1),
        ])
    func compared(answer: String, wrong: Int) async throws {
        let model = ScriptedModel(.says(answer))
        let audit = audit(model)
        try await ask(audit)
        try await finished(audit) { audit.figures.checked == 1 }
        #expect(audit.figures == (1, wrong))
        let span = try #require(tracer.records.first { $0.name == "cache audit" })
        #expect(span.attributes["heptad.cache.audit"] == (wrong == 0 ? "right" : "wrong"))
        #expect(
            model.requests.map { $0.messages.map(\.text) } == [["Tell me the capital of France"]])
    }

    @Test("The operator pays, unless users are to", arguments: [false, true])
    func payer(chargesUser: Bool) async throws {
        let model = ScriptedModel(.says("It is Paris."))
        let audit = audit(model) { $0.chargesUser = chargesUser }
        try await ask(audit)
        try await finished(audit) { audit.figures.checked == 1 }
        let request = try #require(model.requests.first)
        #expect(request.purpose == "audit")
        let payer = chargesUser ? Principal.alice.userID : CacheAudit.operatorID
        #expect(request.principal.userID == payer && payer != nil)
    }

    @Test("Only the share that is configured is checked, and so many in an hour at most")
    func bounds() async throws {
        let model = ScriptedModel(.says("It is Paris."))
        let none = audit(model) { $0.share = 0 }
        try await ask(none, times: 20)
        let few = audit(model) { $0.callsPerHourMax = 3 }
        try await ask(few, times: 20)
        try await finished(few) { few.figures.checked == 3 }
        try await ask(few, times: 2)
        clock.advance(by: .seconds(3600))
        try await ask(few, times: 2)
        try await finished(few) { few.figures.checked == 5 }
        #expect(model.requests.count == 5 && none.figures.checked == 0)
    }

    @Test("A check that fails is no verdict, and the next goes on")
    func failure() async throws {
        let model = ScriptedModel(.refuses(Failure(.upstream, "No.")), .says("It is Paris."))
        let audit = audit(model)
        try await ask(audit, times: 2)
        try await finished(audit) { audit.figures.checked == 1 }
        #expect(audit.figures == (1, 0) && model.requests.count == 2)
    }

    @Test(
        "Answers say the same unless they contradict each other",
        arguments: [
            ("It is Paris.", "Paris is the capital, a city of 2 million on the Seine.", 0.9, []),
            ("It has 12 gates.", "It has 14 gates.", 0.9, [.numbers]),
            ("It has 12 gates.", "There are twelve gates and 3 doors.", 0.9, []),
            ("It was Ada Palmer.", "It was Grace Hopper.", 0.9, [.names]),
            ("Yes, it is safe.", "No, it is safe.", 0.9, [.verdict]),
            ("Yes.", "It is.", 0.9, []), ("Salt.", "It is salt.", 0.2, [.meaning]),
            ("", "", 0.9, []),
        ] as [(String, String, Double, [AnswerComparison.Complaint])])
    func comparison(
        given: String, asked: String, similarity: Double, complaints: [AnswerComparison.Complaint]
    ) {
        for (one, other) in [(given, asked), (asked, given)] {
            let found = AnswerComparison(one, other, similarity: similarity, similarityMin: 0.7)
            #expect(found.complaints == complaints)
        }
    }
}
