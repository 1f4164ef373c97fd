/// Where a span stands, as W3C Trace Context (Level 1) writes it in two headers.
struct TraceParent: Hashable, Sendable {
    let traceID: TraceID
    let spanID: UInt64
    let isSampled: Bool
    /// What other vendors put beside it, passed on unchanged; "" for nothing.
    var state = ""

    init(traceID: TraceID, spanID: UInt64, isSampled: Bool, state: String = "") {
        self.traceID = traceID
        self.spanID = spanID
        self.isSampled = isSampled
        self.state = state
    }

    /// The header `traceparent`. Nil for anything that the specification tells to ignore: upper
    /// case, zeros, version ff, a version 00 of another length. A later version is read as far as
    /// version 00 goes.
    init?(_ header: String) {
        let bytes = Array(header.utf8.prefix(Self.headerBytesMax + 1))
        guard bytes.count >= 55, bytes.count <= Self.headerBytesMax,
            [2, 35, 52].allSatisfy({ bytes[$0] == UInt8(ascii: "-") }),
            let version = hexadecimal(bytes[0..<2]), version != 0xFF,
            version == 0 ? bytes.count == 55 : bytes.count == 55 || bytes[55] == UInt8(ascii: "-"),
            let high = hexadecimal(bytes[3..<19]), let low = hexadecimal(bytes[19..<35]),
            let span = hexadecimal(bytes[36..<52]), let flags = hexadecimal(bytes[53..<55]),
            high | low != 0, span != 0
        else { return nil }
        self.init(
            traceID: TraceID(high: high, low: low), spanID: span, isSampled: flags & 1 == 1)
    }

    var header: String {
        String(unsafeUninitializedCapacity: 55) { text in
            text.initialize(repeating: UInt8(ascii: "-"))
            text[0] = UInt8(ascii: "0")
            text[1] = UInt8(ascii: "0")
            writeHexadecimal(traceID.high, to: text, at: 3)
            writeHexadecimal(traceID.low, to: text, at: 19)
            writeHexadecimal(spanID, to: text, at: 36)
            text[53] = UInt8(ascii: "0")
            text[54] = UInt8(ascii: isSampled ? "1" : "0")
            return 55
        }
    }

    /// Appends a span's id.
    static func write(_ spanID: UInt64, to bytes: inout [UInt8]) {
        for place in 0..<16 { bytes.append(digit(of: spanID, at: place)) }
    }

    static func text(_ spanID: UInt64) -> String {
        String(unsafeUninitializedCapacity: 16) { writeHexadecimal(spanID, to: $0, at: 0) }
    }

    /// The header `tracestate` if it follows the grammar, else "", which is what a list that cannot
    /// be read becomes.
    static func state(_ header: String) -> String {
        guard header.utf8.count <= stateBytesMax else { return "" }
        var keys: Set<Substring> = []
        let members = header.split(separator: ",", omittingEmptySubsequences: false)
        guard members.count <= stateMembersMax else { return "" }
        for member in members {
            let trimmed = member.drop { $0 == " " || $0 == "\t" }
            if trimmed.allSatisfy({ $0 == " " || $0 == "\t" }) { continue }
            guard let equals = trimmed.firstIndex(of: "="),
                isStateKey(trimmed[..<equals].utf8),
                isStateValue(trimmed[trimmed.index(after: equals)...].utf8),
                keys.insert(trimmed[..<equals]).inserted
            else { return "" }
        }
        return keys.isEmpty ? "" : header
    }

    private static func isStateKey(_ key: Substring.UTF8View) -> Bool {
        guard let first = key.first, key.count <= 256, isLower(first) || isDigit(first) else {
            return false
        }
        return key.allSatisfy { isLower($0) || isDigit($0) || "_-*/@".utf8.contains($0) }
    }

    private static func isStateValue(_ value: Substring.UTF8View) -> Bool {
        // The white space after a member is not its value's.
        guard let last = value.lastIndex(where: { $0 != 32 && $0 != 9 }) else { return false }
        let value = value[...last]
        return value.count <= 256
            && value.allSatisfy { (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "=") }
    }

    private static func isLower(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    // The specification asks for 512 at least; a header of kilobytes is not worth carrying on.
    private static let stateBytesMax = 2048
    private static let stateMembersMax = 32
    private static let headerBytesMax = 256
}

/// The 128 bits that the spans of one trace share.
struct TraceID: Hashable, Sendable, CustomStringConvertible {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Takes text from outside. Nil unless it is 32 lower-case hexadecimal digits, not all zero.
    init?(_ text: String) {
        let bytes = Array(text.utf8.prefix(33))
        guard bytes.count == 32, let high = hexadecimal(bytes[..<16]),
            let low = hexadecimal(bytes[16...]), high | low != 0
        else { return nil }
        self.init(high: high, low: low)
    }

    var description: String {
        String(unsafeUninitializedCapacity: 32) { buffer in
            writeHexadecimal(high, to: buffer, at: 0) + writeHexadecimal(low, to: buffer, at: 16)
        }
    }
}

/// The number that at most sixteen lower-case digits stand for; nil for any other byte.
private func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for byte in digits {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte - 48)
        case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(byte - 87)
        default: return nil
        }
    }
    return value
}

@discardableResult
private func writeHexadecimal(
    _ value: UInt64, to buffer: UnsafeMutableBufferPointer<UInt8>, at start: Int
) -> Int {
    for place in 0..<16 {
        buffer[start + place] = digit(of: value, at: place)
    }
    return 16
}

private func digit(of value: UInt64, at place: Int) -> UInt8 {
    let digit = UInt8(truncatingIfNeeded: value >> (60 - 4 * UInt64(place)) & 0xF)
    return digit < 10 ? digit + 48 : digit + 87
}
