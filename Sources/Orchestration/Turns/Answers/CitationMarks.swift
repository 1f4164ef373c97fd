import Core

/// Marks such as `[1]` or `[1, 2]` in an answer.
enum CitationMarks {
    private struct Mark {
        let range: Range<String.Index>
        let numbers: [Int]
    }

    /// The text with only those marks that point at one of `count` passages; `[1, 9]` becomes `[1]`
    /// where there are two. Code is left alone.
    static func kept(in text: String, count: Int) -> String { checked(text, count: count).text }

    /// A number that an answer cited and that no passage has.
    struct Stray: Equatable {
        let number: Int
        /// Where its mark stood: in Unicode scalars of the text without it.
        let place: Int
    }

    /// The text as `kept` leaves it, and what was taken out.
    static func checked(_ text: String, count: Int) -> (text: String, strays: [Stray]) {
        var strays: [Stray] = []
        let kept = rewritten(text) { numbers, place in
            let valid = numbers.filter { (1...max(count, 1)).contains($0) && $0 <= count }
            strays += numbers.filter { !valid.contains($0) }.map { Stray(number: $0, place: place) }
            return valid.map { "[\($0)]" }.joined()
        }
        return (kept, strays)
    }

    /// The text with one mark, `[number]`, in place of all that it has.
    static func replaced(in text: String, by number: Int) -> String {
        var isFirst = true
        return rewritten(text) { _, _ in
            defer { isFirst = false }
            return isFirst ? "[\(number)]" : ""
        }
    }

    static func removed(from text: String) -> String { kept(in: text, count: 0) }

    /// What the marks in a text stand for, each once, in the order of their numbers.
    static func citations(
        in text: String, of passages: [Passage], origin: Citation.Origin = .model
    ) -> [Citation] {
        let numbers = Set(marks(in: text).flatMap(\.numbers))
        return passages.enumerated().compactMap { place, passage in
            guard numbers.contains(place + 1) else { return nil }
            return Citation(number: place + 1, passage: passage, origin: origin)
        }
    }

    static func numbers(in text: some StringProtocol) -> [Int] {
        marks(in: String(text)).flatMap(\.numbers)
    }

    /// Where the mark ends that the text begins with, after at most one space.
    static func end(of text: Substring) -> String.Index? {
        let start = text.first == " " ? text.dropFirst() : text
        return mark(at: start)?.range.upperBound
    }

    /// `replace` is given the numbers of each mark, and how many scalars stand before it so far.
    private static func rewritten(_ text: String, _ replace: ([Int], Int) -> String) -> String {
        var result = ""
        var rest = text.startIndex
        var count = 0
        for mark in marks(in: text) {
            var before = text[rest..<mark.range.lowerBound]
            let trimmed = before.trimmingTrailingSpaces
            let replacement = replace(mark.numbers, count + trimmed.unicodeScalars.count)
            if replacement.isEmpty { before = trimmed }
            result += before + replacement
            count += before.unicodeScalars.count + replacement.unicodeScalars.count
            rest = mark.range.upperBound
        }
        return result + text[rest...]
    }

    private static func marks(in text: String) -> [Mark] {
        var found: [Mark] = []
        var isCode = false
        var place = text.startIndex
        while place < text.endIndex {
            if text[place] == "`" {
                // A fence of three toggles three times, an inline mark once: odd either way.
                isCode.toggle()
            } else if !isCode, text[place] == "[", let mark = mark(at: text[place...]) {
                found.append(mark)
                place = mark.range.upperBound
                continue
            }
            place = text.index(after: place)
        }
        return found
    }

    private static func mark(at text: Substring) -> Mark? {
        guard text.first == "[" else { return nil }
        let body = text.dropFirst()
        let inner = body.prefix(innerCharactersMax)
        guard let close = inner.firstIndex(of: "]") else { return nil }
        let numbers = body[..<close].split(separator: ",", omittingEmptySubsequences: false)
            .map { part in
                Int(part.drop { $0 == " " }).flatMap { (0...999).contains($0) ? $0 : nil }
            }
        let after = text.index(after: close)
        // `[1](address)` and `[1]: address` are links, not marks.
        if after < text.endIndex, text[after] == "(" { return nil }
        let valid = numbers.compactMap { $0 }
        guard valid.count == numbers.count else { return nil }
        return Mark(range: text.startIndex..<after, numbers: valid)
    }

    // `[1, 2, 3, 4]` and a little more; a bracket that does not close soon is not a mark.
    private static let innerCharactersMax = 24
}

extension Substring {
    var trimmingTrailingSpaces: Substring {
        guard let last = lastIndex(where: { $0 != " " }) else { return prefix(0) }
        return self[...last]
    }
}
