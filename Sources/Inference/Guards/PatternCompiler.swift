/// Reads a regular expression and writes the steps that match it.
struct PatternCompiler {
    typealias Step = LinearPattern.Step
    typealias Problem = LinearPattern.Problem
    private typealias Ranges = [ClosedRange<UInt32>]

    let scalars: [Unicode.Scalar]
    private var place = 0
    private var depth = 0

    private static let lengthMax = 1000
    private static let depthMax = 32
    private static let stepsMax = 4000
    private static let timesMax = 1000
    private static let digits: Ranges = [0x30...0x39]
    private static let word: Ranges = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
    private static let space: Ranges = [0x09...0x0D, 0x20...0x20, 0xA0...0xA0]

    init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    mutating func whole() throws(Problem) -> [Step] {
        guard !scalars.isEmpty else { throw problem("is empty") }
        guard scalars.count <= Self.lengthMax else { throw problem("is too long") }
        let steps = try alternatives()
        guard place == scalars.count else { throw problem("closes a group that is not open") }
        return steps + [.match]
    }

    // Steps name each other by their distance until they are put into a larger whole, which moves
    // what they name along.

    private mutating func alternatives() throws(Problem) -> [Step] {
        var steps = try branch()
        while take("|") {
            let other = try branch()
            // split one, other; one; over other; other
            let one = Self.moved(steps, by: 1)
            let over = one.count + 1
            steps = [.split(1, over + 1)] + one
            let end = over + 1 + other.count
            steps += [.split(end, end)] + Self.moved(other, by: over + 1)
            try checkSize(steps)
        }
        return steps
    }

    private mutating func branch() throws(Problem) -> [Step] {
        var steps: [Step] = []
        while let scalar = peek, scalar != "|", scalar != ")" {
            let piece = try counted(try atom())
            steps += Self.moved(piece, by: steps.count)
            try checkSize(steps)
        }
        return steps
    }

    private mutating func atom() throws(Problem) -> [Step] {
        guard let scalar = peek else { throw problem("ends too early") }
        place += 1
        switch scalar {
        case "(": return try group()
        case "[": return [try characterClass()]
        case ".": return [.scalars([0x0A...0x0A], isNegated: true)]
        case "^": return [.start]
        case "$": return [.end]
        case "\\": return [try escape()]
        case "*", "+", "?", "{": throw problem("counts nothing")
        default: return [.scalars([scalar.value...scalar.value], isNegated: false)]
        }
    }

    private mutating func group() throws(Problem) -> [Step] {
        if take("?") {
            guard take(":") else { throw problem("has a group of a kind that is not supported") }
        }
        depth += 1
        guard depth <= Self.depthMax else { throw problem("is nested too deeply") }
        let steps = try alternatives()
        depth -= 1
        guard take(")") else { throw problem("does not close a group") }
        return steps
    }

    private mutating func counted(_ piece: [Step]) throws(Problem) -> [Step] {
        let (least, most): (Int, Int?)
        switch peek {
        case "*": (least, most) = (0, nil)
        case "+": (least, most) = (1, nil)
        case "?": (least, most) = (0, 1)
        case "{":
            place += 1
            guard let first = number() else { throw problem("has a count that cannot be") }
            let second = take(",") ? number() : first
            guard peek == "}", first <= second ?? first else {
                throw problem("has a count that cannot be")
            }
            (least, most) = (first, second)
        default: return piece
        }
        place += 1
        // Lazy ones match the same texts.
        _ = take("?")
        if let scalar = peek, "*+?{".unicodeScalars.contains(scalar) {
            throw problem("counts a count")
        }
        let times = most ?? least + 1
        guard times <= Self.timesMax, times * (piece.count + 1) <= Self.stepsMax else {
            throw problem("counts too far")
        }
        return Self.repeated(piece, least, most)
    }

    private static func repeated(_ piece: [Step], _ least: Int, _ most: Int?) -> [Step] {
        var steps: [Step] = []
        for _ in 0..<least { steps += moved(piece, by: steps.count) }
        guard let most else {
            // split in, out; piece; back
            let start = steps.count
            let end = start + piece.count + 2
            return steps + [.split(start + 1, end)] + moved(piece, by: start + 1)
                + [.split(start, start)]
        }
        for _ in least..<max(least, most) {
            let start = steps.count
            steps += [.split(start + 1, start + 1 + piece.count)] + moved(piece, by: start + 1)
        }
        return steps
    }

    private static func moved(_ steps: [Step], by distance: Int) -> [Step] {
        steps.map { step in
            if case .split(let one, let other) = step {
                return .split(one + distance, other + distance)
            }
            return step
        }
    }

    private mutating func number() -> Int? {
        let start = place
        while let scalar = peek, ("0"..."9").contains(scalar), place - start < 5 { place += 1 }
        return Int(String(String.UnicodeScalarView(scalars[start..<place])))
    }

    private mutating func characterClass() throws(Problem) -> Step {
        let isNegated = take("^")
        var ranges: Ranges = []
        while let scalar = peek, scalar != "]" {
            place += 1
            let low = scalar == "\\" ? try classEscape() : [scalar.value...scalar.value]
            guard peek == "-", place + 1 < scalars.count, scalars[place + 1] != "]" else {
                ranges += low
                continue
            }
            place += 1
            let last = scalars[place]
            place += 1
            let high = last == "\\" ? try classEscape() : [last.value...last.value]
            guard low.count == 1, high.count == 1, low[0].count == 1, high[0].count == 1,
                low[0].lowerBound <= high[0].lowerBound
            else { throw problem("has a range that cannot be") }
            ranges.append(low[0].lowerBound...high[0].lowerBound)
        }
        guard take("]"), !ranges.isEmpty else { throw problem("does not close a class") }
        return .scalars(ranges, isNegated: isNegated)
    }

    private mutating func classEscape() throws(Problem) -> Ranges {
        guard case .scalars(let ranges, false) = try escape() else {
            throw problem("has an escape that a class may not have")
        }
        return ranges
    }

    private mutating func escape() throws(Problem) -> Step {
        guard let scalar = peek else { throw problem("ends with a backslash") }
        place += 1
        switch scalar {
        case "d": return .scalars(Self.digits, isNegated: false)
        case "D": return .scalars(Self.digits, isNegated: true)
        case "w": return .scalars(Self.word, isNegated: false)
        case "W": return .scalars(Self.word, isNegated: true)
        case "s": return .scalars(Self.space, isNegated: false)
        case "S": return .scalars(Self.space, isNegated: true)
        case "b": return .boundary(true)
        case "B": return .boundary(false)
        case "n": return .scalars([0x0A...0x0A], isNegated: false)
        case "r": return .scalars([0x0D...0x0D], isNegated: false)
        case "t": return .scalars([0x09...0x09], isNegated: false)
        case "a"..."z", "A"..."Z", "0"..."9":
            throw problem("has `\\\(scalar)`, which is not supported")
        default: return .scalars([scalar.value...scalar.value], isNegated: false)
        }
    }

    private var peek: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        place += 1
        return true
    }

    private func checkSize(_ steps: [Step]) throws(Problem) {
        guard steps.count <= Self.stepsMax else { throw problem("has too many parts") }
    }

    private func problem(_ what: String) -> Problem {
        Problem(sentence: "\(what), at character \(place).")
    }
}
