/// The words of a text that carry its meaning, brought to a common form: lower case, no stop words,
/// no endings, number words as digits. English endings; other languages match on whole words, and
/// scripts without spaces on single characters.
enum Words {
    static func content(of text: some StringProtocol) -> [String] {
        all(of: text).filter { !stopWords.contains($0) }.map(stem)
    }

    static func contentSet(of text: some StringProtocol) -> Set<String> { Set(content(of: text)) }

    /// Lower-case words without punctuation; `don't` is `dont`.
    static func all(of text: some StringProtocol) -> [String] {
        var words: [String] = []
        var word = ""
        func close() {
            if !word.isEmpty { words.append(word) }
            word = ""
        }
        for scalar in text.unicodeScalars {
            if isIdeograph(scalar) {
                close()
                words.append(String(scalar))
            } else if scalar.properties.isAlphabetic || scalar.properties.numericType != nil {
                word += scalar.properties.lowercaseMapping
            } else if scalar == "'" || scalar == "’" || isMark(scalar) {
                continue
            } else {
                close()
            }
        }
        close()
        return words
    }

    /// The tokens of a sentence that are figures: each must stand in a passage that supports it.
    static func figures(in words: [String]) -> [String] {
        words.filter { $0.utf8.contains { (48...57).contains($0) } }
    }

    /// The content words that a negation stands before, up to two for each and in its own clause:
    /// of `It holds no model, and stores little` that is `model`.
    static func negated(in text: some StringProtocol) -> Set<String> {
        var found: Set<String> = []
        for clause in text.split(whereSeparator: { ",;:.!?\n".contains($0) }) {
            var left = 0
            for word in all(of: clause) {
                if negations.contains(word) {
                    left = 2
                } else if left > 0, !stopWords.contains(word) {
                    found.insert(stem(word))
                    left -= 1
                }
            }
        }
        return found
    }

    static func stem(_ word: String) -> String {
        if let digits = numbers[word] { return digits }
        guard word.utf8.count > 3, word.utf8.allSatisfy({ (97...122).contains($0) }) else {
            return word
        }
        var stem = word
        if stem.hasSuffix("ies"), stem.count > 4 {
            stem = stem.dropLast(3) + "y"
        } else if stem.hasSuffix("sses") || stem.hasSuffix("xes") || stem.hasSuffix("ches")
            || stem.hasSuffix("shes")
        {
            stem.removeLast(2)
        } else if stem.hasSuffix("s"), !stem.hasSuffix("ss"), !stem.hasSuffix("us"),
            !stem.hasSuffix("is")
        {
            stem.removeLast()
        }
        for ending in endings where stem.hasSuffix(ending) && stem.count > ending.count + 2 {
            stem.removeLast(ending.count)
            if let last = stem.last, stem.dropLast().last == last, !"lsz".contains(last) {
                stem.removeLast()
            }
            break
        }
        if stem.hasSuffix("e"), stem.count > 3 { stem.removeLast() }
        return stem
    }

    private static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x3040...0x30FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0x20000...0x2FA1F: true
        default: false
        }
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .nonspacingMark
    }

    private static let endings = ["ment", "ing", "ed", "ly"]

    private static let negations: Set<String> = [
        "no", "not", "never", "none", "nor", "neither", "without", "cannot", "cant", "dont",
        "doesnt", "didnt", "isnt", "arent", "wasnt", "werent", "wont", "shouldnt", "nothing",
    ]

    static let numbers: [String: String] = [
        "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
        "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
    ]

    static let stopWords: Set<String> = Set(
        """
        a about after all also an and any are as at be because been before being both but by can
        could did do does doing done each either else etc for from had has have having he her here
        hers him his how i if in into is it its itself just let like may me might more most much
        must my of off on once only or other our ours out over own per please shall she should so
        some such tell than that the their theirs them then there these they this those through to
        too under until up upon us use used uses using very was we were what when where which while
        who whom whose why will with within would you your yours according answer passage passages
        question
        """.split { $0 == " " || $0 == "\n" }.map(String.init)
    ).union(negations)
}
