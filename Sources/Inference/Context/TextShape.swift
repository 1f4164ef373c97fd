/// What a text is made of, as far as it decides how many tokens it has: counts that add up.
struct TextShape: Hashable, Sendable {
    /// Runs of Latin letters.
    var words = 0
    /// Letters past the sixth of a word.
    var longLetters = 0
    /// Digits, and groups of three of them.
    var digits = 0
    var digitGroups = 0
    /// Runs of the same sign, such as `(` or `====`.
    var signs = 0
    /// Line ends with the space after them.
    var breaks = 0
    /// Of Chinese, Japanese and Korean.
    var ideographs = 0
    /// Latin letters with marks.
    var accented = 0
    /// Greek and Cyrillic letters.
    var cyrillic = 0
    /// Letters of other scripts.
    var foreign = 0
    /// Emoji and other rare signs.
    var rare = 0

    init() {}

    init(_ text: String) { add(text) }

    mutating func add(_ text: String) {
        var run = 0
        var digitRun = 0
        var previous: UInt32 = 0
        func isLetter(_ value: UInt32) -> Bool { (0x61...0x7A).contains(value | 0x20) }
        for scalar in text.unicodeScalars {
            let value = scalar.value
            if !isLetter(value), run > 0 {
                longLetters += max(0, run - Self.shortLetters)
                run = 0
            }
            if !(0x30...0x39).contains(value), digitRun > 0 {
                digitGroups += (digitRun + 2) / 3
                digitRun = 0
            }
            switch value {
            case 0x61...0x7A, 0x41...0x5A:
                if run == 0 { words += 1 }
                run += 1
            case 0x30...0x39:
                digits += 1
                digitRun += 1
            case 0x0A, 0x0D: if previous != 0x0A, previous != 0x0D { breaks += 1 }
            case 0x09, 0x20: break
            case ..<0x80: if value != previous { signs += 1 }
            case 0x80..<0x250: accented += 1
            case 0x2E80..<0xA4D0, 0xAC00..<0xD7B0, 0xF900..<0xFB00, 0xFF00..<0xFFF0,
                0x20000..<0x32000:
                ideographs += 1
            case 0x250..<0x530: cyrillic += 1
            case 0x530..<0x2000, 0xA4D0..<0xAC00: foreign += 1
            case 0x2000..<0x2070: if value != previous { signs += 1 }
            default: rare += 1
            }
            previous = value
        }
        longLetters += max(0, run - Self.shortLetters)
        digitGroups += (digitRun + 2) / 3
    }

    private static let shortLetters = 6
}
