import Core
import Foundation

/// What the passages of a turn say, ready to be held against sentences: stretches of up to three
/// sentences, and lists with the sentence that leads into them.
struct Evidence {
    /// A stretch of one passage that could support or answer something.
    struct Window {
        /// From 1, as an answer cites it.
        let number: Int
        let range: Range<String.Index>
        let text: String
        let words: Set<String>
        /// The heading lines above it in the same passage, and the passage's heading path.
        let titleWords: Set<String>
        let unitCount: Int
        let list: List?
        /// The window and what follows it in its paragraph, as far as a short quotation goes.
        let quotable: String
    }

    /// A single sentence or item of a passage.
    struct Unit {
        let words: Set<String>
        let negated: Set<String>
    }

    /// A list in a passage: its lead-in, such as `Three habits keep the bill down:`, and its items.
    struct List {
        let lead: String
        let items: [String]
    }

    let passages: [Passage]
    let windows: [Window]
    private let passageWords: [Set<String>]
    /// All words of each passage, one space around each.
    private let wordings: [String]
    private let units: [[Unit]]
    private let weights: [String: Double]

    static let windowUnitsMax = 3
    static let quotableCharacters = 400
    static let windowsPerPassageMax = 400

    init(_ passages: [Passage]) {
        self.passages = passages
        let texts = passages.map { TextUnits($0.text) }
        wordings = passages.map { Self.wording(Words.all(of: $0.text)) }
        passageWords = passages.map { passage in
            Words.contentSet(of: passage.text).union(
                Words.contentSet(of: passage.headings.joined(separator: " ")))
        }
        units = texts.map { text in
            text.units.map {
                let said = text.text[$0.range]
                return Unit(words: Words.contentSet(of: said), negated: Words.negated(in: said))
            }
        }
        weights = Self.weights(passageWords)
        windows = zip(passages, texts).enumerated().flatMap { place, pair in
            Self.windows(number: place + 1, passage: pair.0, units: pair.1)
        }
    }

    /// How telling a word is: 1 when every passage has it, more the fewer do, most when none does.
    func weight(_ word: String) -> Double {
        weights[word] ?? 1 + log(Double(passageWords.count + 1))
    }

    private static func weights(_ passages: [Set<String>]) -> [String: Double] {
        var counts: [String: Int] = [:]
        for word in passages.joined() { counts[word, default: 0] += 1 }
        return counts.mapValues { 1 + log(Double(passages.count + 1) / Double($0 + 1)) }
    }

    // A sentence that repeats the question has said nothing yet.
    private static let weightOfAsked = 0.25

    /// The weighted share of `words` that is among `others`, 0 to 1. Words that were `asked` for
    /// weigh a quarter.
    func share(
        of words: Set<String>, in others: Set<String>, asked: Set<String> = []
    ) -> Double {
        var found = 0.0
        var all = 0.0
        for word in words {
            let weight = weight(word) * (asked.contains(word) ? Self.weightOfAsked : 1)
            all += weight
            if others.contains(word) { found += weight }
        }
        return all == 0 ? 0 : found / all
    }

    func hasAll(_ words: [String], inPassage number: Int) -> Bool {
        words.allSatisfy { passageWords[number - 1].contains($0) }
    }

    func has(_ word: String) -> Bool { passageWords.contains { $0.contains(word) } }

    // Three words in a row may be chance.
    private static let quotedWordsMin = 4

    /// The passages in which these words stand one after the other, as a sentence or part of one.
    func quoting(_ words: [String]) -> [Int] {
        guard words.count >= Self.quotedWordsMin else { return [] }
        let wording = Self.wording(words)
        return wordings.indices.filter { wordings[$0].contains(wording) }.map { $0 + 1 }
    }

    private static func wording(_ words: [String]) -> String {
        " " + words.joined(separator: " ") + " "
    }

    /// The single sentences and items of a passage.
    func units(of number: Int) -> [Unit] { units[number - 1] }

    /// The stretch of a passage that has most of `words`.
    func closestWindow(to words: Set<String>, inPassage number: Int) -> Attribution.Candidate? {
        let scored = windows.filter { $0.number == number }.map {
            ($0, share(of: words, in: $0.words))
        }
        return scored.max { $0.1 < $1.1 }.map {
            Attribution.Candidate(
                number: number, share: $0.1, text: $0.0.text, range: $0.0.range)
        }
    }

    private static func windows(number: Int, passage: Passage, units: TextUnits) -> [Window] {
        var found: [Window] = []
        let all = units.units
        let path = Words.contentSet(of: passage.headings.joined(separator: " "))
        var title = path
        func quotable(_ part: ArraySlice<TextUnits.Unit>) -> String {
            guard let first = part.first, var last = part.last else { return "" }
            let rest = all[part.endIndex...].prefix {
                $0.group == first.group && $0.kind == .sentence && first.kind == .sentence
            }
            for unit in rest {
                let length = units.text[first.range.lowerBound..<unit.range.upperBound].count
                guard length <= quotableCharacters else { break }
                last = unit
            }
            // `Collect three types of data:` says nothing without what follows, whatever that is.
            if units.text[last.range].hasSuffix(":") {
                for unit in all where unit.range.lowerBound >= last.range.upperBound {
                    let range = first.range.lowerBound..<unit.range.upperBound
                    guard units.text[range].count <= quotableCharacters else { break }
                    last = unit
                }
            }
            return String(units.text[first.range.lowerBound..<last.range.upperBound])
        }
        func add(_ part: ArraySlice<TextUnits.Unit>, list: List? = nil) {
            guard let first = part.first, let last = part.last else { return }
            let range = first.range.lowerBound..<last.range.upperBound
            let text = String(units.text[range])
            found.append(
                Window(
                    number: number, range: range, text: text, words: Words.contentSet(of: text),
                    titleWords: title, unitCount: part.count, list: list,
                    quotable: list == nil ? quotable(part) : text))
        }
        for start in all.indices where found.count < windowsPerPassageMax {
            let unit = all[start]
            if unit.kind == .heading {
                title = path.union(Words.contentSet(of: units.text[unit.range]))
                // A heading may still be all there is to lead into a list.
                if let end = endOfList(after: start, in: all) {
                    add(all[start...end], list: list(units, all[start...end]))
                }
                continue
            }
            // Items stand each for themselves, or in the list as a whole.
            let unitsMax = unit.kind == .item ? 1 : windowUnitsMax
            for end in start..<min(start + unitsMax, all.count) {
                guard all[end].group == unit.group, all[end].kind == unit.kind else { break }
                add(all[start...end])
            }
            if unit.kind == .sentence, let end = endOfList(after: start, in: all) {
                add(all[start...end], list: list(units, all[start...end]))
            }
        }
        return found
    }

    /// The last item of the list that begins right after `lead`; nil where fewer than two follow.
    private static func endOfList(after lead: Int, in units: [TextUnits.Unit]) -> Int? {
        let items = units[(lead + 1)...].prefix { $0.kind == .item }.prefix(listItemsMax)
        return items.count >= 2 ? items.endIndex - 1 : nil
    }

    static let listItemsMax = 24

    private static func list(_ units: TextUnits, _ part: ArraySlice<TextUnits.Unit>) -> List {
        let texts = part.map { String(units.text[$0.range]) }
        return List(lead: texts.first ?? "", items: Array(texts.dropFirst()))
    }
}
