import Testing

@testable import Retrieval

@Suite struct FeedbackWordsTests {
    private func words(_ passages: (text: String, score: Double)...) -> [String] {
        FeedbackWords(of: passages).words
    }

    @Test("The words that passages use most are first, those of better passages more so")
    func order() {
        #expect(
            words(("Barnacles foul hulls, barnacles slow ships.", 1)) == [
                "barnacles", "foul", "hulls", "ships", "slow",
            ])
        #expect(
            words(("foul hulls", 0.5), ("slow ships", 1)) == ["ships", "slow", "foul", "hulls"])
        #expect(words(("one hull", 1), ("two hull", 1)).first == "hull")
    }

    @Test("Words that say nothing, numbers and writing without spaces are none")
    func telling() {
        #expect(words(("What is it that we are to do in 1990 or at no. 7 of 検索機能?", 1)).isEmpty)
        #expect(words(("Über Straße Ελλάδα", 1)) == ["straße", "über", "ελλάδα"])
        #expect(words().isEmpty && words(("", 1), (" \n", 0)).isEmpty)
    }

    @Test("Of programs and tables no words are taken, of the prose beside them they are")
    func programs() {
        let program = "func run(_ hull: Hull) -> [Ship] { hull.ships.map { $0.name } }"
        #expect(words((program, 1)).isEmpty)
        #expect(words((program, 1), ("Ships sail.", 1)) == ["sail", "ships"])
        #expect(words(("| hull | ships |\n| --- | --- |\n| a | b |", 1)).isEmpty)
    }

    @Test("As many words are looked up as may be, of however long a passage")
    func many() {
        let text = (0..<5000).map { "word\($0)" }.joined(separator: " ")
        #expect(words((text, 1)).count == FeedbackWords.wordsMax)
    }
}
