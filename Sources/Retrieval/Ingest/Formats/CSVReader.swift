import Core

/// The rows of a CSV file (RFC 4180, and as spreadsheets write it: with semicolons or tabs too).
enum CSVReader {
    static func read(_ text: String, _ budget: ReadingBudget) throws -> ExtractedText {
        var builder = TextBuilder(budget)
        var rows = TableRows()
        var fields: [String] = []
        var field: [UInt8] = []
        var isQuoted = false
        let bytes = Array(text.utf8)
        let separator = self.separator(of: bytes)
        var place = 0
        func finishField() {
            // What is past the widest row is counted but not kept.
            if fields.count < TableRows.cellsMax {
                fields.append(String(decoding: field, as: UTF8.self))
            }
            field = []
        }
        func finishRow() throws {
            finishField()
            try rows.write(fields, to: &builder)
            fields = []
        }
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            if isQuoted {
                guard byte == quote else {
                    field.append(byte)
                    continue
                }
                if place < bytes.count, bytes[place] == quote {
                    field.append(quote)
                    place += 1
                } else {
                    isQuoted = false
                }
            } else if byte == quote, field.isEmpty {
                isQuoted = true
            } else if byte == separator {
                finishField()
            } else if byte == 0x0A || byte == 0x0D {
                if !fields.isEmpty || !field.isEmpty { try finishRow() }
            } else {
                field.append(byte)
            }
        }
        if !fields.isEmpty || !field.isEmpty { try finishRow() }
        return builder.finish()
    }

    private static let quote = UInt8(ascii: "\"")

    /// What stands most often in the first line, outside quotes.
    private static func separator(of bytes: [UInt8]) -> UInt8 {
        let candidates = [",", ";", "\t"].map { UInt8(ascii: $0) }
        var counts: [UInt8: Int] = [:]
        var isQuoted = false
        for byte in bytes.prefix(10_000) {
            if byte == quote { isQuoted.toggle() }
            if byte == 0x0A, !isQuoted { break }
            if !isQuoted { counts[byte, default: 0] += 1 }
        }
        return candidates.max { counts[$0, default: 0] < counts[$1, default: 0] } ?? candidates[0]
    }
}
