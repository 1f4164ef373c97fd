import OrderedJSON

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
        JSONText.quote(value, to: &bytes)
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
        JSONText.quote(key, to: &bytes)
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
}
