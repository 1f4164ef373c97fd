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
        var text = text
        text.withUTF8 { add($0) }
    }

    /// Prompts are long, so that Latin text is read by bytes: letters and digits in runs.
    private mutating func add(_ bytes: UnsafeBufferPointer<UInt8>) {
        var place = 0
        var previous: UInt32 = 0
        while place < bytes.count {
            let start = place
            let byte = bytes[place]
            switch byte {
            case 0x61...0x7A, 0x41...0x5A:
                repeat { place += 1 } while place < bytes.count && Self.isLetter(bytes[place])
                words += 1
                longLetters += max(0, place - start - Self.shortLetters)
            case 0x30...0x39:
                repeat { place += 1 } while place < bytes.count && (0x30...0x39 ~= bytes[place])
                digits += place - start
                digitGroups += (place - start + 2) / 3
            case 0x0A, 0x0D:
                if previous != 0x0A, previous != 0x0D { breaks += 1 }
                place += 1
            case 0x09, 0x20: place += 1
            case ..<0x80:
                if UInt32(byte) != previous { signs += 1 }
                place += 1
            default:
                let (value, width) = Self.scalar(bytes, at: place)
                count(value, after: previous)
                previous = value
                place += width
                continue
            }
            previous = UInt32(bytes[place - 1])
        }
    }

    private mutating func count(_ value: UInt32, after previous: UInt32) {
        switch value {
        case 0x80..<0x250: accented += 1
        case 0x2E80..<0xA4D0, 0xAC00..<0xD7B0, 0xF900..<0xFB00, 0xFF00..<0xFFF0,
            0x20000..<0x32000:
            ideographs += 1
        case 0x250..<0x530: cyrillic += 1
        case 0x530..<0x2000, 0xA4D0..<0xAC00: foreign += 1
        case 0x2000..<0x2070: if value != previous { signs += 1 }
        default: rare += 1
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { 0x61...0x7A ~= byte | 0x20 }

    /// The scalar of more than one byte at a place of a text, and how many it has.
    private static func scalar(_ bytes: UnsafeBufferPointer<UInt8>, at place: Int) -> (UInt32, Int)
    {
        let lead = UInt32(bytes[place])
        let width = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
        var value = lead & (0xFF >> UInt32(width + 1))
        for next in bytes[place...].prefix(width).dropFirst() {
            value = value << 6 | UInt32(next & 0x3F)
        }
        return (value, width)
    }

    private static let shortLetters = 6
}
