import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct ConversationTests {
    @Test("Chats are listed last used first, page after page, with none skipped or repeated")
    func pages() async throws {
        // The clock stands still, as it may for chats of one millisecond.
        try await withOrchestrator { orchestrator in
            var created: [Identifier] = []
            for number in 0..<5 {
                created.append(
                    try await orchestrator.createChat(titled: "Chat \(number)", for: .alice).id)
            }
            _ = try await orchestrator.outcome(
                of: try await orchestrator.ask(in: created[0]).turnID)

            var listed: [Identifier] = []
            var before: Timestamp?
            while true {
                let page = try await orchestrator.chats(for: .alice, before: before, limit: 2)
                guard let last = page.last else { break }
                listed += page.map(\.id)
                before = last.updatedAt
            }
            #expect(listed == [created[0], created[4], created[3], created[2], created[1]])
        }
    }

    @Test("A limit from outside is kept within bounds", arguments: [Int.min, 0, Int.max])
    func limits(limit: Int) async throws {
        try await withOrchestrator { orchestrator in
            for _ in 0..<3 { _ = try await orchestrator.newChat() }
            let chats = try await orchestrator.chats(for: .alice, before: nil, limit: limit)
            #expect(chats.count == (limit > 0 ? 3 : 1))
        }
    }

    @Test("A title that was given stays; a long one is refused")
    func titles() async throws {
        try await withOrchestrator { orchestrator in
            let chat = try await orchestrator.createChat(titled: " My\n chat ", for: .alice)
            _ = try await orchestrator.outcome(of: try await orchestrator.ask(in: chat.id).turnID)
            let after = try await orchestrator.entries(in: chat.id, for: .alice).0
            let code = await refusal {
                _ = try await orchestrator.createChat(
                    titled: String(repeating: "a", count: 201), for: .alice)
            }?.code
            #expect(chat.title == "My chat" && after.title == "My chat")
            #expect(after.updatedAt > chat.updatedAt)
            #expect(code == .tooLarge)
        }
    }

    @Test(
        "A question becomes a title on one line",
        arguments: [
            ("What is it?", "What is it?"), ("a\n\tb  c", "a b c"), ("", ""),
            (
                "Which of the seven layers behind every app decides where a request goes next?",
                "Which of the seven layers behind every app decides where a…"
            ),
            (String(repeating: "x", count: 99), String(repeating: "x", count: 60) + "…"),
            ("safe\u{202E}evil", "safe evil"), ("👩‍👩‍👧 family", "👩‍👩‍👧 family"),
        ])
    func title(question: String, expected: String) {
        #expect(Title.of(question: question) == expected)
    }

    @Test("A chat that is taken away is gone with everything in it")
    func removal() async throws {
        try await withOrchestrator { orchestrator in
            let chat = try await orchestrator.newChat()
            let turn = try await orchestrator.ask(in: chat).turnID
            _ = try await orchestrator.outcome(of: turn)
            try await orchestrator.removeChat(chat, for: .alice)
            let codes = [
                await refusal { _ = try await orchestrator.entries(in: chat, for: .alice) },
                await refusal { _ = try await orchestrator.events(of: turn) },
                await refusal { try await orchestrator.removeChat(chat, for: .alice) },
                await refusal { _ = try await orchestrator.ask(in: chat) },
            ].map { $0?.code }
            #expect(codes == Array(repeating: .notFound, count: 4))
        }
    }

    @Test("Configuration out of range names its key")
    func configuration() throws {
        try OrchestrationConfiguration().validate()
        let changes: [(String, (inout OrchestrationConfiguration) -> Void)] = [
            ("turns_max", { $0.turnsMax = 0 }), ("jobs_max", { $0.jobsMax = 1000 }),
            ("local.passages_max", { $0.local.passagesMax = -1 }),
            ("hosted.similarity_min", { $0.hosted.similarityMin = .nan }),
            ("question_characters_max", { $0.questionCharactersMax = .max }),
        ]
        for (key, change) in changes {
            var configuration = OrchestrationConfiguration()
            change(&configuration)
            #expect {
                try configuration.validate()
            } throws: {
                ($0 as? Failure)?.message.contains("orchestration.\(key)") == true
            }
        }
    }
}
