/// Finds how many gaps the fullest tag of a markup text has, which bounds its attributes, without
/// parsing it: comments, sections of text, and what scripts and styles hold are no tags.
struct TagScanner {
    private let bytes: [UInt8]
    private var place = 0

    /// What they hold ends with their own closing tag only.
    private static let rawTexts = ["script", "style", "textarea", "title", "xmp"].map {
        Array($0.utf8)
    }

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func gapsMax(stopsPast limit: Int) -> Int {
        var most = 0
        while most <= limit, let start = bytes[place...].firstIndex(of: UInt8(ascii: "<")) {
            place = start + 1
            if starts(with: "!--") {
                skip(past: "-->")
            } else if starts(with: "![CDATA[") {
                skip(past: "]]>")
            } else if place < bytes.count, Self.isLetter(bytes[place]) {
                most = max(most, tag(limit))
            }
        }
        return most
    }

    /// The same where a quote is a gap like any other and every closing bracket ends a tag.
    static func gapsMax(ignoringQuotes bytes: [UInt8]) -> Int {
        var (most, gaps, isInTag) = (0, 0, false)
        var previous: UInt8 = 0
        for byte in bytes {
            if byte == UInt8(ascii: ">") {
                isInTag = false
            } else if !isInTag, previous == UInt8(ascii: "<"), isLetter(byte) {
                (isInTag, gaps) = (true, 0)
            } else if isInTag, isGap(byte) {
                gaps += 1
                most = max(most, gaps)
            }
            previous = byte
        }
        return most
    }

    private mutating func tag(_ limit: Int) -> Int {
        let name = bytes[place...].prefix { Self.isLetter($0) }.map { $0 | 0x20 }
        var gaps = 0
        var quote: UInt8 = 0
        while place < bytes.count, gaps <= limit {
            let byte = bytes[place]
            place += 1
            if quote != 0 {
                if byte == quote { quote = 0 }
            } else if byte == UInt8(ascii: ">") {
                if Self.rawTexts.contains(name) { skip(raw: name) }
                return gaps
            } else if Self.isGap(byte) {
                gaps += 1
                let isQuote = byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'")
                if isQuote, bytes[place - 2] == UInt8(ascii: "=") { quote = byte }
            }
        }
        return gaps
    }

    private func starts(with text: String) -> Bool { bytes[place...].starts(with: text.utf8) }

    private mutating func skip(past text: String) {
        let end = Array(text.utf8)
        while place < bytes.count, !bytes[place...].starts(with: end) { place += 1 }
        place = min(bytes.count, place + end.count)
    }

    private mutating func skip(raw name: [UInt8]) {
        while place < bytes.count {
            if starts(with: "</"),
                bytes[(place + 2)...].prefix(name.count).map({ $0 | 0x20 }) == name
            {
                return
            }
            place += 1
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isGap(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09...0x0D, 0x20, UInt8(ascii: "/"), UInt8(ascii: "\""), UInt8(ascii: "'"): true
        default: false
        }
    }
}
