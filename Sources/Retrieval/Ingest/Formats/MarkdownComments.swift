/// HTML comments in Markdown show up nowhere when it is rendered, so they are not indexed either.
enum MarkdownComments {
    /// The text without `<!-- … -->`, but for those inside fenced code. One that never ends stays.
    static func removed(from text: [Unicode.Scalar]) -> [Unicode.Scalar] {
        let opening: [Unicode.Scalar] = ["<", "!", "-", "-"]
        let closing: [Unicode.Scalar] = ["-", "-", ">"]
        guard find(opening, in: text, from: 0) != nil else { return text }
        var code = fencedRanges(of: text)[...]
        var result: [Unicode.Scalar] = []
        var place = 0
        while let start = find(opening, in: text, from: place) {
            code = code.drop { $0.upperBound <= start }
            if let fence = code.first, fence.contains(start) {
                result += text[place..<fence.upperBound]
                place = fence.upperBound
                continue
            }
            guard let end = find(closing, in: text, from: start + opening.count) else { break }
            result += text[place..<start]
            place = end + closing.count
        }
        return result + text[place...]
    }

    private static func find(
        _ needle: [Unicode.Scalar], in text: [Unicode.Scalar], from start: Int
    ) -> Int? {
        guard start <= text.count - needle.count else { return nil }
        return (start...text.count - needle.count).first { place in
            text[place] == needle[0] && text[place..<place + needle.count].elementsEqual(needle)
        }
    }

    private static func fencedRanges(of text: [Unicode.Scalar]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var opening: (line: Line, mark: Character, length: Int)?
        for line in Line.lines(of: text) {
            guard let fence = line.fence else { continue }
            if let open = opening {
                guard fence.mark == open.mark, fence.length >= open.length, !fence.hasInfo else {
                    continue
                }
                ranges.append(open.line.range.lowerBound..<line.range.upperBound)
                opening = nil
            } else {
                opening = (line, fence.mark, fence.length)
            }
        }
        if let open = opening { ranges.append(open.line.range.lowerBound..<text.count) }
        return ranges
    }
}
