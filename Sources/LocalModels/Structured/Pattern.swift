/// A regular expression, as far as the schemas that people write use them: characters, classes,
/// groups, alternatives and counts. Matches anywhere unless anchored, as JSON Schema says.
struct Pattern {
    struct Problem: Error {
        let sentence: String
    }

    fileprivate indirect enum Node {
        case scalars([ClosedRange<UInt32>])
        case sequence([Node])
        case either([Node])
        case times(Node, Int, Int?)
    }

    fileprivate let root: Node

    init(_ text: String) throws {
        var parser = PatternParser(scalars: Array(text.unicodeScalars))
        root = try parser.whole()
    }

    /// What OpenAI's structured outputs know by name, each as narrow as it takes for every reader
    /// to agree: no leap days, no leap seconds.
    static let formats: [String: String] = {
        let date =
            "(19|20)[0-9]{2}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
            + "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
        let time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"
        let zone = "(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])"
        let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
        let label = "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
        let hex = "[0-9a-f]"
        let host = "\(label)(\\.\(label)){0,4}"
        return [
            "date": "^\(date)$", "time": "^\(time)\(zone)$",
            "date-time": "^\(date)T\(time)\(zone)$",
            "duration":
                "^P([0-9]{1,4}D(T[0-9]{1,4}(H|M|S))?|T[0-9]{1,4}(H([0-9]{1,4}M)?|M([0-9]{1,4}S)?|S))$",
            "email": "^[A-Za-z0-9]{1,20}([._+-][A-Za-z0-9]{1,20}){0,3}@\(label)(\\.\(label)){0,2}"
                + "\\.[a-z]{2,10}$",
            "hostname": "^\(host)$", "ipv4": "^(\(byte)\\.){3}\(byte)$",
            "ipv6": "^(\(hex){1,4}:){7}\(hex){1,4}$",
            "uuid": "^\(hex){8}-\(hex){4}-[1-5]\(hex){3}-[89ab]\(hex){3}-\(hex){12}$",
            "uri": "^https?://\(host)\\.[a-z]{2,10}(/[A-Za-z0-9._~-]{1,40}){0,8}/?$",
        ]
    }()
}

extension GrammarBuilder {
    /// The pattern in front of `next`, as text in a JSON string.
    mutating func pattern(_ pattern: Pattern, _ next: Int32) throws -> Int32 {
        try add(pattern.root, next)
    }

    private mutating func add(_ node: Pattern.Node, _ next: Int32) throws -> Int32 {
        switch node {
        case .scalars(let ranges):
            guard ranges.contains(where: { $0.upperBound > 0x7F }) else {
                return try scalars(ranges, next)
            }
            // Large sets take many nodes: once each.
            return try call(try rule("scalars \(ranges)") { try $0.scalars(ranges, $0.end) }, next)
        case .sequence(let nodes): return try nodes.reversed().reduce(next) { try add($1, $0) }
        case .either(let nodes): return try either(try nodes.map { try add($0, next) })
        case .times(let node, let least, let most):
            var start = next
            if let most {
                for _ in least..<max(least, most) {
                    start = try either([try add(node, start), next])
                }
            } else {
                start = try self.add(.split([]))
                set(start, .split([try add(node, start), next]))
            }
            for _ in 0..<least { start = try add(node, start) }
            return start
        }
    }
}

private struct PatternParser {
    let scalars: [Unicode.Scalar]
    var place = 0
    var depth = 0

    private static let lengthMax = 2000
    private static let depthMax = 32
    private static let timesMax = 10_000
    private static let anything: [ClosedRange<UInt32>] = [0x20...0x10FFFF]

    mutating func whole() throws -> Pattern.Node {
        guard scalars.count <= Self.lengthMax else { throw problem("is too long") }
        let node = try alternatives()
        guard place == scalars.count else { throw problem("closes a group that is not open") }
        return node
    }

    private mutating func alternatives() throws -> Pattern.Node {
        var branches = [try branch()]
        while take("|") { branches.append(try branch()) }
        return branches.count == 1 ? branches[0] : .either(branches)
    }

    private mutating func branch() throws -> Pattern.Node {
        let any = Pattern.Node.times(.scalars(Self.anything), 0, nil)
        let isOuter = depth == 0
        let isAnchored = take("^")
        guard isOuter || !isAnchored else {
            throw problem("has `^` in a group, which is not supported")
        }
        var nodes: [Pattern.Node] = isOuter && !isAnchored ? [any] : []
        var isEnded = false
        while let scalar = peek, scalar != "|", scalar != ")" {
            guard !isEnded else { throw problem("goes on after `$`") }
            if take("$") {
                guard isOuter || place == scalars.count else {
                    throw problem("has `$` in a group, which is not supported")
                }
                isEnded = true
                continue
            }
            nodes.append(try counted(try atom()))
        }
        if isOuter, !isEnded { nodes.append(any) }
        return .sequence(nodes)
    }

    private mutating func atom() throws -> Pattern.Node {
        guard let scalar = peek else { throw problem("ends too early") }
        place += 1
        switch scalar {
        case "(": return try group()
        case "[": return .scalars(try characterClass())
        case ".": return .scalars([0x20...0x10FFFF])
        case "\\": return .scalars(try escape())
        case "*", "+", "?", "^":
            throw problem("has `\(scalar)` in a place that is not supported")
        default: return .scalars([scalar.value...scalar.value])
        }
    }

    private mutating func group() throws -> Pattern.Node {
        if take("?") {
            guard take(":") else { throw problem("has a group of a kind that is not supported") }
        }
        depth += 1
        guard depth <= Self.depthMax else { throw problem("is nested too deeply") }
        let node = try alternatives()
        depth -= 1
        guard take(")") else { throw problem("does not close a group") }
        return node
    }

    private mutating func counted(_ node: Pattern.Node) throws -> Pattern.Node {
        var node = node
        switch peek {
        case "*": node = .times(node, 0, nil)
        case "+": node = .times(node, 1, nil)
        case "?": node = .times(node, 0, 1)
        case "{":
            let start = place
            place += 1
            guard let least = number() else {
                place = start + 1
                throw problem("has `{` in a place that is not supported")
            }
            var most: Int? = least
            if take(",") { most = number() }
            guard peek == "}", least <= most ?? .max, max(least, most ?? 0) <= Self.timesMax else {
                throw problem("has a count that cannot be")
            }
            node = .times(node, least, most)
        default: return node
        }
        place += 1
        // Lazy ones match the same texts.
        _ = take("?")
        guard !["*", "+", "{"].contains(peek) else { throw problem("counts a count") }
        return node
    }

    private mutating func number() -> Int? {
        let start = place
        while let scalar = peek, ("0"..."9").contains(scalar), place - start < 6 { place += 1 }
        return Int(String(String.UnicodeScalarView(scalars[start..<place])))
    }

    private mutating func characterClass() throws -> [ClosedRange<UInt32>] {
        let isNegated = take("^")
        var ranges: [ClosedRange<UInt32>] = []
        while let scalar = peek, scalar != "]" {
            place += 1
            let low = scalar == "\\" ? try escape() : [scalar.value...scalar.value]
            guard peek == "-", place + 1 < scalars.count, scalars[place + 1] != "]",
                low.count == 1, low[0].count == 1
            else {
                ranges += low
                continue
            }
            place += 1
            let last = scalars[place]
            place += 1
            let high = last == "\\" ? try escape() : [last.value...last.value]
            guard high.count == 1, high[0].count == 1, low[0].lowerBound <= high[0].lowerBound
            else {
                throw problem("has a range that cannot be")
            }
            ranges.append(low[0].lowerBound...high[0].lowerBound)
        }
        guard take("]") else { throw problem("does not close a class") }
        let result = isNegated ? Self.complement(ranges) : ranges
        guard !result.isEmpty else { throw problem("has an empty class") }
        return result
    }

    private mutating func escape() throws -> [ClosedRange<UInt32>] {
        guard let scalar = peek else { throw problem("ends with a backslash") }
        place += 1
        let digits: [ClosedRange<UInt32>] = [0x30...0x39]
        let word: [ClosedRange<UInt32>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
        let space: [ClosedRange<UInt32>] = [0x09...0x0A, 0x0C...0x0D, 0x20...0x20]
        switch scalar {
        case "d": return digits
        case "D": return Self.complement(digits)
        case "w": return word
        case "W": return Self.complement(word)
        case "s": return space
        case "S": return Self.complement(space)
        case "n": return [0x0A...0x0A]
        case "r": return [0x0D...0x0D]
        case "t": return [0x09...0x09]
        case "f": return [0x0C...0x0C]
        case "u", "x":
            let count = scalar == "u" ? 4 : 2
            let hex = String(String.UnicodeScalarView(scalars[place...].prefix(count)))
            guard hex.utf8.count == count, let value = UInt32(hex, radix: 16) else {
                throw problem("has an escape that cannot be read")
            }
            place += count
            return [value...value]
        case "a"..."z", "A"..."Z", "0"..."9":
            throw problem("has `\\\(scalar)`, which is not supported")
        default: return [scalar.value...scalar.value]
        }
    }

    /// Of what can stand in text without being a control character.
    private static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        var from: UInt32 = 0x20
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound })
        where range.upperBound >= from {
            if range.lowerBound > from { result.append(from...range.lowerBound - 1) }
            from = range.upperBound + 1
        }
        if from <= 0x10FFFF { result.append(from...0x10FFFF) }
        return result
    }

    private var peek: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        place += 1
        return true
    }

    private func problem(_ what: String) -> Pattern.Problem {
        Pattern.Problem(sentence: "\(what), at character \(place).")
    }
}
