import Core
import TestSupport
import Testing

@testable import Orchestration

@Suite struct AttributionTests {
    private let attribution = Attribution(evidence: Evidence(Seeds.passages))

    @Test(
        "A sentence gets the passage that supports it by its words, or none",
        arguments: [
            // Said as the document says it, or nearly.
            ("Reports put retrieval at roughly 50 to 300 milliseconds.", 2),
            ("Retrieval takes 50 to 300 milliseconds, reports say.", 2),
            ("Semantic caching reuses a stored answer for a near-identical question.", 1),
            ("Model tiering sends easy requests to a small, cheap model.", 1),
            ("The three habits are model tiering, semantic caching and context management.", 1),
            ("3 habits keep the bill down", 1),
            ("The gateway checks your identity and counts how often you knock.", 3),
            ("It holds no model.", 3),
            // Another figure, or a negation on one side only.
            ("Reports put retrieval at roughly 50 to 900 milliseconds.", nil),
            ("The gateway does not check your identity.", nil),
            ("It holds a model and stores little.", nil),
            // Fluent nonsense.
            ("The bill is a bird that sings in the north.", nil),
            ("Users should always trust their provider to choose the best hardware.", nil),
            // Nothing that could be supported.
            ("Yes.", nil), ("Here it is:", nil), ("", nil),
        ] as [(String, Int?)])
    func byWords(sentence: String, passage: Int?) {
        let choice = Attribution.choice(of: attribution.candidates(for: sentence), cosines: nil)
        #expect(choice?.number == passage)
    }

    @Test(
        "Meaning decides where words are few",
        arguments: [
            (0.80, 0.0, true), (0.74, 0.64, false), (0.51, 0.66, true), (0.51, 0.64, false),
            (0.49, 0.74, false), (0.25, 0.76, true), (0.25, 0.74, false), (0.19, 0.99, false),
        ])
    func thresholds(share: Double, cosine: Double, isSupported: Bool) {
        let candidate = Attribution.Candidate(number: 1, share: share, text: "")
        let choice = Attribution.choice(of: [candidate], cosines: [Float(cosine)])
        #expect((choice != nil) == isSupported)
    }

    @Test("A paraphrase is found through the embedder")
    func paraphrase() async {
        let sentence = "Recent tickets and the staff manual were unknown to the base system."
        let review = AnswerReview(
            question: "What has it seen?", passages: Seeds.passages, quotesPassages: false)
        let without = await review.review(sentence) { _ in nil }
        let with = await review.review(sentence) { pairs in pairs.map { _ in 0.8 } }
        #expect(without.citations.isEmpty)
        #expect(
            with.citations.map(\.number) == [2] && with.citations.map(\.origin) == [.attributed])
    }

    @Test("Marks go before the full stop, once for each sentence, and the model's own stay")
    func placement() async {
        let review = AnswerReview(
            question: "What does the gateway check?", passages: Seeds.passages,
            quotesPassages: false)
        let result = await review.review(
            """
            Answer: The gateway checks your identity. It is a nice day. Reports put retrieval at \
            roughly 50 to 300 milliseconds [2][9].

            - Semantic caching: reuse a stored answer
            - Nothing of the sort anywhere
            """
        ) { _ in nil }
        #expect(
            result.text == """
                The gateway checks your identity [3]. It is a nice day. Reports put retrieval at \
                roughly 50 to 300 milliseconds [2].

                - Semantic caching: reuse a stored answer [1]
                - Nothing of the sort anywhere
                """)
        #expect(result.citations.map(\.number) == [1, 2, 3])
        #expect(result.citations.map(\.origin) == [.attributed, .model, .attributed])
        #expect(result.notice == nil)
    }

    @Test(
        "A true sentence that does not answer, and a false one in the question's words, give way",
        arguments: [
            (
                "What is semantic caching?",
                "The FinOps Foundation suggests growing this discipline in three stages, crawl,"
                    + " walk, then run.", "From \"doc-1.txt\" [1]:\n\n> Semantic caching: reuse"
            ),
            (
                "What does the API gateway do?",
                "The API gateway is a gateway that allows you to access and manage the data from"
                    + " the cloud.", "From \"doc-3.txt\" [3]:\n\n> Every request from the app"
            ),
            (
                "How long does retrieval take?", "50 to 300 milliseconds.",
                "50 to 300 milliseconds [2]."
            ),
        ])
    func giveWay(question: String, answer: String, expected: String) async {
        let review = AnswerReview(
            question: question, passages: Seeds.passages, quotesPassages: true)
        let result = await review.review(answer) { pairs in pairs.map { _ in 0.66 } }
        #expect(result.text.hasPrefix(expected), "\(result.text)")
    }

    @Test("An answer without passages is left as it is")
    func noPassages() async {
        let review = AnswerReview(question: "Why?", passages: [], quotesPassages: true)
        let result = await review.review("Because it is so.") { _ in nil }
        #expect(result == .init(text: "Because it is so.", citations: [], sentenceCount: 0))
    }

    @Test("An embedder is asked about few texts, however long the answer is")
    func bounded() async {
        let review = AnswerReview(
            question: "What does the gateway do?", passages: Seeds.passages, quotesPassages: true)
        let answer = String(
            repeating: "The gateway building stores identity numbers for many tickets. ", count: 200
        )
        var most = 0
        _ = await review.review(answer) { pairs in
            most = max(most, pairs.count)
            return pairs.map { _ in 0.5 }
        }
        #expect(most > 0 && most <= AnswerReview.pairsMax)
    }
}
