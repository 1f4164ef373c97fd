/// Where sentences end.
enum Sentences {
    /// The sentences of a stretch of text, in order, without the white space between them.
    static func ranges(of scalars: [Unicode.Scalar], in range: Range<Int>) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var start = range.lowerBound
        var place = range.lowerBound
        while place < range.upperBound {
            if let end = end(at: place, in: scalars, range) {
                append(start..<end, of: scalars, to: &result)
                start = end
                place = end
            } else {
                place += 1
            }
        }
        append(start..<range.upperBound, of: scalars, to: &result)
        return result
    }

    /// Abbreviations that a capital letter often follows.
    private static let abbreviations: Set<String> = [
        "mr", "mrs", "ms", "dr", "prof", "st", "no", "nos", "fig", "figs", "eq", "sec", "ch", "vol",
        "vs", "cf", "eg", "ie", "e.g", "i.e", "etc", "inc", "ltd", "co", "corp", "approx", "ca",
        "al", "ed", "pp", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct",
        "nov", "dec", "z.b", "bzw", "nr",
    ]

    /// One past the sentence's last mark, when it ends with the mark at `place`.
    private static func end(
        at place: Int, in scalars: [Unicode.Scalar], _ range: Range<Int>
    ) -> Int? {
        switch scalars[place] {
        case "。", "！", "？": return place + 1
        case ".", "!", "?", "…", ":": break
        default: return nil
        }
        var end = place + 1
        while end < range.upperBound, end < place + 4,
            "\"'”’)]»".unicodeScalars.contains(scalars[end])
        {
            end += 1
        }
        var next = end
        while next < range.upperBound, scalars[next].properties.isWhitespace { next += 1 }
        guard next > end, next < range.upperBound else { return nil }
        // A colon ends a sentence where a line ends with it: what follows is what it introduces.
        if scalars[place] == ":" { return scalars[end..<next].contains("\n") ? end : nil }
        let opening = scalars[next]
        let begins =
            opening.properties.isUppercase || opening.properties.numericType != nil
            || "\"'“‘([¿¡«`*_".unicodeScalars.contains(opening)
            || (opening.properties.isAlphabetic && !opening.properties.isLowercase)
        guard begins else { return nil }
        return scalars[place] == "." && isAbbreviation(before: place, in: scalars, range)
            ? nil : end
    }

    private static func isAbbreviation(
        before place: Int, in scalars: [Unicode.Scalar], _ range: Range<Int>
    ) -> Bool {
        var start = place
        while start > range.lowerBound, place - start < 8,
            scalars[start - 1].properties.isAlphabetic || scalars[start - 1] == "."
        {
            start -= 1
        }
        let word = String(scalars[start..<place])
        // An initial, as in “J. Smith”.
        if word.unicodeScalars.count == 1, word.first?.isUppercase == true { return word != "I" }
        return abbreviations.contains(word.lowercased())
    }

    private static func append(
        _ range: Range<Int>, of scalars: [Unicode.Scalar], to result: inout [Range<Int>]
    ) {
        var range = range
        while let first = range.first, scalars[first].properties.isWhitespace {
            range = first + 1..<range.upperBound
        }
        while let last = range.last, scalars[last].properties.isWhitespace {
            range = range.lowerBound..<last
        }
        if !range.isEmpty { result.append(range) }
    }
}
