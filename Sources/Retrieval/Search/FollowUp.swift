import Core

/// A question as it stands in a conversation, and what else it can be looked up as. Without a model:
/// a question that leaves out what it is about, or points back at it, is looked up with the telling
/// words of what was said before as well. The words that point are English; in any language a question
/// without words of its own is taken for one that goes on.
struct FollowUp {
    let question: String
    /// The last question that says by itself what it is about.
    private let before: String
    private let answer: String

    /// Nil where there is nothing before it, or where it needs nothing of that.
    init?(_ question: String, after conversation: [ChatMessage]) {
        let recent = conversation.suffix(Self.messagesMax)
        let asked = recent.filter { $0.role == .user }.map(\.text)
        guard let last = asked.last, Self.isOpen(question) else { return nil }
        before = asked.last { !Self.isElliptic($0) } ?? last
        answer = recent.last { $0.role == .assistant }?.text ?? ""
        self.question = question
    }

    /// What it is looked up as, the one that counts most first.
    var queries: [String] {
        let before = String(self.before.prefix(Self.questionCharactersMax))
        let own = Set(Self.words(of: question))
        let topics = Self.words(of: before).filter { !own.contains($0) }
        let named = Self.names(in: answer).filter { !own.contains($0) && !topics.contains($0) }
        let terms = (topics + named).prefix(Self.termsMax).joined(separator: " ")
        let expanded = terms.isEmpty ? [] : ["\(question) \(terms)"]
        // Alone such a question finds anything.
        return Self.isElliptic(question)
            ? ["\(before)\n\(question)"] + expanded : [question] + expanded
    }

    private static let messagesMax = 6
    private static let questionCharactersMax = 500
    private static let answerCharactersMax = 2000
    /// Characters of a text that are looked at.
    private static let readMax = 2000
    private static let termsMax = 10
    private static let namesMax = 5
    /// A longer question says what it is about, whatever pronouns it has.
    private static let openWordsMax = 14

    private static func isOpen(_ question: String) -> Bool {
        if isElliptic(question) { return true }
        let words = KeywordHints.words(of: question.lowercased()).map(String.init)
        guard words.count <= openWordsMax else { return false }
        if let first = words.first, joining.contains(first) { return true }
        if words.count > 1, words[1] == "about", ["what", "how"].contains(words[0]) { return true }
        return words.contains(where: pointing.contains)
    }

    /// Whether it has fewer than two words that say what it is about.
    static func isElliptic(_ question: String) -> Bool { words(of: question).count < 2 }

    /// Telling words, each once, in their order.
    private static func words(of text: String) -> [String] {
        var seen: Set<String> = []
        return KeywordQuery.words(of: String(text.prefix(readMax))).filter {
            !vague.contains($0) && !KeywordQuery.isStopWord($0) && seen.insert($0).inserted
        }
    }

    /// Names and figures of an answer: words with a capital within a sentence, or a digit.
    private static func names(in answer: String) -> [String] {
        var names: [String] = []
        var beginsSentence = true
        for token in answer.prefix(answerCharactersMax).split(whereSeparator: \.isWhitespace) {
            defer { beginsSentence = token.last.map { ".!?:".contains($0) } ?? true }
            // A mark such as [2] names a passage.
            guard !token.hasPrefix("["), let word = KeywordHints.words(of: String(token)).first,
                word.count > 1
            else { continue }
            let isName = !beginsSentence && word.first?.isUppercase == true
            guard isName || word.contains(where: \.isNumber) else { continue }
            let small = word.lowercased()
            guard !KeywordQuery.isStopWord(small), !names.contains(small) else { continue }
            names.append(small)
            if names.count == namesMax { break }
        }
        return names
    }

    private static let joining: Set<String> = ["and", "but", "or", "so", "then", "also"]

    private static let pointing: Set<String> = [
        "it", "its", "they", "them", "their", "theirs", "this", "these", "those", "he", "him",
        "his",
        "she", "her", "hers", "one", "ones", "former", "latter", "same",
    ]

    /// Words that choose among things and name none.
    private static let vague: Set<String> = [
        "first", "second", "third", "fourth", "fifth", "last", "next", "previous", "one", "ones",
        "two", "three", "other", "others", "another", "same", "more", "else", "again", "former",
        "latter", "both", "either", "thing", "things", "example", "examples", "detail", "details",
        "explain", "elaborate", "mean", "means", "continue", "go", "say", "give", "show", "ok",
        "okay",
        "yes", "no", "thanks", "also", "exactly", "really",
    ]
}
