/// What can be read off a question without a model.
struct Question {
    let text: String
    /// Its content words, without those that only ask: in `how long does retrieval take` that is
    /// `retrieval`.
    let words: Set<String>
    /// Whether it asks for several things: `which three habits`, `list the steps`, `what are the`.
    let asksForList: Bool

    init(_ text: String) {
        self.text = text
        let all = Words.contentSet(of: text)
        let telling = all.subtracting(Self.asking)
        words = telling.isEmpty ? all : telling
        asksForList = Self.asksForList(Words.all(of: text))
    }

    private static func asksForList(_ words: [String]) -> Bool {
        guard let asking = words.firstIndex(where: { opening.contains($0) }) else { return false }
        if commands.contains(words[asking]) { return true }
        let next = words[(asking + 1)...].prefix(lookahead)
        // `Which three habits`, `what are the 4 rules`; a figure alone may be a name (`Layer 7`).
        if next.contains(where: { Words.numbers[$0] != nil && $0 != "one" }) { return true }
        return next.contains { isPlural($0) }
    }

    private static func isPlural(_ word: String) -> Bool {
        word.count > 3 && word.hasSuffix("s") && !word.hasSuffix("ss") && !word.hasSuffix("us")
            && !word.hasSuffix("is") && !Words.stopWords.contains(word)
    }

    private static let asking: Set<String> = Set(
        [
            "long", "take", "many", "mean", "explain", "describe", "mention", "give", "say", "find",
            "list", "name", "enumerate", "summarize", "summarise", "happen", "kind", "sort",
        ].map(Words.stem))
    // The noun that is asked for follows closely: `what are the main new parts`.
    private static let lookahead = 5
    private static let commands: Set<String> = [
        "list", "name", "enumerate", "summarize", "summarise",
    ]
    private static let opening = commands.union(["which", "what"])
}
