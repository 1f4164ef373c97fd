/// What a question looks like, which says how far its words are to be trusted beside its meaning.
struct QuestionKind: Equatable, Sendable {
    enum Shape: String, Sendable {
        /// A part stands in quotation marks.
        case quoted
        /// Names out of a program, or codes such as `ERR_404`.
        case code
        case prose
    }

    let shape: Shape
    /// What a passage ought to hold word for word: what is quoted or, without quotation marks, the
    /// codes. As an expression for FTS5; nil where there is nothing.
    let exact: String?

    init(_ question: String) {
        let text = String(TextHygiene.cleanLine(question).prefix(Self.charactersMax))
        let quoted = Self.phrases(Self.quotations(in: text))
        let tokens = text.split(whereSeparator: \.isWhitespace).map(Self.bare)
        let codes = Self.phrases(tokens.filter(Self.isCode))
        if !quoted.isEmpty {
            shape = .quoted
        } else {
            shape = tokens.contains { Self.isCode($0) || Self.isName($0) } ? .code : .prose
        }
        let phrases = quoted.isEmpty ? codes : quoted
        exact = phrases.isEmpty ? nil : phrases.joined(separator: " AND ")
    }

    /// Names are told apart by their letters more than by what they mean.
    func vectorShare(_ share: Double) -> Double { shape == .prose ? share : share * 0.8 }

    /// Quotation marks are meant: what holds the words comes first. A code may be an aside.
    var exactBonus: Double { shape == .quoted ? 1 : 0.25 }

    private static let charactersMax = 4000
    private static let phrasesMax = 8
    private static let marks: [Character: Character] = [
        "\"": "\"", "“": "”", "„": "“", "«": "»", "「": "」",
    ]

    private static func phrases(_ texts: [Substring]) -> [String] {
        texts.map { KeywordHints.words(of: String($0)).joined(separator: " ").lowercased() }
            .filter { !$0.isEmpty }.prefix(phrasesMax).map { "\"\($0)\"" }
    }

    /// What stands between marks that belong together; a mark that is never closed is none.
    private static func quotations(in text: String) -> [Substring] {
        var quotations: [Substring] = []
        var rest = text[...]
        while let open = rest.firstIndex(where: { marks[$0] != nil }), let end = marks[rest[open]] {
            rest = rest[rest.index(after: open)...]
            guard let close = rest.firstIndex(of: end) else { continue }
            quotations.append(rest[..<close])
            rest = rest[rest.index(after: close)...]
        }
        return quotations
    }

    private static func bare(_ token: Substring) -> Substring {
        let isKept = { (character: Character) in
            character.isLetter || character.isNumber || character == "_"
        }
        guard let first = token.firstIndex(where: isKept),
            let last = token.lastIndex(where: isKept)
        else { return "" }
        return token[first...last]
    }

    /// Letters and digits in one token: `E1234-X`, `gpt-4o`, an identifier; not `2nd` or `1990s`.
    private static func isCode(_ token: Substring) -> Bool {
        guard (3...100).contains(token.count), token.contains(where: \.isLetter),
            let digit = token.firstIndex(where: \.isNumber)
        else { return false }
        return digit != token.startIndex || token.contains { "-_".contains($0) }
    }

    /// `snake_case`, `camelCase`, `a::b`, `file.swift`, `call()`.
    private static func isName(_ token: Substring) -> Bool {
        if token.contains("_") || token.contains("::") || token.contains("(") { return true }
        if token.count > 100 { return false }
        let parts = token.split(separator: ".")
        if parts.count > 1, parts.allSatisfy({ $0.count > 1 && $0.allSatisfy(\.isLetter) }) {
            return true
        }
        return token.contains(where: \.isLowercase)
            && KeywordHints.words(of: String(token)).contains {
                KeywordHints.nameParts(of: $0).count > 1
            }
    }
}
