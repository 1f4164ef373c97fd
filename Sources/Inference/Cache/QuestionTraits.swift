/// What of a question its answer hangs on, beside its meaning. Vectors of questions that differ in a
/// number, a name or a "not" lie close together, so an answer to one is an answer to the other only
/// where all of these agree. It knows English; of other languages numbers, names and code.
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
    /// Who, when, where, why or how; whether; or what is to be done, such as translate.
    private(set) var askedFor: Set<String> = []
    /// Words of which the opposite is a word too, such as more, before and enable.
    private(set) var directions: [String] = []
    /// All other words that mean something, each where it first stands.
    private(set) var words: [String] = []
    /// It is about this moment, so that its answer is soon another.
    private(set) var isOfNow = false

    enum Trait: String, Sendable, CaseIterable {
        case numbers, names, code, quotations, dates, negations, askedFor, directions, words
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
        // What follows a colon is worked on word by word: translate this, rewrite that.
        if let colon = prose.firstRange(of: ": ") {
            quotations.append(prose[colon.upperBound...].trimmingSpaces)
        }
        var startsSentence = true
        var owner: String?
        for word in prose.split(whereSeparator: \.isWhitespace) {
            let before = words.count
            let stem = read(word, startsSentence: startsSentence)
            // France's capital is the capital of France.
            if let owner, words.count == before + 1, words[before - 1] == owner {
                words.swapAt(before - 1, before)
            }
            owner = words.count > before && Self.isOwner(word) ? stem.map(Self.singular) : nil
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
            case .words: !Self.agree(words, other.words)
            }
        }
    }

    /// Miles to km is not km to miles, and a long question with one word exchanged is another.
    private static func agree(_ one: [String], _ other: [String]) -> Bool {
        let (left, right) = (Set(one), Set(other))
        let shared = left.intersection(right)
        guard one.filter(shared.contains) == other.filter(shared.contains) else { return false }
        let (added, missing) = (left.count - shared.count, right.count - shared.count)
        return min(added, missing) == 0 || shared.count < exchangeSharedMin
            || max(added, missing) > 1
    }

    /// From so many words on that are the same, a vector hardly tells that one is exchanged.
    private static let exchangeSharedMin = 3

    /// Returns the word without signs and case.
    private mutating func read(_ word: Substring, startsSentence: Bool) -> String? {
        var bare = word.drop { !Self.belongs($0) }
        while let last = bare.last, !Self.belongs(last) { bare.removeLast() }
        guard !bare.isEmpty else {
            // A sign alone, such as + or <, says what to do with what stands beside it.
            if word.contains(where: { "+-*/<>=%&|^~".contains($0) }) { code.append(String(word)) }
            return nil
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
            isOfNow = isOfNow || Self.nowWords.contains(stem)
        } else if Self.negationWords.contains(lower) || lower.hasSuffix("n't") {
            negations += 1
        } else if Self.questionWords.contains(stem) {
            // What is the capital, which city is it, and tell me it, ask for the same.
            if !["what", "which"].contains(stem) { askedFor.insert(stem) }
        } else if startsSentence, Self.auxiliaryWords.contains(stem) {
            askedFor.insert("whether")
        } else if Self.taskWords.contains(stem) {
            askedFor.insert(stem)
        } else if Self.directionWords.contains(stem) {
            directions.append(stem)
        } else if Self.isName(bare, stem, startsSentence: startsSentence) {
            names.append(stem)
            add(stem)
        } else if !Self.openingWords.contains(stem), !Self.auxiliaryWords.contains(stem) {
            add(stem)
        }
        return stem
    }

    private mutating func add(_ stem: String) {
        let word = Self.singular(stem)
        if !words.contains(word), words.count < Self.wordsMax { words.append(word) }
    }

    private static func singular(_ stem: String) -> String {
        stem.count > 3 && stem.hasSuffix("s") && !stem.hasSuffix("ss")
            ? String(stem.dropLast()) : stem
    }

    private static func isOwner(_ word: Substring) -> Bool {
        word.hasSuffix("'s") || word.hasSuffix("\u{2019}s")
    }

    // A question has fewer; in a text they would be looked through for each word.
    private static let wordsMax = 200

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
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var rest = self
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
