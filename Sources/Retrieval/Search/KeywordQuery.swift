/// A question as an expression for FTS5. Every word of it is quoted, so nothing a user types is ever
/// read as an operator.
enum KeywordQuery {
    /// Past these the rest of a question is not looked up.
    private static let charactersMax = 4000
    private static let termsMax = 48

    /// Any of the words, the rarer the better; words that are in every text only where there are no
    /// others. Nil where there is nothing to look up.
    static func expression(for question: String) -> String? { expression(of: terms(of: question)) }

    /// Any of these words, which have letters and digits only.
    static func expression(of terms: [String]) -> String? {
        terms.isEmpty ? nil : terms.map { "\"\($0)\"" }.joined(separator: " OR ")
    }

    /// The single words that are looked up.
    static func words(of question: String) -> [String] {
        terms(of: question).filter { !$0.contains(" ") }
    }

    static func isStopWord(_ word: String) -> Bool { stopWords.contains(word) }

    /// The words and phrases that are looked up.
    static func terms(of question: String) -> [String] {
        let text = String(TextHygiene.cleanLine(question).prefix(charactersMax))
        var terms: [String] = []
        for token in text.split(whereSeparator: \.isWhitespace) { terms += self.terms(of: token) }
        let telling = terms.filter { !stopWords.contains($0) }
        var seen: Set<String> = []
        let chosen = (telling.isEmpty ? terms : telling).filter { seen.insert($0).inserted }
        return Array(chosen.prefix(termsMax))
    }

    /// `gpt-4o-mini` is looked up as a phrase and by its words; `VectorIndex` also by its parts.
    /// `well-known` only by its words: phrases of prose cost half a point of nDCG on Cranfield.
    private static func terms(of token: Substring) -> [String] {
        let words = KeywordHints.words(of: String(token))
        var terms: [String] = []
        if (2...6).contains(words.count),
            token.contains(where: { $0.isNumber || "_./:#@".contains($0) })
        {
            terms.append(words.joined(separator: " ").lowercased())
        }
        for word in words where word.count > 1 || words.count == 1 {
            terms.append(word.lowercased())
            terms += KeywordHints.nameParts(of: word)
            terms += KeywordHints.pairs(of: word)
        }
        return terms
    }

    /// Words that say nothing about what is asked for. Numbers and negations are not among them.
    private static let stopWords: Set<String> = [
        "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but",
        "by", "can", "could", "did", "do", "does", "doing", "for", "from", "had", "has", "have",
        "having", "he", "her", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it",
        "its", "itself", "just", "me", "my", "of", "on", "or", "our", "ours", "please", "she",
        "should", "so", "some", "tell", "than", "that", "the", "their", "them", "then", "there",
        "these", "they", "this", "those", "to", "us", "was", "we", "were", "what", "when", "where",
        "which", "who", "whom", "whose", "why", "will", "with", "would", "you", "your", "yours",
        "what s", "who s", "it s", "that s", "there s", "don t", "doesn t", "didn t", "can t",
        "isn t", "i m", "i ve", "we re", "you re", "ll", "re", "ve",
    ]
}
