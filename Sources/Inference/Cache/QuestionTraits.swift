/// What of a question its answer hangs on, beside its meaning. Vectors of questions that differ in a
/// number, a name or a "not" lie close together, so an answer to one is an answer to the other only
/// where all of these agree.
struct QuestionTraits: Hashable, Sendable {
    /// In the order in which they stand: from A to B is not from B to A.
    private(set) var numbers: [String] = []
    private(set) var names: [String] = []
    private(set) var code: [String] = []
    private(set) var quotations: [String] = []
    /// Days, months and what is reckoned from today.
    private(set) var dates: [String] = []
    /// How often something is denied.
    private(set) var negations = 0
    /// Who, what, when, where, why or how.
    private(set) var askedFor: Set<String> = []
    /// Words of which the opposite is a word too, such as more, before and enable.
    private(set) var directions: [String] = []

    enum Trait: String, Sendable, CaseIterable {
        case numbers, names, code, quotations, dates, negations, askedFor, directions
    }

    init(_ question: String) {
        var prose = ""
        var isCode = false
        // Every other piece between backticks is code; a lone backtick ends no code.
        let pieces = question.split(separator: "`", omittingEmptySubsequences: false)
        for (index, piece) in pieces.enumerated() {
            isCode = !index.isMultiple(of: 2) && index < pieces.count - 1
            if isCode {
                code.append(String(piece))
            } else {
                prose += piece + " "
            }
        }
        quotations = Self.quoted(in: prose)
        var startsSentence = true
        for word in prose.split(whereSeparator: \.isWhitespace) {
            read(word, startsSentence: startsSentence)
            startsSentence = word.last.map { ".?!:".contains($0) } ?? false
        }
    }

    /// In what the two differ; empty where an answer to one may be one to the other.
    func differences(from other: QuestionTraits) -> [Trait] {
        Trait.allCases.filter { trait in
            switch trait {
            case .numbers: numbers != other.numbers
            case .names: names != other.names
            case .code: code != other.code
            case .quotations: quotations != other.quotations
            case .dates: dates != other.dates
            case .negations: negations != other.negations
            case .askedFor: askedFor != other.askedFor
            case .directions: directions != other.directions
            }
        }
    }

    private mutating func read(_ word: Substring, startsSentence: Bool) {
        var bare = word.drop { !Self.belongs($0) }
        while let last = bare.last, !Self.belongs(last) { bare.removeLast() }
        guard !bare.isEmpty else {
            // A sign alone, such as + or <, says what to do with what stands beside it.
            if word.contains(where: { "+-*/<>=%&|^~".contains($0) }) { code.append(String(word)) }
            return
        }
        let text = bare.replacing("\u{2019}", with: "'")
        let lower = text.lowercased()
        let stem = lower.hasSuffix("'s") ? String(lower.dropLast(2)) : lower
        if Self.isCode(word, bare) {
            code.append(String(bare))
        } else if bare.contains(where: \.isNumber) {
            numbers.append(lower.filter { $0 != "," })
        } else if let number = Self.numberWords[stem] {
            numbers.append(number)
        } else if Self.dateWords.contains(stem) {
            dates.append(stem)
        } else if Self.negationWords.contains(lower) || lower.hasSuffix("n't") {
            negations += 1
        } else if Self.questionWords.contains(stem) {
            askedFor.insert(stem)
        } else if Self.directionWords.contains(stem) {
            directions.append(stem)
        } else if Self.isName(bare, stem, startsSentence: startsSentence) {
            names.append(stem)
        }
    }

    private static func belongs(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "$\u{20AC}%#@+_".contains(character)
    }

    /// Paths, addresses, calls, flags and names with signs or capitals within.
    private static func isCode(_ word: Substring, _ bare: Substring) -> Bool {
        if word.hasPrefix("--") || word.hasPrefix("/") || word.contains("()") { return true }
        if bare.contains(where: { "/\\_=<>{}[]()@#".contains($0) }) { return true }
        let letters = bare.contains { $0.isLetter }
        if letters, bare.dropFirst().dropLast().contains(where: { ".:".contains($0) }) {
            return true
        }
        let inner = bare.dropFirst()
        return inner.contains { $0.isUppercase } && inner.contains { $0.isLowercase }
    }

    private static func isName(
        _ bare: Substring, _ stem: String, startsSentence: Bool
    ) -> Bool {
        guard bare.first?.isUppercase == true, stem != "i", !stem.hasPrefix("i'") else {
            return false
        }
        // Where every word is written large, only those that sentences do not begin with tell.
        return !startsSentence || !openingWords.contains(stem)
    }

    private static func quoted(in text: String) -> [String] {
        let straight = text.map { "\u{201C}\u{201D}".contains($0) ? "\"" : $0 }
        let pieces = String(straight).split(separator: "\"", omittingEmptySubsequences: false)
        return pieces.enumerated()
            .filter { !$0.offset.isMultiple(of: 2) && $0.offset < pieces.count - 1 }
            .map { String($0.element) }
    }

    private static let numberWords: [String: String] = [
        "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
        "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
        "twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "hundred": "100",
        "thousand": "1000", "million": "1000000", "billion": "1000000000", "half": "1/2",
        "double": "2x", "triple": "3x", "twice": "2x", "once": "1x", "first": "1st",
        "second": "2nd", "third": "3rd", "last": "last", "dozen": "12", "both": "2", "all": "all",
        "none": "0", "few": "few", "most": "most",
    ]
    private static let dateWords: Set<String> = [
        "today", "tomorrow", "yesterday", "tonight", "now", "currently", "current", "latest",
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january",
        "february", "march", "april", "may", "june", "july", "august", "september", "october",
        "november", "december", "day", "week", "month", "year", "weekend", "morning", "evening",
        "noon", "midnight", "ago", "daily", "weekly", "monthly", "yearly", "annual",
    ]
    private static let negationWords: Set<String> = [
        "not", "no", "never", "without", "nor", "neither", "nobody", "nothing", "nowhere",
        "cannot", "cant", "dont", "doesnt", "isnt", "wont", "except", "excluding", "unless",
        "hardly", "false", "wrong", "incorrect", "impossible", "unable", "illegal", "unsafe",
        "invalid",
    ]
    private static let questionWords: Set<String> = [
        "who", "whom", "whose", "what", "which", "when", "where", "why", "how",
    ]
    private static let directionWords: Set<String> = [
        "more", "less", "fewer", "before", "after", "above", "below", "over", "under", "up",
        "down", "in", "out", "on", "off", "from", "to", "into", "left", "right", "north", "south",
        "east", "west", "big", "small", "bigger", "smaller", "biggest", "smallest", "large",
        "larger", "largest", "high", "low", "higher", "lower", "highest", "lowest", "maximum",
        "minimum", "max", "min", "increase", "decrease", "increases", "decreases", "enable",
        "disable", "start", "stop", "open", "close", "buy", "sell", "add", "remove", "best",
        "worst", "better", "worse", "good", "bad", "fast", "slow", "faster", "slower", "fastest",
        "slowest", "old", "new", "older", "newer", "oldest", "newest", "hot", "cold", "always",
        "sometimes", "allow", "deny", "import", "export", "encode", "decode", "encrypt", "decrypt",
        "win", "lose", "true", "pros", "cons", "advantages", "disadvantages", "benefits", "risks",
        "ascending", "descending", "input", "output", "upload", "download", "install",
        "uninstall", "love", "hate", "same", "different", "similar", "like", "unlike", "with",
        "and", "or", "should", "must", "can", "could",
    ]
    private static let openingWords: Set<String> = [
        "a", "an", "the", "is", "are", "was", "were", "do", "does", "did", "has", "have", "had",
        "will", "would", "please", "tell", "give", "show", "explain", "describe", "write", "name",
        "list", "find", "make", "translate", "summarise", "summarize", "compare", "define", "say",
        "help", "hello", "hi", "hey", "thanks", "my", "your", "our", "their", "his", "her", "its",
        "this", "that", "these", "those", "there", "if", "for", "at", "by", "of", "about", "it",
        "we", "you", "he", "she", "they", "let", "so", "but", "because", "create", "generate",
        "use", "any", "some", "also", "then", "as", "am", "suggest", "provide", "calculate",
        "convert", "think", "ok", "yes", "well", "am", "answer", "sort", "solve", "count",
    ]
}
