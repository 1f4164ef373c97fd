import Core
import TestSupport
import Testing

@testable import Orchestration

/// What is said of each sentence of an answer.
@Suite struct SentenceVerdictTests {
    private static let passages = [
        Passage.sample(
            """
            Charges for lost equipment.
            A lost oar costs 18 euros, and a lost life jacket costs 45 euros. Payment is due at the \
            harbour office before the boat leaves again.
            """, number: 1, name: "handbook.md"),
        Passage.sample(
            """
            The harbour office opens at 8 in the morning and closes at 6 in the evening. It does \
            not open on Sundays.
            """, number: 2, name: "hours.md"),
    ]

    private static func review(
        _ answer: String, question: String = "What should a guest know?",
        passages: [Passage] = passages, cosine: Float? = nil
    ) async -> AnswerReview.Result {
        await AnswerReview(question: question, passages: passages, quotesPassages: false)
            .review(answer) { pairs in cosine.map { value in pairs.map { _ in value } } }
    }

    struct Case: Sendable {
        let sentence: String
        var cosine: Float?
        let support: SentenceVerdict.Support
        let number: Int?
        let method: SentenceVerdict.Method
        var wrong: [Int] = []
        var reason: String?
        /// The sentence as it is kept; as it was written where nil.
        var kept: String?
    }

    @Test(
        "A sentence is held against the passages: word for word, by its words, by its meaning",
        arguments: [
            Case(
                sentence: "Payment is due at the harbour office before the boat leaves again [1].",
                support: .quoted, number: 1, method: .quote),
            Case(
                sentence: "A lost oar costs 18 euros.", support: .quoted, number: 1,
                method: .quote, kept: "A lost oar costs 18 euros [1]."),
            Case(
                sentence: "For an oar that is lost the charge is 18 euros [1].",
                support: .supported, number: 1, method: .words),
            // A paraphrase: few of the words, nearly the meaning.
            Case(
                sentence: "Settle the payment at the harbour desk prior to leaving again [1].",
                cosine: 0.8, support: .supported, number: 1, method: .meaning),
            Case(
                sentence: "Settle the payment at the harbour desk prior to leaving again [1].",
                cosine: 0.62, support: .weak, number: 1, method: .meaning,
                reason: "Passage 1 says something like it, and not quite this."),
            // A false number: the words fit, the figure does not.
            Case(
                sentence: "A lost oar costs 25 euros [1].", cosine: 0.95, support: .unsupported,
                number: nil, method: .words, wrong: [1],
                reason: "None of the passages has the figure 25."),
            Case(
                sentence: "The harbour office opens on Sundays [2].", cosine: 0.95,
                support: .unsupported, number: nil, method: .words, wrong: [2],
                reason: "Passage 2 says the opposite."),
            // Invented.
            Case(
                sentence: "Dolphins dance around every vessel at midnight [1].",
                support: .unsupported, number: nil, method: .words, wrong: [1],
                reason: "It cites passage 1, which does not say this."),
            Case(
                sentence: "Dolphins dance around every vessel at midnight.",
                support: .unsupported, number: nil, method: .words,
                reason: "None of the passages says this."),
            // No such passage was in the context.
            Case(
                sentence: "A lost oar costs 18 euros [7].", support: .quoted, number: 1,
                method: .quote, wrong: [7], reason: "It cites passage 7, and there is none.",
                kept: "A lost oar costs 18 euros [1]."),
            Case(
                sentence: "Dolphins dance around every vessel at midnight [7].",
                support: .unsupported, number: nil, method: .words, wrong: [7],
                reason: "It cites passage 7, and there is none.",
                kept: "Dolphins dance around every vessel at midnight."),
            // The wrong passage is cited: the right one takes its place.
            Case(
                sentence: "A lost oar costs 18 euros [2].", support: .quoted, number: 1,
                method: .quote, wrong: [2], kept: "A lost oar costs 18 euros [1]."),
            // A part of it stands in each.
            Case(
                sentence: "A lost oar costs 18 euros, and the office opens at 8 [1][2].",
                support: .supported, number: 1, method: .words),
        ])
    func verdict(of test: Case) async throws {
        let result = await Self.review(test.sentence, cosine: test.cosine)
        #expect(result.text == test.kept ?? test.sentence)
        try #require(result.verdicts.count == 1, "\(result.verdicts)")
        let verdict = result.verdicts[0]
        #expect(verdict.support == test.support, "\(verdict)")
        #expect(verdict.number == test.number && verdict.method == test.method, "\(verdict)")
        #expect(verdict.wrongNumbers == test.wrong)
        #expect(verdict.reason == test.reason)
        #expect((0...1).contains(verdict.score))
        #expect(verdict.start == 0 && verdict.end == result.text.unicodeScalars.count)
    }

    @Test("A verdict says where in the document the evidence stands")
    func evidence() async throws {
        let passage = Passage(
            id: Self.passages[0].id, documentID: Self.passages[0].documentID,
            documentName: "handbook.md", headings: [], text: Self.passages[0].text, start: 1000,
            end: 1000 + Self.passages[0].text.unicodeScalars.count)
        let result = await Self.review(
            "For an oar that is lost the charge is 18 euros.", passages: [passage])
        let verdict = try #require(result.verdicts.first)
        let start = try #require(verdict.evidenceStart) - 1000
        let end = try #require(verdict.evidenceEnd) - 1000
        let said = String(Array(passage.text.unicodeScalars)[start..<end].map(Character.init))
        #expect(said.contains("A lost oar costs 18 euros"))
    }

    @Test("Places count scalars of the text that is kept, past marks that came and went")
    func places() async throws {
        let result = await Self.review(
            """
            # 🌊 Charges [9]

            👩‍👩‍👧 Yes. A lost oar costs 18 euros [9]. Dolphins dance around every vessel.

            - It does not open on Sundays [1].
            - Here you are:
            """)
        let scalars = Array(result.text.unicodeScalars)
        let said = result.verdicts.map { verdict in
            String(scalars[verdict.start..<verdict.end].map(Character.init))
        }
        #expect(
            said == [
                "A lost oar costs 18 euros [1].", "Dolphins dance around every vessel.",
                "It does not open on Sundays [2].",
            ])
        #expect(result.verdicts.map(\.wrongNumbers) == [[9], [], [1]])
        #expect(result.citations.map(\.number) == [1, 2])
        #expect(result.citations.map(\.origin) == [.attributed, .attributed])
    }

    @Test(
        "What claims nothing gets no verdict",
        arguments: [
            "Yes.", "Here is what I found:", "I don't know.", "What a guest should know.", "",
        ])
    func nothingClaimed(answer: String) async {
        let result = await Self.review(answer)
        #expect(result.verdicts.isEmpty)
    }

    @Test("Without passages only a mark that points nowhere is told")
    func withoutPassages() async {
        let bare = await Self.review("Boats float on water.", passages: [])
        let citing = await Self.review("Boats float on water [1].", passages: [])
        #expect(bare.verdicts.isEmpty)
        #expect(citing.text == "Boats float on water.")
        #expect(citing.verdicts.map(\.wrongNumbers) == [[1]])
        #expect(citing.verdicts.map(\.support) == [.unsupported])
    }

    @Test("A quotation in place of an answer is its own evidence")
    func quotation() async throws {
        let review = AnswerReview(
            question: "How much does a lost oar cost?", passages: Self.passages,
            quotesPassages: true)
        let result = await review.review("The oar is a bird that sings in the north.") { _ in nil }
        let verdict = try #require(result.verdicts.first)
        #expect(result.verdicts.count == 1 && verdict.support == .quoted && verdict.number == 1)
        #expect(verdict.end == result.text.unicodeScalars.count)
        #expect(result.text.contains("18 euros"))
    }

    @Test("An answer that rests on nothing is left out, with what came closest")
    func abstention() async {
        let review = AnswerReview(
            question: "Which whales sing in winter?", passages: Self.passages, quotesPassages: true)
        let result = await review.review("Blue whales sing near Iceland every winter.") { _ in nil }
        #expect(result.isAbstention)
        #expect(result.text.hasPrefix("I found no answer to this in your documents."))
        #expect(!result.text.contains("Iceland") && result.verdicts.isEmpty)
        #expect(result.citations.map(\.origin) == [.closest])
        #expect(result.notice?.contains("left out") == true)
    }
}
