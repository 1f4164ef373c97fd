/// What a chat is called.
enum Title {
    static let charactersMax = 60

    /// The question on one line, cut between words where it is long.
    static func of(question: String) -> String {
        let line = cleaned(question)
        guard line.count > charactersMax else { return line }
        let head = line.prefix(charactersMax)
        let words = head.lastIndex(of: " ").map { head[..<$0] } ?? head
        // A text without spaces, or with one long word, is cut where the room ends.
        let kept = words.count >= charactersMax / 2 ? words : head
        return kept + "…"
    }

    /// The text on one line, without control characters.
    static func cleaned(_ text: String) -> String {
        let scalars = text.unicodeScalars.map { scalar -> Character in
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: " "
            // Bidirectional overrides would let a title rewrite the page around it; the joiners
            // that emoji and some scripts need stay.
            case .format where scalar != "\u{200C}" && scalar != "\u{200D}": " "
            default: Character(scalar)
            }
        }
        return String(scalars).split(separator: " ").joined(separator: " ")
    }
}
