/// Percent-encoded text in request targets and headers (RFC 3986).
enum PercentEncoding {
    /// Everything but letters, digits and `-._~` is escaped; characters that do not fit are left out
    /// at the end.
    static func encode(_ text: String, bytesMax: Int) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for character in text {
            var piece: [UInt8] = []
            for byte in character.utf8 {
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "."),
                    UInt8(ascii: "_"), UInt8(ascii: "~"):
                    piece.append(byte)
                default:
                    piece += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
                }
            }
            guard result.count + piece.count <= bytesMax else { break }
            result += piece
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Nil where an escape is broken, or what comes out is not UTF-8 or has a NUL.
    static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var iterator = text.utf8.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(digit),
                    let low = iterator.next().flatMap(digit)
                else { return nil }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// The parameters after the `?` of a request.
struct QueryParameters {
    static let countMax = 64

    private var values: [String: String] = [:]

    /// Throws `invalid` for broken escapes and for more parameters than any request has.
    init(_ query: String?) throws {
        let pairs = (query ?? "").split(separator: "&")
        guard pairs.count <= Self.countMax else {
            throw Refusal.invalid("There are more than \(Self.countMax) query parameters.")
        }
        for pair in pairs {
            let end = pair.firstIndex(of: "=") ?? pair.endIndex
            let value = pair[end...].dropFirst()
            guard let name = PercentEncoding.decode(pair[..<end], plusIsSpace: true),
                let value = PercentEncoding.decode(value, plusIsSpace: true)
            else { throw Refusal.invalid("The query has a broken percent-encoding.") }
            values[name] = value
        }
    }

    subscript(name: String) -> String? { values[name] }
}
