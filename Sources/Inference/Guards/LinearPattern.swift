/// A regular expression that is matched anywhere in a text in time that grows with the text's length
/// and no faster, whatever the text: all that may match is followed at once, nothing is tried again.
/// Letters match in either case. It knows characters, `.`, classes, `\d \w \s \b` and their
/// opposites, groups, `|`, `* + ? {n,m}`, `^` and `$`; no look-around and no back-references.
struct LinearPattern: Sendable {
    struct Problem: Error {
        let sentence: String
    }

    enum Step: Sendable {
        case scalars([ClosedRange<UInt32>], isNegated: Bool)
        /// Goes on at both.
        case split(Int, Int)
        case boundary(Bool)
        case start, end, match
    }

    private let steps: [Step]

    init(_ text: String) throws(Problem) {
        var compiler = PatternCompiler(scalars: Array(text.unicodeScalars))
        steps = try compiler.whole()
    }

    func matches(_ text: String) -> Bool {
        var reached: [Int] = []
        var threads = Threads(steps.count)
        var previous: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            // What a step leads to may depend on what stands before and after.
            guard !follow(reached, &threads, previous, scalar) else { return true }
            let cases = Self.cases(of: scalar)
            reached.removeAll(keepingCapacity: true)
            for place in threads.places {
                guard case .scalars(let ranges, let isNegated) = steps[place] else { continue }
                let isIn = cases.contains { value in ranges.contains { $0.contains(value) } }
                if isIn != isNegated { reached.append(place + 1) }
            }
            previous = scalar
        }
        return follow(reached, &threads, previous, nil)
    }

    /// Fills `threads` with all steps that wait for a scalar. True when one of them is the end.
    private func follow(
        _ reached: [Int], _ threads: inout Threads, _ previous: Unicode.Scalar?,
        _ next: Unicode.Scalar?
    ) -> Bool {
        threads.clear()
        // A match may begin anywhere.
        var open = [0] + reached
        while let place = open.popLast() {
            guard threads.add(place) else { continue }
            switch steps[place] {
            case .match: return true
            case .split(let one, let other):
                open.append(other)
                open.append(one)
            case .start: if previous == nil { open.append(place + 1) }
            case .end: if next == nil { open.append(place + 1) }
            case .boundary(let isOne):
                if (Self.isWord(previous) != Self.isWord(next)) == isOne { open.append(place + 1) }
            case .scalars: break
            }
        }
        return false
    }

    private static func isWord(_ scalar: Unicode.Scalar?) -> Bool {
        guard let scalar else { return false }
        return scalar == "_" || scalar.properties.isAlphabetic
            || scalar.properties.numericType == .decimal
    }

    private static func cases(of scalar: Unicode.Scalar) -> [UInt32] {
        let value = scalar.value
        guard value > 0x7F else {
            return (0x61...0x7A).contains(value | 0x20) ? [value, value ^ 0x20] : [value]
        }
        let properties = scalar.properties
        let others = [properties.lowercaseMapping, properties.uppercaseMapping].compactMap {
            $0.unicodeScalars.count == 1 ? $0.unicodeScalars.first?.value : nil
        }
        return [value] + others
    }

    /// Steps, each once.
    private struct Threads {
        private(set) var places: [Int] = []
        private var marks: [Int]
        private var round = 1

        init(_ count: Int) { marks = Array(repeating: 0, count: count) }

        mutating func clear() {
            places.removeAll(keepingCapacity: true)
            round += 1
        }

        mutating func add(_ place: Int) -> Bool {
            guard marks[place] != round else { return false }
            marks[place] = round
            places.append(place)
            return true
        }
    }
}
