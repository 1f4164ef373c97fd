import Core

/// Text and vectors out of a generator, for measuring: words that are as often as words are (Zipf), and
/// unit vectors in clusters, as embeddings are. The same in every run.
struct MadeText {
    private var state: UInt64
    private let words: [String]
    /// Sums of the words' weights, ascending.
    private let sums: [Double]

    private static let vocabulary = 20_000
    /// The most frequent words stand for those that no search looks up.
    private static let stopWords = 60
    private static let sentenceWords = 12

    init(seed: UInt64) {
        state = seed
        let syllables = [
            "ba", "ke", "li", "mo", "nu", "pra", "sto", "ti", "ve", "zo", "gri", "fal",
        ]
        words = (0..<Self.vocabulary).map { number in
            var (rest, word) = (number + syllables.count, "")
            while rest > 0 {
                word += syllables[rest % syllables.count]
                rest /= syllables.count
            }
            return word
        }
        var sum = 0.0
        sums = (0..<Self.vocabulary).map { rank in
            sum += 1 / (Double(rank) + 2.7)
            return sum
        }
    }

    /// So many words in sentences.
    mutating func text(words count: Int) -> String {
        var text = ""
        for place in 0..<count {
            let word = words[draw()]
            let begins = place % Self.sentenceWords == 0
            text +=
                begins
                ? (text.isEmpty ? "" : ". ") + word.prefix(1).uppercased() + word.dropFirst()
                : " " + word
        }
        return text + "."
    }

    /// A question of some words, none of them among the most frequent.
    mutating func question() -> String {
        let count = 4 + Int(next() % 6)
        var chosen: [String] = []
        while chosen.count < count {
            let word = draw()
            if word >= Self.stopWords { chosen.append(words[word]) }
        }
        return chosen.joined(separator: " ") + "?"
    }

    /// One of a thousand middles with noise around it of nine tenths its length.
    mutating func vector(near middles: [[Float]]) -> [Float] {
        let middle = middles[Int(next() % UInt64(middles.count))]
        let scale = 0.9 / Float(middle.count).squareRoot()
        return Self.unit(middle.map { $0 + scale * gaussian() })
    }

    mutating func middles(_ count: Int, dimensions: Int) -> [[Float]] {
        (0..<count).map { _ in Self.unit((0..<dimensions).map { _ in gaussian() }) }
    }

    private static func unit(_ elements: [Float]) -> [Float] {
        let length = elements.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return length > 0 ? elements.map { $0 / length } : elements
    }

    private mutating func draw() -> Int {
        let wanted = Double(next() >> 11) / Double(1 << 53) * (sums.last ?? 1)
        var (low, high) = (0, sums.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] < wanted { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The sum of twelve even numbers less six, near enough.
    private mutating func gaussian() -> Float {
        var sum: Float = -6
        for _ in 0..<3 {
            let bits = next()
            for part in 0..<4 { sum += Float((bits >> (16 * UInt64(part))) & 0xFFFF) / 65_536 }
        }
        return sum
    }

    /// SplitMix64.
    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
