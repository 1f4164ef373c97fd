/// What can be read off a question without a model.
struct Question {
    let text: String
    /// Its content words.
    let words: Set<String>
    /// Whether it asks for several things: `which three habits`, `list the steps`, `what are the`.
    let asksForList: Bool

    init(_ text: String) {
        self.text = text
        words = Words.contentSet(of: text)
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

    // The noun that is asked for follows closely: `what are the main new parts`.
    private static let lookahead = 5
    private static let commands: Set<String> = ["list", "name", "enumerate", "summarize", "summarise"]
    private static let opening = commands.union(["which", "what"])
}
