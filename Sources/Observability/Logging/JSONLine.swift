/// Builds one JSON object on one line. Strings only, escaped so that nothing in them can end the
/// line or the string, whatever they hold.
struct JSONLine {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    var text: String { String(decoding: bytes, as: UTF8.self) + "}" }

    mutating func field(_ key: String, _ value: String) {
        begin(key)
        string(value)
    }

    mutating func object(_ key: String, _ fields: [(key: String, value: String)]) {
        begin(key)
        var inner = JSONLine()
        for field in fields { inner.field(field.key, field.value) }
        bytes += inner.bytes
        bytes.append(UInt8(ascii: "}"))
    }

    private mutating func begin(_ key: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        string(key)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case UInt8(ascii: "\n"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case 0..<0x20, 0x7F:
                bytes += Array("\\u00".utf8)
                bytes += [Self.digits[Int(byte >> 4)], Self.digits[Int(byte & 0xF)]]
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static let digits = Array("0123456789abcdef".utf8)
}
