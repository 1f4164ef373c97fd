import Core

/// Bytes of a text file as text: UTF-8, or UTF-16 where a byte order mark says so.
enum TextDecoding {
    /// Throws `unsupported` for bytes that are not text, with what to do about it.
    static func text(of bytes: [UInt8], name: String) throws -> String {
        if bytes.starts(with: [0xFF, 0xFE]) { return try utf16(bytes, name, isLittleEndian: true) }
        if bytes.starts(with: [0xFE, 0xFF]) {
            return try utf16(bytes, name, isLittleEndian: false)
        }
        let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
        let content = hasMark ? bytes[3...] : bytes[...]
        // A few stray NULs are stripped later; more of them is a program, an image or a database.
        let sample = content.prefix(Self.sampleBytes)
        let controls = sample.count { $0 < 9 || (14..<27).contains($0) }
        guard controls * 50 <= sample.count else { throw notText(name) }
        guard let text = String(validating: content, as: UTF8.self) else {
            throw Failure(
                .unsupported,
                "“\(name)” is not UTF-8 text. Save it as UTF-8 and upload it again.")
        }
        return text
    }

    private static let sampleBytes = 65536

    private static func utf16(
        _ bytes: [UInt8], _ name: String, isLittleEndian: Bool
    ) throws -> String {
        guard bytes.count.isMultiple(of: 2) else { throw notText(name) }
        let units = stride(from: 2, to: bytes.count, by: 2).map { place in
            let (first, second) = (UInt16(bytes[place]), UInt16(bytes[place + 1]))
            return isLittleEndian ? second << 8 | first : first << 8 | second
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw notText(name) }
        return text
    }

    private static func notText(_ name: String) -> Failure {
        Failure(
            .unsupported,
            "“\(name)” does not hold text. \(DocumentFormat.offer)")
    }
}
