import Testing

@testable import Orchestration

@Suite struct TextUnitsTests {
    @Test(
        "A text falls into sentences, items, headings and rows",
        arguments: [
            ("One. Two! Three?", ["One.", "Two!", "Three?"]),
            (
                "It costs 3.5 dollars, e.g. today. Dr. No J. Smith agrees.",
                [
                    "It costs 3.5 dollars, e.g. today.", "Dr. No J. Smith agrees.",
                ]
            ),
            ("He said \"yes.\" Then left.", ["He said \"yes.\"", "Then left."]),
            ("So it is. [1][2] More.", ["So it is. [1][2]", "More."]),
            ("- a b\n* c d\n3. e f", ["a b", "c d", "e f"]),
            ("# Title\nText here.", ["Title", "Text here."]),
            (
                "A line that was wrapped by an editor somewhere around its\nsixtieth letter. End.",
                [
                    "A line that was wrapped by an editor somewhere around its\nsixtieth letter.",
                    "End.",
                ]
            ),
            ("```\nlet x = 1.\n```\nDone.", ["Done."]),
            ("> quoted.\n| a | b |", ["quoted.", "| a | b |"]),
            ("これは文です。次の文。", ["これは文です。", "次の文。"]),
            ("", []), ("\n \n", []), ("...", ["..."]), ("1.", ["1."]), ("-", ["-"]),
        ])
    func units(text: String, expected: [String]) {
        let units = TextUnits(text)
        #expect(units.units.map { String(text[$0.range]) } == expected)
    }

    @Test("A text of nothing but full stops is cut short, not read for ever")
    func hostile() {
        let text = String(repeating: "a. ", count: 20_000)
        #expect(TextUnits(text).units.count <= TextUnits.unitsMax)
    }

    @Test(
        "Words meet in a common form",
        arguments: [
            ("caching cached caches cache", ["cach"]), ("trimming trims", ["trim"]),
            ("policies policy", ["policy"]), ("three 3", ["3"]), ("the of and", []),
            ("Müller’s Straße", ["müllers", "straße"]), ("don't", []), ("检索", ["检", "索"]),
        ] as [(String, Set<String>)])
    func words(text: String, expected: Set<String>) {
        #expect(Words.contentSet(of: text) == expected)
    }

    @Test(
        "A negation reaches the next two content words of its clause",
        arguments: [
            ("It holds no model, and stores little.", ["model"]),
            ("The gateway doesn't check your identity at night.", ["check", "identity"]),
            ("All is well.", []), ("Not", []),
        ] as [(String, Set<String>)])
    func negations(text: String, expected: Set<String>) {
        #expect(Words.negated(in: text) == expected)
    }
}
