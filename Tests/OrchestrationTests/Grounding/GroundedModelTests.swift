import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct GroundedModelTests {
    private static func request(_ messages: ChatMessage..., model: String = "scripted")
        -> ChatRequest
    {
        ChatRequest(principal: .alice, model: model, messages: messages, purpose: "api")
    }

    private static func search(limit: Int = 0) -> SearchRequest {
        SearchRequest(principal: .alice, text: "", collectionIDs: [], limit: limit)
    }

    private static func run(_ call: GroundedCall) async throws -> String {
        var text = ""
        _ = try await call.call.run { event in
            if case .text(let piece) = event { text += piece }
        }
        return text
    }

    @Test("The model gets the passages before the question, and its marks become citations")
    func cited() async throws {
        let model = ScriptedModel(
            .says(
                "Retrieval takes roughly 50 to 300 milliseconds [2]. Common vector stores include"
                    + " Pinecone, Weaviate, and pgvector on Postgres. Bananas are yellow."))
        let knowledge = ScriptedKnowledge(passages: Seeds.all)
        try await withOrchestrator(model: model, knowledge: knowledge) { orchestrator in
            let opened = try await orchestrator.open(
                Self.request(
                    ChatMessage(.system, "Be kind."), ChatMessage(.user, "How long is retrieval?")),
                searching: Self.search(), scoreMin: 0)
            #expect(opened.query == "How long is retrieval?" && opened.hits.count == 3)
            let text = try await Self.run(opened)
            #expect(!text.contains("["))
            let citations = await opened.citations()
            #expect(citations.map(\.number) == [2, 2])
            let first = text.unicodeScalars.prefix(citations[0].offset)
            #expect(String(String.UnicodeScalarView(first)).hasSuffix("milliseconds."))
            let messages = try #require(model.requests.first?.messages)
            #expect(messages.map(\.role) == [.system, .user])
            #expect(messages[0].text.hasPrefix("Be kind.\n\n"))
            #expect(messages[1].text.hasSuffix("How long is retrieval?"))
            #expect(messages[1].text.contains("[2] doc-2.txt"))
        }
    }

    @Test("What was held back for a mark comes before the call that ends the text")
    func callAfterText() async throws {
        struct Caller: ChatModel {
            func open(_ request: ChatRequest) async throws -> ChatCall {
                ChatCall(
                    candidate: "scripted/caller",
                    run: { emit in
                        try await emit(.text("Let me check. "))
                        try await emit(.toolCall(ToolCallPiece(index: 0, id: "1", name: "look")))
                        return Completion(
                            candidate: "scripted/caller", finishReason: .toolCalls,
                            usage: TokenUsage(), firstTokenMilliseconds: 1, totalMilliseconds: 2)
                    })
            }
            func models() async -> [ModelCard] { [.scripted(isLocal: false)] }
            func countTokens(_ texts: [String], model: String) async throws -> [Int] {
                texts.map(\.count)
            }
        }
        try await withOrchestrator(
            model: Caller(), knowledge: ScriptedKnowledge(passages: Seeds.all)
        ) { orchestrator in
            let opened = try await orchestrator.open(
                Self.request(ChatMessage(.user, "How long is retrieval?")),
                searching: Self.search(), scoreMin: 0)
            var text = ""
            var hasCall = false
            _ = try await opened.call.run { event in
                if case .text(let piece) = event {
                    #expect(!hasCall)
                    text += piece
                }
                if case .toolCall = event { hasCall = true }
            }
            #expect(text == "Let me check. " && hasCall)
        }
    }

    @Test("A question that goes on is searched as the conversation says")
    func followUp() async throws {
        let knowledge = ScriptedKnowledge(passages: Seeds.all)
        try await withOrchestrator(knowledge: knowledge) { orchestrator in
            _ = try await orchestrator.open(
                Self.request(
                    ChatMessage(.user, "How long does retrieval take?"),
                    ChatMessage(.assistant, "Not long."), ChatMessage(.user, "Why?")),
                searching: Self.search(limit: 2), scoreMin: 0)
            let asked = try #require(knowledge.requests.first)
            #expect(asked.text == "Why?" && asked.queries == ["Why? (reworded)"])
            #expect(asked.limit == 2)
        }
    }

    @Test("Without a passage the model is told so, and nothing is cited")
    func nothing() async throws {
        let model = ScriptedModel(.says("I cannot tell [1]."))
        let knowledge = ScriptedKnowledge(passages: Seeds.all)
        try await withOrchestrator(model: model, knowledge: knowledge) { orchestrator in
            let opened = try await orchestrator.open(
                Self.request(ChatMessage(.user, "How long is retrieval?")),
                searching: Self.search(), scoreMin: 1)
            #expect(opened.hits.isEmpty)
            _ = try await Self.run(opened)
            #expect(await opened.citations().isEmpty)
            let messages = try #require(model.requests.first?.messages)
            #expect(messages[0].text.contains("nothing in them fits"))
            #expect(messages.last?.text == "How long is retrieval?")
        }
    }

    @Test("What does not fit into the context beside the conversation is left out")
    func fit() async throws {
        let model = ScriptedModel(
            .says("Yes."), cards: [.scripted(contextTokens: 400, outputTokensMax: 50)])
        let knowledge = ScriptedKnowledge(passages: Seeds.all)
        try await withOrchestrator(model: model, knowledge: knowledge) { orchestrator in
            let opened = try await orchestrator.open(
                Self.request(ChatMessage(.user, "How long is retrieval?")),
                searching: Self.search(), scoreMin: 0)
            #expect(!opened.hits.isEmpty && opened.hits.count < 3)
        }
    }

    @Test("No question, an unknown model and a failing search are refused")
    func refusals() async throws {
        let failing = ScriptedKnowledge(failure: Failure(.notFound, "There is no such collection."))
        try await withOrchestrator(knowledge: failing) { orchestrator in
            let rows: [(ChatRequest, Failure.Code)] = [
                (Self.request(ChatMessage(.system, "Only this.")), .invalid),
                (Self.request(ChatMessage(.user, " ")), .invalid),
                (Self.request(ChatMessage(.user, "Why?"), model: "none"), .notFound),
                (Self.request(ChatMessage(.user, "Why?")), .notFound),
            ]
            for (request, code) in rows {
                let failure = await refusal {
                    _ = try await orchestrator.open(
                        request, searching: Self.search(), scoreMin: 0)
                }
                #expect(failure?.code == code)
            }
        }
    }
}
