import Core

/// Cuts text into the pieces that merges stay within. Every model was trained with regular
/// expressions of its own; those are written here as short lists of rules, which a scanner follows
/// in time that is linear in the text, whatever the text.
struct PreTokenizer: Sendable {
    /// One alternative of a regular expression.
    enum Rule: Sendable {
        /// `'s|'t|'re|'ve|'m|'ll|'d`
        case contraction(ignoresCase: Bool)
        /// `before? of{atLeast,atMost} then*`, or with one of `before` where that `isRequired`.
        case run(
            before: CharacterClass = [], isRequired: Bool = false, of: CharacterClass,
            atLeast: Int = 1, atMost: Int = .max, then: CharacterClass = [])
        /// `before?` and a word that has capitals only in front, or only capitals in front:
        ///
        ///     [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+
        ///     |[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*
        case casedWord(before: CharacterClass, endsWithContraction: Bool)
        /// `\s*[\r\n]+`
        case lineEnds
        /// `\s+(?!\S)`: spaces without the last, which belongs to the word that follows.
        case spacesBeforeLast
        /// `\s+$`
        case spacesAtEnd
    }

    /// Each pass cuts the pieces of the one before: its matches, and what is between them.
    let passes: [[Rule]]
    /// The members of `extra0` and so on.
    let extras: [[ClosedRange<UInt32>]]
    /// Whether a piece that is a token as a whole is that token.
    let ignoresMerges: Bool
    /// Whether a prompt begins with the begin-of-text token where the file does not say.
    let addsBegin: Bool

    init(
        _ passes: [[Rule]], extras: [[ClosedRange<UInt32>]] = [], ignoresMerges: Bool = false,
        addsBegin: Bool = false
    ) {
        self.passes = passes
        self.extras = extras
        self.ignoresMerges = ignoresMerges
        self.addsBegin = addsBegin
    }

    /// Calls `body` with every piece, in order. Together they are the text.
    func pieces(
        of text: Slice<UnsafeRawBufferPointer>, _ body: (Slice<UnsafeRawBufferPointer>) -> Void
    ) {
        let scanner = Scanner(UnsafeRawBufferPointer(rebasing: text), extras)
        let start = text.startIndex
        scanner.cut(0..<scanner.count, passes[...]) { piece in
            body(text[start + piece.lowerBound..<start + piece.upperBound])
        }
    }
}

/// A text as the classes of its characters.
private struct Scanner {
    private let text: UnsafeRawBufferPointer
    private var classes: [CharacterClass] = []
    /// Where each character begins, and where the text ends.
    private var starts: [UInt32] = []

    init(_ text: UnsafeRawBufferPointer, _ extras: [[ClosedRange<UInt32>]]) {
        self.text = text
        classes.reserveCapacity(text.count)
        starts.reserveCapacity(text.count + 1)
        var place = 0
        while place < text.count {
            let (scalar, length) = decodeScalar(text, at: place)
            var kind = CharacterClass.kind(of: scalar)
            if let value = scalar?.value {
                for (index, ranges) in extras.enumerated()
                where ranges.contains(where: { $0.contains(value) }) {
                    kind.insert(CharacterClass(rawValue: CharacterClass.extra0.rawValue << index))
                }
            }
            classes.append(kind)
            starts.append(UInt32(truncatingIfNeeded: place))
            place += length
        }
        starts.append(UInt32(truncatingIfNeeded: place))
    }

    var count: Int { classes.count }

    /// Calls `body` with the pieces of `range`, as places of bytes.
    func cut(
        _ range: Range<Int>, _ passes: ArraySlice<[PreTokenizer.Rule]>,
        _ body: (Range<Int>) -> Void
    ) {
        guard !range.isEmpty else { return }
        guard let rules = passes.first else {
            return body(Int(starts[range.lowerBound])..<Int(starts[range.upperBound]))
        }
        let rest = passes.dropFirst()
        // Looked for once: from every space anew would be quadratic.
        var spaces = range.upperBound
        while spaces > range.lowerBound, classes[spaces - 1].intersects(.space) { spaces -= 1 }

        var unmatched = range.lowerBound
        var place = range.lowerBound
        while place < range.upperBound {
            guard let end = end(of: rules, from: place, to: range.upperBound, spaces) else {
                place += 1
                continue
            }
            cut(unmatched..<place, rest, body)
            cut(place..<end, rest, body)
            place = end
            unmatched = end
        }
        cut(unmatched..<place, rest, body)
    }

    /// Where the match of the first rule that matches at `start` ends, after `start`.
    private func end(of rules: [PreTokenizer.Rule], from start: Int, to limit: Int, _ spaces: Int)
        -> Int?
    {
        for rule in rules {
            let end: Int? =
                switch rule {
                case .contraction(let ignoresCase):
                    contraction(from: start, to: limit, ignoresCase)
                case .run(let before, let isRequired, let of, let atLeast, let atMost, let then):
                    run(before, isRequired, of, atLeast, atMost, then, from: start, to: limit)
                case .casedWord(let before, let endsWithContraction):
                    casedWord(before, endsWithContraction, from: start, to: limit)
                case .lineEnds: lineEnds(from: start, to: limit)
                case .spacesBeforeLast: spacesBeforeLast(from: start, to: limit)
                case .spacesAtEnd: start >= spaces ? limit : nil
                }
            if let end { return end }
        }
        return nil
    }

    private func runEnd(_ members: CharacterClass, from start: Int, to limit: Int) -> Int {
        var end = start
        while end < limit, classes[end].intersects(members) { end += 1 }
        return end
    }

    private func run(
        _ before: CharacterClass, _ isRequired: Bool, _ members: CharacterClass, _ atLeast: Int,
        _ atMost: Int, _ then: CharacterClass, from start: Int, to limit: Int
    ) -> Int? {
        func match(from first: Int) -> Int? {
            let end = runEnd(
                members, from: first, to: limit - first > atMost ? first + atMost : limit)
            return end - first < atLeast ? nil : runEnd(then, from: end, to: limit)
        }
        if classes[start].intersects(before), let end = match(from: start + 1) { return end }
        return isRequired ? nil : match(from: start)
    }

    private func casedWord(
        _ before: CharacterClass, _ endsWithContraction: Bool, from start: Int, to limit: Int
    ) -> Int? {
        let hasBefore = classes[start].intersects(before)
        let end =
            (hasBefore ? endOfCapitalised(from: start + 1, to: limit) : nil)
            ?? endOfCapitalised(from: start, to: limit)
            ?? (hasBefore ? endOfCapitals(from: start + 1, to: limit) : nil)
            ?? endOfCapitals(from: start, to: limit)
        guard let end, endsWithContraction else { return end }
        return contraction(from: end, to: limit, true) ?? end
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
    private func endOfCapitalised(from first: Int, to limit: Int) -> Int? {
        let capitals = runEnd(.notLowercase, from: first, to: limit)
        let end = runEnd(.notUppercase, from: capitals, to: limit)
        if end > capitals { return end }
        // The first part gives back what it has up to a character that may also be of the second.
        var last = capitals - 1
        while last >= first, !classes[last].intersects(.notUppercase) { last -= 1 }
        return last >= first ? last + 1 : nil
    }

    /// `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
    private func endOfCapitals(from first: Int, to limit: Int) -> Int? {
        let capitals = runEnd(.notLowercase, from: first, to: limit)
        return capitals > first ? runEnd(.notUppercase, from: capitals, to: limit) : nil
    }

    private func lineEnds(from start: Int, to limit: Int) -> Int? {
        var end: Int?
        var place = start
        while place < limit, classes[place].intersects(.space) {
            if classes[place].intersects(.lineEnd) { end = place + 1 }
            place += 1
        }
        return end
    }

    private func spacesBeforeLast(from start: Int, to limit: Int) -> Int? {
        let end = runEnd(.space, from: start, to: limit)
        if end == limit { return end > start ? end : nil }
        return end - 1 > start ? end - 1 : nil
    }

    private func contraction(from start: Int, to limit: Int, _ ignoresCase: Bool) -> Int? {
        guard start < limit, classes[start].intersects(.apostrophe) else { return nil }
        func letter(_ place: Int) -> UInt8? {
            guard place < limit else { return nil }
            let byte = text[Int(starts[place])]
            guard ignoresCase else { return byte }
            // The long s of old print is an s of another case.
            if byte == 0xC5, classes[place].intersects(.lowercaseOther),
                text[Int(starts[place]) + 1] == 0xBF
            {
                return UInt8(ascii: "s")
            }
            return classes[place].intersects(.uppercaseASCII) ? byte | 0x20 : byte
        }
        guard let first = letter(start + 1) else { return nil }
        let second = letter(start + 2)
        switch Unicode.Scalar(first) {
        case "s", "t", "m", "d": return start + 2
        case "r" where second == UInt8(ascii: "e"): return start + 3
        case "v" where second == UInt8(ascii: "e"): return start + 3
        case "l" where second == UInt8(ascii: "l"): return start + 3
        default: return nil
        }
    }
}
