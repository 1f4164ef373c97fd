/// Words that say what a question is about though it does not: those that passages speak of which
/// answer it best. The relevance model of Lavrenko and Croft (SIGIR 2001), by which words are taken
/// that such passages use most.
struct FeedbackWords: Equatable, Sendable {
    /// As they are looked up, those that the passages use most first.
    let words: [String]

    static let wordsMax = 10
    /// A word that more passages hold says little of any of them, and takes long to look up.
    static let passagesMax = 500
    private static let lettersMin = 3
    /// One character of so many may be a program's sign in what counts as prose.
    private static let charactersPerSign = 100
    private static let signs = Set("{}[]<>=_&|#@\\*$;".utf8)

    /// - Parameter passages: texts, each with how well it answers. Of programs and tables no words are
    ///   taken: what stands beside a name there says little of it.
    init(of passages: [(text: String, score: Double)]) {
        var weights: [String: Double] = [:]
        for passage in passages where Self.isProse(passage.text) {
            let words = KeywordHints.words(of: passage.text).map { $0.lowercased() }
            for word in words where Self.isTelling(word) {
                weights[word, default: 0] += passage.score / Double(words.count)
            }
        }
        let order = weights.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
        words = order.prefix(Self.wordsMax).map(\.key)
    }

    private static func isProse(_ text: String) -> Bool {
        let signs = text.utf8.reduce(0) { $0 + (Self.signs.contains($1) ? 1 : 0) }
        return signs * charactersPerSign < text.utf8.count
    }

    /// Writing without spaces has no words that could be looked up.
    private static func isTelling(_ word: String) -> Bool {
        word.count >= lettersMin && !KeywordQuery.isStopWord(word)
            && word.contains(where: \.isLetter)
            && !word.unicodeScalars.contains(where: Script.isIdeographic)
    }
}
