import Foundation

/// Bytes in the character set that an e-mail names, as text. What cannot be decoded becomes U+FFFD: a
/// letter with a few wrong characters is still worth finding.
enum Charset {
    static func text(of bytes: [UInt8], charset: String) -> String {
        let name = charset.lowercased().trimmed("\"'")
        if let text = String(validating: bytes, as: UTF8.self), isASCIILike(name) || name == "utf-8"
        {
            return text
        }
        if ["iso-8859-1", "latin1", "windows-1252", "cp1252", "us-ascii", ""].contains(name) {
            return windows1252(bytes)
        }
        return converted(bytes, from: name) ?? String(decoding: bytes, as: UTF8.self)
    }

    private static func isASCIILike(_ name: String) -> Bool { name.isEmpty || name == "us-ascii" }

    /// What ISO 8859-1 is in practice.
    private static func windows1252(_ bytes: [UInt8]) -> String {
        String(
            bytes.map { byte in
                (0x80..<0xA0).contains(byte) ? upper[Int(byte) - 0x80] : Unicode.Scalar(byte)
            })
    }

    private static let upper = Array(
        ("\u{20AC}\u{FFFD}\u{201A}\u{0192}\u{201E}\u{2026}\u{2020}\u{2021}\u{02C6}\u{2030}\u{0160}"
            + "\u{2039}\u{0152}\u{FFFD}\u{017D}\u{FFFD}\u{FFFD}\u{2018}\u{2019}\u{201C}\u{201D}"
            + "\u{2022}\u{2013}\u{2014}\u{02DC}\u{2122}\u{0161}\u{203A}\u{0153}\u{FFFD}\u{017E}"
            + "\u{0178}").unicodeScalars)

    /// By the C library; nil for a set it does not know. A byte that makes no sense is replaced.
    private static func converted(_ bytes: [UInt8], from name: String) -> String? {
        // A name may carry orders to the converter (`//TRANSLIT`), and is sent by strangers.
        let isPlain = name.utf8.allSatisfy {
            "abcdefghijklmnopqrstuvwxyz0123456789-_".utf8.contains($0)
        }
        guard isPlain, name.utf8.count <= 40, let converter = iconv_open("UTF-8", name),
            converter != iconv_t(bitPattern: -1)
        else { return nil }
        defer { iconv_close(converter) }
        var input = bytes.map { CChar(bitPattern: $0) }
        var output: [UInt8] = []
        input.withUnsafeMutableBufferPointer { input in
            var next = input.baseAddress
            var left = input.count
            var piece = [CChar](repeating: 0, count: 8192)
            while left > 0 {
                var room = piece.count
                let before = left
                _ = piece.withUnsafeMutableBufferPointer { piece in
                    var place = piece.baseAddress
                    return iconv(converter, &next, &left, &place, &room)
                }
                output += piece.prefix(piece.count - room).map { UInt8(bitPattern: $0) }
                if left == before, room == piece.count {
                    output += "\u{FFFD}".utf8
                    next = next?.advanced(by: 1)
                    left -= 1
                }
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
