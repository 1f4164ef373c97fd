import TestSupport
import Testing

@testable import Retrieval

@Suite struct ChunkerTests {
    private func read(_ text: String, _ format: DocumentFormat = .plain) throws -> ExtractedText {
        try extracted(text, format)
    }

    private func passages(
        _ text: String, _ format: DocumentFormat = .plain, tokensMax: Int = 220
    ) throws -> [(headings: [String], text: String)] {
        let extracted = try read(text, format)
        return Chunker(tokensMax: tokensMax).chunks(of: extracted).map {
            ($0.headings, extracted.string($0.range))
        }
    }

    @Test("A list stays with the sentence that introduces it")
    func habits() throws {
        let found = try passages(Samples.guide).filter { $0.text.contains("Three habits") }

        #expect(found.count == 1)
        #expect(
            found.first?.headings == [
                "The Cloud Architecture Behind Every AI App", "Layer 7: Cost and FinOps",
            ])
        for habit in ["Model tiering:", "Semantic caching:", "Context management:", "60 percent"] {
            #expect(found.first?.text.contains(habit) == true)
        }
    }

    @Test("A list goes with its sentence even where the paragraph before them does not fit")
    func habitsInSmallPassages() throws {
        let found = try passages(Samples.guide, tokensMax: 100).filter {
            $0.text.contains("Three habits")
        }

        #expect(found.first?.text.hasPrefix("Three habits keep the bill down:\n- Model") == true)
        #expect(found.first?.text.hasSuffix("text it does not need.") == true)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var format = DocumentFormat.plain
        let text: String
        /// `heading > heading | text` for each passage.
        let passages: [String]
    }

    static let cases: [Case] = [
        Case(testDescription: "one word", text: "Hello", passages: [" | Hello"]),
        Case(testDescription: "nothing but space", text: " \n\t\n ", passages: []),
        Case(
            testDescription: "short paragraphs are merged under their heading",
            text:
                "Fruit\n\nApples are red.\n\nPears are green, mostly.\n\nTools\n\nSaws cut wood well.",
            passages: [
                "Fruit | Apples are red.\n\nPears are green, mostly.",
                "Fruit > Tools | Saws cut wood well.",
            ]),
        Case(
            testDescription: "hand-wrapped lines are one paragraph without headings",
            text: """
                The quick brown fox jumps over the lazy dog and then it goes on to do it again.
                Nobody knows why the fox does this, but some say that it is because of the moon
                Others say
                that it is not.
                """,
            passages: [
                """
                 | The quick brown fox jumps over the lazy dog and then it goes on to do it again.
                Nobody knows why the fox does this, but some say that it is because of the moon
                Others say
                that it is not.
                """
            ]),
        Case(
            testDescription: "numbered headings are below, numbered items are not headings",
            text: """
                Routing

                The layer gives three things, and here they all are at last.

                1. Independence

                If you call one provider, you are one outage away from a failure.

                Then do it:

                  1. Buy credits in bulk
                  2. Use them up slowly

                This creates a loop that goes on for ever and ever.
                """,
            passages: [
                "Routing | The layer gives three things, and here they all are at last.",
                """
                Routing > 1. Independence | If you call one provider, you are one outage away from a \
                failure.

                Then do it:

                  1. Buy credits in bulk
                  2. Use them up slowly

                This creates a loop that goes on for ever and ever.
                """,
            ]),
        Case(
            testDescription: "a question of its own heads the answer",
            text: "Is a vector database needed?\nNot for a simple chat. It is needed for search.",
            passages: [
                "Is a vector database needed? | Not for a simple chat. It is needed for search."
            ]),
        Case(
            testDescription: "underlined headings",
            text: "Title\n=====\n\nSome words here.\n\nPart\n----\nMore words here.",
            passages: ["Title | Some words here.", "Title > Part | More words here."]),
        Case(
            testDescription: "a column of words is no heading",
            text: "Red\nGreen\nBlue\nThese are the colours that a screen is made of, all of them.",
            passages: [
                " | Red\nGreen\nBlue\nThese are the colours that a screen is made of, all of them."
            ]),
        Case(
            testDescription: "Markdown: levels, lists, code, tables, front matter, comments",
            format: .markdown, text: Samples.markdown,
            passages: [
                "Handbook | Welcome.  This is the introduction.",
                "Handbook > Travel | Book early. Trains come before planes.",
                """
                Handbook > Travel > Receipts | Keep these:

                1. The ticket.
                2. The hotel bill,
                   with the tax number.
                   - and the breakfast
                """,
                """
                Handbook > Code | ```swift
                let answer = 42  // <!-- not a comment here -->

                # not a heading
                ```

                | Name | Days |
                |------|------|
                | Rest | 30   |
                """,
            ]),
        Case(
            testDescription: "a Markdown heading over nothing is a passage",
            format: .markdown, text: "# A\n\n## B\n\n## C\n\ntext",
            passages: ["A | ## B", "A > C | text"]),
        Case(
            testDescription: "a hash in plain text is no heading",
            text: "# a comment of a script\nand what follows it.",
            passages: [" | # a comment of a script\nand what follows it."]),
    ]

    @Test("Structure decides where passages begin and end", arguments: cases)
    func structure(_ example: Case) throws {
        let found = try passages(example.text, example.format).map {
            $0.headings.joined(separator: " > ") + " | " + $0.text
        }
        #expect(found == example.passages)
    }

    @Test("Passages keep to the limit and lose nothing", arguments: [32, 60, 220])
    func limits(tokensMax: Int) throws {
        let long = String(repeating: "No sentence ends here, it only goes on and on ", count: 60)
        let items = (1...60).map { "- item number \($0) of a long list" }.joined(separator: "\n")
        let code = "```\n" + (1...80).map { "let x\($0) = \($0)" }.joined(separator: "\n") + "\n```"
        let text = [Samples.guide, long, String(repeating: "x", count: 3000), items, code]
            .joined(separator: "\n\n")
        let extracted = try read(text)
        let chunks = Chunker(tokensMax: tokensMax).chunks(of: extracted)

        #expect(
            chunks.allSatisfy {
                TokenEstimate.count(extracted.scalars[$0.range]) <= tokensMax
            })
        // Each begins after the one before, and between them is nothing but space and headings.
        var end = 0
        var between = ""
        for chunk in chunks {
            #expect(chunk.range.lowerBound >= end && !chunk.range.isEmpty)
            between += extracted.string(end..<chunk.range.lowerBound)
            end = chunk.range.upperBound
        }
        let headings = extracted.blocks.filter(\.kind.isHeading).map { extracted.string($0.range) }
        #expect(words(between) == words(headings.joined(separator: " ")))
    }

    private func words(_ text: String) -> [Substring] { text.split(whereSeparator: \.isWhitespace) }

    @Test("No sentence is cut while it fits")
    func sentences() throws {
        let text = (1...80).map { "Sentence number \($0) tells of Dr. Brown, i.e. the doctor." }
            .joined(separator: " ")
        for passage in try passages(text, tokensMax: 60) {
            #expect(passage.text.hasPrefix("Sentence") && passage.text.hasSuffix("doctor."))
        }
    }
}
