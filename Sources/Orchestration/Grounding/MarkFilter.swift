/// Takes marks such as `[1]` out of a text while it comes, and remembers where they stood. What may
/// still become a mark is held back: at most `heldMax` characters, and the spaces before them.
struct MarkFilter {
    /// The text with its marks, those that point nowhere left out, as a review reads it.
    private(set) var marked = ""
    /// What of it is not in the text that was let through: where, in its Unicode scalars, and how many.
    private(set) var removed: [Range<Int>] = []

    private let count: Int
    private var held = ""
    private var markedCount = 0
    private var isCode = false

    // `[1, 2, 3, 4]` and a little more, as `CitationMarks` reads them.
    private static let heldMax = 26

    /// - Parameter count: how many passages there are to point at.
    init(count: Int) { self.count = count }

    /// What of the text may be shown now.
    mutating func add(_ piece: String) -> String {
        var shown = ""
        for character in piece { shown += add(character) }
        return shown
    }

    /// What was held back to the end.
    mutating func finish() -> String {
        let shown = settled(followedBy: nil)
        held = ""
        return shown
    }

    private mutating func add(_ character: Character) -> String {
        let bracket = held.lastIndex(of: "[")
        if let bracket {
            let isClosed = held.last == "]"
            if isClosed || !Self.mayFollow(character, in: held[bracket...]) {
                let shown = settled(followedBy: character)
                held = ""
                return shown + add(character)
            }
            held.append(character)
            return ""
        }
        if character == "`" {
            // A fence of three toggles three times, an inline mark once: odd either way.
            isCode.toggle()
        }
        let isHeld = !isCode && (character == "[" || character == " ")
        guard isHeld, held.count < Self.heldMax else {
            let shown = passed(held + String(character))
            held = ""
            return shown
        }
        held.append(character)
        return ""
    }

    private static func mayFollow(_ character: Character, in held: Substring) -> Bool {
        guard held.count < heldMax else { return false }
        switch character {
        case "0"..."9", "]": return true
        case ",", " ": return held.count > 1
        default: return false
        }
    }

    /// What of the held is text, now that the next character is known.
    private mutating func settled(followedBy next: Character?) -> String {
        guard let bracket = held.lastIndex(of: "["), held.last == "]", next != "(" else {
            return passed(held)
        }
        let numbers = CitationMarks.numbers(in: held[bracket...])
        guard !numbers.isEmpty else { return passed(held) }
        let valid = numbers.filter { (1...max(1, count)).contains($0) && $0 <= count }
        guard !valid.isEmpty else { return "" }
        let mark = held[..<bracket] + valid.map { "[\($0)]" }.joined()
        let length = mark.unicodeScalars.count
        removed.append(markedCount..<(markedCount + length))
        marked += mark
        markedCount += length
        return ""
    }

    private mutating func passed(_ text: String) -> String {
        marked += text
        markedCount += text.unicodeScalars.count
        return text
    }

    /// The place in the text that was let through, for one in `marked`.
    func shownOffset(of offset: Int) -> Int {
        var hidden = 0
        for range in removed where range.lowerBound < offset {
            hidden += min(range.upperBound, offset) - range.lowerBound
        }
        return offset - hidden
    }
}
