/// Writes one JSON object on one line. Strings only, escaped so that nothing in them can end the
/// line or the string, whatever they hold.
struct JSONLine {
    private var bytes: [UInt8]

    init() {
        bytes = []
        bytes.reserveCapacity(512)
        bytes.append(UInt8(ascii: "{"))
    }

    /// Appends an object that `write` fills in.
    static func append(to bytes: inout [UInt8], _ write: (inout JSONLine) -> Void) {
        var line = JSONLine(taking: &bytes)
        write(&line)
        line.bytes.append(UInt8(ascii: "}"))
        swap(&line.bytes, &bytes)
    }

    private init(taking other: inout [UInt8]) {
        bytes = []
        swap(&bytes, &other)
        bytes.append(UInt8(ascii: "{"))
    }

    var text: String { String(decoding: bytes + [UInt8(ascii: "}")], as: UTF8.self) }

    mutating func field(_ key: String, _ value: String) {
        begin(key)
        string(value)
    }

    /// A whole number, as a string like the others.
    mutating func field(_ key: String, _ value: Int64) {
        begin(key)
        bytes.append(UInt8(ascii: "\""))
        digits(of: value)
        bytes.append(UInt8(ascii: "\""))
    }

    mutating func object(_ key: String, _ fields: [(key: String, value: String)]) {
        begin(key)
        bytes.append(UInt8(ascii: "{"))
        for field in fields { self.field(field.key, field.value) }
        bytes.append(UInt8(ascii: "}"))
    }

    private mutating func begin(_ key: String) {
        if bytes.last != UInt8(ascii: "{") { bytes.append(UInt8(ascii: ",")) }
        string(key)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func digits(of value: Int64) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        var unit: UInt64 = 1
        while value.magnitude / unit > 9 { unit *= 10 }
        while unit > 0 {
            bytes.append(UInt8(value.magnitude / unit % 10) + UInt8(ascii: "0"))
            unit /= 10
        }
    }

    private mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { text in
            // Nearly all text goes as it is, in one piece.
            var start = text.startIndex
            while let place = text[start...].firstIndex(where: Self.needsEscape) {
                bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<place]))
                escape(text[place])
                start = place + 1
            }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start...]))
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
        case UInt8(ascii: "\n"): bytes.append(UInt8(ascii: "n"))
        default:
            bytes += "u00".utf8
            bytes.append(Self.digits[Int(byte >> 4)])
            bytes.append(Self.digits[Int(byte & 0xF)])
        }
    }

    private static let digits = Array("0123456789abcdef".utf8)
}
