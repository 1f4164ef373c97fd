/// Words that the keyword index would not see by itself: parts of `camelCase` names, and pairs of
/// characters for writing without spaces, which it takes for one endless word.
enum KeywordHints {
    /// The hints of a text, as words with spaces between; empty for ordinary prose.
    static func hints(for text: String) -> String {
        var hints: [String] = []
        for word in words(of: text) {
            hints += pairs(of: word)
            let parts = nameParts(of: word)
            if parts.count > 1 { hints += parts }
        }
        return hints.joined(separator: " ")
    }

    /// Stretches of letters and digits.
    static func words(of text: String) -> [Substring] {
        text.split { !$0.isLetter && !$0.isNumber }
    }

    /// `VectorIndex2` is `vector index 2`; a word in one case is itself.
    static func nameParts(of word: Substring) -> [String] {
        guard word.utf8.count <= 100, word.dropFirst().contains(where: \.isUppercase) else {
            return []
        }
        var parts: [String] = []
        var part = ""
        var previous: Character = " "
        let characters = Array(word)
        for (place, character) in characters.enumerated() {
            let startsWord = character.isUppercase && previous.isLowercase
            // The last capital of `HTTPServer` begins the next word.
            let endsRun =
                character.isUppercase && previous.isUppercase
                && place + 1 < characters.count && characters[place + 1].isLowercase
            if startsWord || endsRun || character.isNumber != previous.isNumber, !part.isEmpty {
                parts.append(part.lowercased())
                part = ""
            }
            part.append(character)
            previous = character
        }
        if !part.isEmpty { parts.append(part.lowercased()) }
        return parts.filter { $0.count > 1 }
    }

    /// Every two neighbours in Chinese, Japanese, Korean, Thai and the like; a lone one is itself.
    static func pairs(of word: Substring) -> [String] {
        let runs = word.unicodeScalars.split { !Script.isIdeographic($0) }
        return runs.flatMap { run -> [String] in
            let scalars = Array(run)
            guard scalars.count > 1 else { return scalars.map { String($0) } }
            return zip(scalars, scalars.dropFirst()).map { String([$0, $1]) }
        }
    }
}
