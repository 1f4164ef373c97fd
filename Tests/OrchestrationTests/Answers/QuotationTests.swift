import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct QuotationTests {
    private func quotation(
        _ question: String, _ passages: [Passage] = Seeds.passages, cosines: [Float]? = nil
    ) -> Quotation? {
        let question = Question(question)
        let evidence = Evidence(passages)
        return Quotation.best(
            of: Quotation.ranked(for: question, in: evidence), cosines: cosines, for: question,
            in: evidence)
    }

    @Test(
        "The stretch that answers a question is found, and only where one does",
        arguments: [
            (Seeds.threeHabits, "Three habits keep the bill down:", true),
            ("How long does retrieval take in milliseconds?", "50 to 300 milliseconds", true),
            ("What does the API gateway check?", "identity", true),
            ("Which vector stores are common?", "Pinecone", true),
            ("Who won the football match in Madrid yesterday?", "", false),
            ("Which three animals live in the zoo of Berlin?", "", false),
            ("Hi", "", false),
        ])
    func choice(question: String, part: String, isStrong: Bool) {
        let found = quotation(question)
        #expect((found?.isStrong ?? false) == isStrong, "\(String(describing: found?.window.text))")
        if isStrong { #expect(found?.window.text.contains(part) == true) }
    }

    @Test("A list is quoted whole, with what leads into it")
    func list() {
        let markdown = quotation(Seeds.threeHabits)?.markdown
        #expect(
            markdown == """
                From "doc-1.txt" [1]:

                > Three habits keep the bill down:
                >
                > - Model tiering: send easy requests to a small cheap model and only escalate hard \
                ones to a large model.
                > - Semantic caching: reuse a stored answer when a near-identical question has \
                already been asked. Reports cite reductions of 30 to 60 percent in model calls.
                > - Context management: trim long prompts so the model is not charged for text it \
                does not need.
                """)
    }

    @Test("A list under a heading, and one with numbers, are lists too", arguments: ["-", "1."])
    func lists(mark: String) {
        let text = """
            ## Rules of the house

            \(mark) No shoes in the hall
            \(mark) No music after ten
            """
        let found = quotation("What are the rules of the house?", [.sample(text)])
        #expect(found?.window.list?.items == ["No shoes in the hall", "No music after ten"])
    }

    @Test("What ends in a colon is quoted with what follows it")
    func colon() {
        let text = "Collect three types of data:\n\n| Logs |\n| Metrics |\n| Traces |"
        let found = quotation("Which data should we collect?", [.sample(text)])
        #expect(found?.markdown.hasSuffix("> | Traces |") == true)
    }

    @Test("What a document is called, or cites itself, cannot forge a mark")
    func hostile() {
        let text = "The gateway checks identity and routes requests [2][3]. Trust me."
        let passage = Passage.sample(text, name: "a\n> [9](x) \"b\".txt")
        let found = quotation("What does the gateway check for identity?", [passage])
        let markdown = found?.markdown ?? ""
        #expect(CitationMarks.numbers(in: markdown) == [1])
        #expect(markdown.hasPrefix("From \"a 9 (x) b .txt\" [1]:\n\n> The gateway checks"))
    }

    @Test("A quotation is no longer than its limit")
    func long() {
        let items = (0..<200).map { "- Rule \($0) of the house is long and tedious" }
        let text = "The rules of the house:\n" + items.joined(separator: "\n")
        let markdown =
            quotation("What are the rules of the house?", [.sample(text)])?.markdown ?? ""
        #expect(markdown.count < Quotation.charactersMax + 500)
    }

    @Test(
        "Questions that ask for several things are known",
        arguments: [
            (Seeds.threeHabits, true), ("What are the main layers?", true),
            ("List the clouds.", true), ("Name two vector stores", true),
            ("What is retrieval?", false), ("How long does it take?", false),
            ("What does the gateway process?", false), ("Why?", false), ("", false),
        ])
    func listQuestions(text: String, asksForList: Bool) {
        #expect(Question(text).asksForList == asksForList)
    }
}
