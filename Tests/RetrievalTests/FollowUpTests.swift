import Core
import Synchronization
import TestSupport
import Testing

@testable import Retrieval

/// Questions that go on with a conversation.
@Suite struct FollowUpTests {
    private static let conversation = [
        ChatMessage(.user, "What does the harbour rescue boat cost?"),
        ChatMessage(.assistant, "Hire of the Skua costs 40 euros [1]. A lost oar is 18 euros."),
    ]

    private static let cases: [(question: String, queries: [String])] = [
        // It says nothing by itself.
        (
            "And for the second one?",
            [
                "What does the harbour rescue boat cost?\nAnd for the second one?",
                "And for the second one? harbour rescue boat cost skua 40 18",
            ]
        ),
        (
            "And why?",
            [
                "What does the harbour rescue boat cost?\nAnd why?",
                "And why? harbour rescue boat cost skua 40 18",
            ]
        ),
        // It points back.
        (
            "When was it built by the town?",
            [
                "When was it built by the town?",
                "When was it built by the town? harbour rescue boat cost skua 40 18",
            ]
        ),
        (
            "What about sailing boats in winter?",
            [
                "What about sailing boats in winter?",
                "What about sailing boats in winter? harbour rescue boat cost skua 40 18",
            ]
        ),
        // It stands alone.
        ("How does semantic caching work?", ["How does semantic caching work?"]),
        ("Which layers hold a model?", ["Which layers hold a model?"]),
    ]

    @Test("What a question leaves out is looked up with it", arguments: cases)
    func terms(question: String, queries: [String]) async throws {
        let desk = try Desk()
        #expect(
            await desk.library.queries(for: question, after: Self.conversation, for: .alice)
                == queries)
        // Where nothing was said before nothing changes.
        #expect(await desk.library.queries(for: question, after: [], for: .alice) == [question])
        let off = try Desk { $0.queryRewriting = .off }
        #expect(
            await off.library.queries(for: question, after: Self.conversation, for: .alice)
                == [question])
    }

    @Test("Of several questions that leave something out the last one counts that does not")
    func chain() async throws {
        let desk = try Desk()
        let conversation =
            Self.conversation + [ChatMessage(.user, "And why?"), ChatMessage(.assistant, "So.")]
        let queries = await desk.library.queries(
            for: "And the other one?", after: conversation, for: .alice)
        #expect(
            queries.first == "What does the harbour rescue boat cost?\nAnd the other one?")
    }

    @Test("Whatever was said, queries are few and short", arguments: [1, 100, 100_000])
    func bounded(length: Int) async throws {
        let desk = try Desk()
        let words = (0..<length).map { "Word\($0)" }.joined(separator: " ")
        let conversation = Array(
            repeating: [ChatMessage(.user, words), ChatMessage(.assistant, words)], count: 20
        ).flatMap { $0 }
        let queries = await desk.library.queries(for: "And it?", after: conversation, for: .alice)
        #expect((1...4).contains(queries.count) && queries.allSatisfy { $0.count < 2000 })
    }

    // MARK: Fused

    @Test("What another wording finds is found as well")
    func fused() async throws {
        let desk = try Desk()
        try await desk.add("The skua needs two rowers.", as: "skua.txt")
        try await desk.add("Winter storage is in the shed.", as: "shed.txt")
        try await desk.add("In winter the skua rests.", as: "rest.txt")
        var request = SearchRequest(
            principal: .alice, text: "storage winter", collectionIDs: [], limit: 10)
        let alone = try await desk.library.search(request).map(\.passage.documentName)
        request.queries = ["skua winter"]
        let hits = try await desk.library.search(request)
        let explanation = try await desk.library.explain(request)

        #expect(!alone.contains("skua.txt"))
        #expect(Set(hits.map(\.passage.documentName)) == ["skua.txt", "shed.txt", "rest.txt"])
        #expect(hits.map(\.score) == hits.map(\.score).sorted(by: >))
        #expect(hits.allSatisfy { $0.score > 0 && $0.score <= 1 })
        #expect(explanation.hits.map(\.passage) == hits.map(\.passage))
        #expect(explanation.queries == ["skua winter"])
        for limit in 1...3 {
            let request = request.limited(to: limit)
            #expect(try await desk.library.search(request) == Array(hits.prefix(limit)))
        }
    }

    @Test("More wordings than are taken are left out")
    func many() async throws {
        let desk = try Desk()
        try await desk.add("Boats float.")
        var request = SearchRequest(
            principal: .alice, text: "boats", collectionIDs: [], limit: 10)
        request.queries = (0..<50).map { "boats \($0)" }
        let before = desk.embedder.batches.count
        _ = try await desk.library.search(request)
        #expect(desk.embedder.batches.count - before == 4)
    }

    // MARK: By a model

    private final class Writer: ChatModel {
        let answer: String
        let failure: Failure?
        let requests = Mutex<[ChatRequest]>([])

        init(_ answer: String, failing failure: Failure? = nil) {
            (self.answer, self.failure) = (answer, failure)
        }

        func open(_ request: ChatRequest) async throws -> ChatCall {
            requests.withLock { $0.append(request) }
            if let failure { throw failure }
            let answer = answer
            return ChatCall(
                candidate: "far/writer",
                run: { emit in
                    for piece in answer { try await emit(.text(String(piece))) }
                    return Completion(
                        candidate: "far/writer", finishReason: .stop, usage: TokenUsage(),
                        cost: .zero, firstTokenMilliseconds: nil, totalMilliseconds: 1)
                })
        }

        func models() async -> [ModelCard] { [] }
        func countTokens(_ texts: [String], model: String) async throws -> [Int] { [] }
    }

    @Test("A model's queries take the place of the words, and are few and short")
    func model() async throws {
        let writer = Writer(
            """
            1. price of the second boat
            - "oar price"
            * oar price

            \(String(repeating: "long ", count: 100))
            a
            b
            """)
        let desk = try Desk(model: writer) { $0.queryRewriting = .model }
        let open = await desk.library.queries(
            for: "And for the second one?", after: Self.conversation, for: .alice)
        let whole = await desk.library.queries(
            for: "How does semantic caching work?", after: Self.conversation, for: .alice)
        let first = await desk.library.queries(for: "And it?", after: [], for: .alice)

        #expect(open == ["price of the second boat", "oar price", "a"])
        #expect(
            whole == [
                "How does semantic caching work?", "price of the second boat", "oar price", "a",
            ])
        #expect(first == ["And it?"])
        let requests = writer.requests.withLock { $0 }
        #expect(requests.count == 2 && requests[0].purpose == "rewrite")
        #expect(requests[0].sampling.outputTokensMax == 96)
        #expect(requests[0].messages.last?.text.contains("And for the second one?") == true)
    }

    @Test("A model that fails leaves it to the words", arguments: [true, false])
    func modelFails(fails: Bool) async throws {
        let writer = Writer(
            " \n--\n", failing: fails ? Failure(.unavailable, "No.") : nil)
        let desk = try Desk(model: writer) { $0.queryRewriting = .model }
        let queries = await desk.library.queries(
            for: "And why?", after: Self.conversation, for: .alice)
        #expect(queries.first == "What does the harbour rescue boat cost?\nAnd why?")
    }
}

extension SearchRequest {
    fileprivate func limited(to limit: Int) -> SearchRequest {
        var request = SearchRequest(
            principal: principal, text: text, collectionIDs: collectionIDs, limit: limit)
        request.queries = queries
        return request
    }
}
