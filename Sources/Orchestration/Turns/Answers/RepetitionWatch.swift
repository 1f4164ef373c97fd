/// Notices when a model has begun to go round in circles, as small ones do. It is fed the pieces of
/// an answer as they come and looks at what it has whenever a word ends.
///
/// A loop is
/// - a sentence or line of at least four words that comes for the third time, or twice in a row, or
/// - the same run of one to sixteen words, three times in a row and at least nine words together
///   (six times for one word), or
/// - twelve words in a row that came twice before, wherever.
///
/// What is kept ends before the loop, at the end of a sentence where there is one.
struct RepetitionWatch {
    private(set) var text = ""
    private var words: [(word: String, start: Int)] = []
    private var word = ""
    private var wordStart = 0
    private var sentence = ""
    private var sentenceStart = 0
    private var sentences: [String: Int] = [:]
    private var lastSentence = ""
    private var phrases: [[String]: Int] = [:]
    private var length = 0

    static let sentenceWordsMin = 4
    static let runWordsMax = 16
    static let runsMin = 3
    static let loopWordsMin = 9
    static let loopsOfOneWord = 6
    static let phraseWords = 12
    static let phrasesMin = 3

    /// Takes the next piece. Returns the part of the answer that is worth keeping once a loop is
    /// found, and nil as long as there is none.
    mutating func add(_ piece: String) -> String? {
        text += piece
        for scalar in piece.unicodeScalars {
            if let end = take(scalar) { return keeping(end) }
            length += 1
        }
        return nil
    }

    /// The place to cut at, in scalars, once the scalar closes a loop.
    private mutating func take(_ scalar: Unicode.Scalar) -> Int? {
        let isWord = scalar.properties.isAlphabetic || scalar.properties.numericType != nil
        if isWord {
            if word.isEmpty { wordStart = length }
            if sentence.isEmpty { sentenceStart = length }
            word += scalar.properties.lowercaseMapping
            sentence.unicodeScalars.append(scalar)
            return nil
        }
        if let cut = closeWord() { return cut }
        if !sentence.isEmpty { sentence += " " }
        guard "\n.!?".unicodeScalars.contains(scalar) else { return nil }
        return closeSentence()
    }

    private mutating func closeWord() -> Int? {
        guard !word.isEmpty else { return nil }
        words.append((word, wordStart))
        word = ""
        for run in 1...Self.runWordsMax {
            let runs =
                run == 1
                ? Self.loopsOfOneWord : max(Self.runsMin, (Self.loopWordsMin + run - 1) / run)
            guard words.count >= run * runs else { continue }
            let tail = words.suffix(run * runs).map(\.word)
            if (run..<tail.count).allSatisfy({ tail[$0] == tail[$0 - run] }) {
                return words[words.count - run * (runs - 1)].start
            }
        }
        guard words.count >= Self.phraseWords else { return nil }
        let phrase = words.suffix(Self.phraseWords)
        let count = phrases[phrase.map(\.word), default: 0] + 1
        phrases[phrase.map(\.word)] = count
        return count >= Self.phrasesMin ? phrase[phrase.startIndex].start : nil
    }

    private mutating func closeSentence() -> Int? {
        let words = sentence.split(separator: " ")
        defer { sentence = "" }
        // `1.` and `e.g.` are no sentences; figures alone make rows of tables look alike.
        guard words.count >= Self.sentenceWordsMin else { return nil }
        let said = words.joined(separator: " ").lowercased()
        defer { lastSentence = said }
        let count = sentences[said, default: 0] + 1
        sentences[said] = count
        return count >= 3 || said == lastSentence ? sentenceStart : nil
    }

    private func keeping(_ count: Int) -> String {
        let kept = String(text.unicodeScalars.prefix(count))
        guard let end = kept.lastIndex(where: { !$0.isWhitespace && !"-*•,;:(".contains($0) })
        else {
            return ""
        }
        let trimmed = kept[...end]
        // Half a sentence stays only where there is no whole one. A line is whole as it is.
        let isWhole = ".!?".contains(kept[end]) || kept[end...].contains { $0.isNewline }
        guard !isWhole, let last = trimmed.lastIndex(where: { ".!?\n".contains($0) }) else {
            return String(trimmed)
        }
        return String(trimmed[...last])
    }
}
