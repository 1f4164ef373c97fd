import Testing

@testable import Orchestration

@Suite struct RepetitionWatchTests {
    private func kept(_ text: String, pieceLength: Int) -> String? {
        var watch = RepetitionWatch()
        var rest = text[...]
        while !rest.isEmpty {
            if let kept = watch.add(String(rest.prefix(pieceLength))) { return kept }
            rest = rest.dropFirst(pieceLength)
        }
        return nil
    }

    @Test(
        "Loops are cut where they begin, in whatever pieces they come",
        arguments: [
            (
                "It is good. The bill stays low today. The bill stays low today. The bill",
                "It is good. The bill stays low today."
            ),
            ("no no no no no no no ", "no"),
            ("la lune, la nuit, la nuit, la nuit, la nuit, la nuit, la", "la lune, la nuit"),
            (
                """
                It ends. We manage all of the data that flows in and out of it daily and so on.\
                 It is we manage all of the data that flows in and out of it daily or so.\
                 He says we manage all of the data that flows in and out of it daily
                """,
                "It ends. We manage all of the data that flows in and out of it daily and so on."
                    + " It is we manage all of the data that flows in and out of it daily or so."
            ),
            ("We pay and pay and pay and pay and pay and pay more", "We pay and"),
            (
                "- one of them is cheap\n- one of them is cheap\n- one of them is cheap\n",
                "- one of them is cheap"
            ),
            (
                "a b c d. x x y z. a b c d. q q r s. a b c d. t",
                "a b c d. x x y z. a b c d. q q r s."
            ),
        ], [1, 3, 1000])
    func loops(sample: (text: String, kept: String), pieceLength: Int) {
        #expect(kept(sample.text, pieceLength: pieceLength) == sample.kept)
    }

    @Test(
        "What only looks like a loop goes on",
        arguments: [
            "It is very, very, very good.",
            "Model tiering: one. Semantic caching: two. Context management: three.",
            "1. First of all, read it.\n2. Then read it again.\n3. Then read it once more.\n",
            "| a | 1 | 2 |\n| b | 1 | 2 |\n| c | 1 | 2 |\n",
            "Yes. Yes. Yes.", "e.g. this, e.g. that, e.g. both.", "", "🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂",
        ], [1, 1000])
    func noLoops(text: String, pieceLength: Int) {
        #expect(kept(text, pieceLength: pieceLength) == nil)
    }
}
