import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct WholeQuestionTests {
    private static let rows: [(question: String, kind: WholeQuestion.Kind?, isExplicit: Bool)] = [
        ("Summarise the handbook", .summary, true), ("Give me a summary, please.", .summary, true),
        ("TL;DR?", nil, false), ("tldr", .summary, true),
        ("What are the key points?", .summary, true),
        ("What is this document about?", .summary, true),
        ("How many ferries are there in total?", .count, true),
        ("How many days of leave do new staff get?", .count, false),
        ("What is the number of berths?", .count, false),
        ("List all ferries.", .list, true), ("Please list the ferries", .list, false),
        ("Can you name every keeper?", .list, true), ("Which ships are mentioned?", .list, true),
        ("What are all the rules?", .list, true), ("What are the rules?", nil, false),
        ("When does the ferry leave?", nil, false), ("Which channel is used?", nil, false),
        ("Wie viele Schiffe gibt es?", .count, true), ("", nil, false),
    ]

    @Test("A question about all of a text is told from one about a place in it", arguments: rows)
    func kinds(row: (question: String, kind: WholeQuestion.Kind?, isExplicit: Bool)) {
        let found = WholeQuestion(row.question)
        #expect(found?.kind == row.kind)
        #expect(found?.isExplicit ?? false == row.isExplicit)
    }

    @Test("A passage that has the figure, or the list, settles a question that does not want all")
    func settled() async throws {
        let passages = [
            Passage.sample("New staff get 24 days of leave."),
            Passage.sample("The three ferries are:\n- Albatross\n- Gull\n- Tern", number: 2),
        ]
        let rows: [(String, Bool)] = [
            ("How many days of leave do new staff get?", true),
            ("How many days of leave do new staff get in total?", false),
            ("List the three ferries", true), ("List all three ferries", false),
            ("How many cats sleep here?", false), ("Summarise the leave of new staff", false),
        ]
        for (question, isSettled) in rows {
            let review = AnswerReview(question: question, passages: passages, quotesPassages: true)
            let quotation = await review.quotation { _ in nil }
            #expect(WholeQuestion(question)?.isSettled(by: quotation) == isSettled, "\(question)")
        }
    }
}

@Suite struct WholeTextTests {
    private static func document(_ number: Int) -> DocumentSummary { .whole(number) }

    @Test("Blocks are all of a text, in their places, and none is longer than a block may be")
    func blocks() throws {
        let texts = [
            "One.\n\nTwo is here.\n\n\n\nThree\n\n" + String(repeating: "\n", count: 3000) + "x",
            String(repeating: "word ", count: 2000),
            String(repeating: "x", count: 5000), "", "\n\n\n", "Ünï 🚢\n\nend\n\n",
        ]
        for text in texts {
            let whole = try #require(WholeText([(Self.document(1), text)]))
            let scalars = Array(text.unicodeScalars)
            var last = 0
            for block in whole.blocks {
                #expect(block.start >= last && block.end - block.start <= 1200)
                #expect(
                    String(String.UnicodeScalarView(scalars[block.start..<block.end])) == block.text
                )
                last = block.end
            }
            let kept = whole.blocks.map(\.text).joined().filter { !$0.isWhitespace }
            #expect(kept == text.filter { !$0.isWhitespace })
        }
    }

    @Test("Runs hold one document each and no more tokens than they may")
    func runs() throws {
        var whole = try #require(
            WholeText([(Self.document(1), "a\n\nb\n\nc\n\nd"), (Self.document(2), "e\n\nf")]))
        for place in whole.blocks.indices { whole.blocks[place].tokens = 40 }
        #expect(whole.runs(tokensMax: 100) == [0..<2, 2..<4, 4..<6])
        #expect(whole.runs(tokensMax: 10).count == 6)
        let passage = whole.passage(2..<4, id: Self.document(9).id)
        #expect(passage.text == "\nc\n\nd" && passage.start == 5 && passage.end == 10)
    }
}

extension DocumentSummary {
    static func whole(_ number: Int, name: String = "handbook.md") -> DocumentSummary {
        let passage = Passage.sample("", number: number)
        return DocumentSummary(
            id: passage.documentID, collectionID: passage.id, name: name,
            mediaType: "text/markdown", byteCount: 1, passageCount: 1, state: .ready, failure: nil,
            createdAt: Timestamp(microseconds: 0))
    }
}
