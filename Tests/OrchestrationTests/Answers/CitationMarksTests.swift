import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct CitationMarksTests {
    @Test(
        "Marks stay where their number was in the context",
        arguments: [
            ("So it is [1].", 1, "So it is [1]."), ("So it is [2].", 1, "So it is."),
            ("Both [1, 2] or [1][3].", 2, "Both [1][2] or [1]."),
            ("[0] [-1] [x] []", 3, " [-1] [x] []"),
            ("See [1](http://a.example).", 3, "See [1](http://a.example)."),
            ("Code `a[7]` and [7]", 3, "Code `a[7]` and"),
            ("```\nx[9] = 1\n```\ndone [9]", 1, "```\nx[9] = 1\n```\ndone"),
            ("[99999999999999999999]", 3, "[99999999999999999999]"), ("[1", 1, "[1"), ("[", 1, "["),
            ("", 3, ""), ("Nothing [1]", 0, "Nothing"),
        ])
    func kept(text: String, count: Int, expected: String) {
        #expect(CitationMarks.kept(in: text, count: count) == expected)
    }

    @Test("A citation stands for a passage by its number, once")
    func citations() {
        let passages = [Passage.sample("a", number: 1), .sample("b", number: 2)]
        let citations = CitationMarks.citations(in: "x [2] y [2] z [5]", of: passages)
        #expect(citations == [Citation(number: 2, passage: passages[1], origin: .model)])
    }
}
