import Testing

@testable import Retrieval

@Suite struct FusionTests {
    private func fusion(
        depth: Int = 10, vectorShare: Double = 0.5, exactBonus: Double = 1,
        similarityMin: Double = 0.5
    ) -> Fusion {
        Fusion(
            depth: depth, vectorShare: vectorShare, exactBonus: exactBonus,
            similarityMin: similarityMin)
    }

    private static let keywords = [
        PassageStore.Match(passage: 1, score: 8), .init(passage: 2, score: 4),
        .init(passage: 3, score: 2),
    ]

    @Test("Each lane is divided by its best, and a passage scores their weighted sum")
    func sum() {
        let (kept, dropped) = fusion(vectorShare: 0.25).candidates(
            .init(
                keywords: Self.keywords,
                neighbours: [
                    .init(passage: 3, similarity: 0.75), .init(passage: 4, similarity: 0.5),
                    .init(passage: 5, similarity: 0.25),
                ]))

        #expect(kept.map(\.passage) == [1, 3, 2, 4])
        #expect(kept.map(\.keywordRank) == [1, 3, 2, nil])
        #expect(kept.map(\.vectorRank) == [nil, 1, nil, 2])
        #expect(
            kept.map(\.score) == [
                0.75, 0.25 + 0.75 * 0.25, 0.75 * 0.5, 0.25 * (Double(Float(0.5)) / 0.75),
            ])
        #expect(dropped.map(\.passage) == [5])
    }

    @Test("What only one lane finds has the other's score all the same")
    func both() {
        // Past the depth of one, so only the vectors find it; its words count nonetheless.
        let (kept, _) = fusion(depth: 1).candidates(
            .init(
                keywords: Self.keywords, neighbours: [.init(passage: 2, similarity: 0.5)],
                question: [1, 0], vectors: [1: [0.25, 0], 2: [0.5, 0]]))

        #expect(kept.map(\.passage) == [1, 2])
        #expect(kept.map(\.similarity) == [0.25, 0.5] && kept.map(\.keywordScore) == [8, 4])
        #expect(kept.map(\.keywordRank) == [1, nil] && kept.map(\.score) == [0.75, 0.75])
    }

    @Test("The best passages move the question towards themselves")
    func feedback() {
        // Two are as near to the question; one of them is beside what stands first.
        let near: [Float] = [0.6, 0.8]
        let far: [Float] = [0.6, -0.8]
        let (kept, _) = fusion().candidates(
            .init(
                keywords: [.init(passage: 9, score: 3)],
                neighbours: [
                    .init(passage: 9, similarity: 0.8), .init(passage: 1, similarity: 0.6),
                    .init(passage: 2, similarity: 0.6),
                ],
                question: [1, 0], vectors: [9: [0.8, 0.6], 1: far, 2: near]))

        #expect(kept.map(\.passage) == [9, 2, 1])
        #expect(kept[1].similarity == kept[2].similarity && kept[1].score > kept[2].score)
    }

    @Test(
        "The words of the best passages count beside the question's, and change no figure of its own"
    )
    func feedbackWords() {
        let evidence = Fusion.Evidence(
            keywords: Self.keywords,
            feedback: Fusion.feedback(
                [.init(passage: 3, score: 15), .init(passage: 7, score: 90)], terms: 10))
        let (kept, _) = fusion(vectorShare: 0.25).candidates(evidence)
        // A fifth of their scores, as ten words are in both.
        #expect(kept.map(\.passage) == [1, 3, 2])
        #expect(kept.map(\.score) == [0.75, 0.46875, 0.375])
        #expect(kept.map(\.keywordScore) == [8, 2, 4] && kept.map(\.keywordRank) == [1, 3, 2])
        #expect(fusion().best(evidence).map(\.passage) == [1, 2, 3])
    }

    @Test("Exact words go before everything, and need no nearness")
    func exact() {
        let (kept, _) = fusion().candidates(
            .init(
                keywords: Self.keywords, neighbours: [.init(passage: 1, similarity: 0.9)],
                exact: [3]))
        #expect(kept.map(\.passage) == [3, 1, 2] && kept.map(\.isExact) == [true, false, false])
    }

    @Test("A lane that found nothing leaves the order to the other")
    func alone() {
        let words = fusion().candidates(.init(keywords: Self.keywords)).kept
        #expect(words.map(\.passage) == [1, 2, 3] && words.map(\.similarity) == [nil, nil, nil])
        let meaning = fusion().candidates(
            .init(neighbours: [
                .init(passage: 7, similarity: 0.9), .init(passage: 6, similarity: 0.8),
            ])
        ).kept
        #expect(meaning.map(\.passage) == [7, 6])
        #expect(fusion().candidates(.init()).kept.isEmpty)
    }

    @Test(
        "A question shows what it is about by its form",
        arguments: [
            ("Which habits keep the bill down?", "prose", nil),
            ("What does run_target do?", "code", nil),
            ("How is a DiffExecutor made?", "code", nil),
            ("What does Vec::new() give?", "code", nil),
            ("Why ERR_404 or gpt-4o?", "code", "\"err 404\" AND \"gpt 4o\""),
            ("error E1234-X", "code", "\"e1234 x\""),
            ("Where is “the Bill” paid?", "quoted", "\"the bill\""),
            ("say \"a b\" and \"c\" in v2", "quoted", "\"a b\" AND \"c\""),
            ("The 1990s, the 2nd time, NASA", "prose", nil),
            ("a \" that is never closed", "prose", nil), ("\"\" “”", "prose", nil),
        ] as [(String, String, String?)])
    func kinds(question: String, shape: String, exact: String?) {
        let kind = QuestionKind(question)
        #expect(kind.shape.rawValue == shape && kind.exact == exact)
    }

    @Test(
        "The parts of a name are words of their own",
        arguments: [
            ("DiffExecutor", "diff executor"), ("parseHTTPRequest", "parse http request"),
            ("snake_case_name", ""), ("vectorIndex2d", "vector index"), ("plain", ""),
        ])
    func names(text: String, hints: String) {
        #expect(KeywordHints.hints(for: text) == hints)
    }
}
