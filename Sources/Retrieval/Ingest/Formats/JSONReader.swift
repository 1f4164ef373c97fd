import Core
import OrderedJSON

/// JSON as lines that can be found: `address.city: Bergen`. Objects near the top become sections;
/// entries of a list stand a blank line apart, so that passages hold whole ones.
struct JSONReader {
    private static let headingLevelMax = 4

    private var builder: TextBuilder
    private var lines: [String] = []
    /// Bytes of `lines`.
    private var waiting = 0

    /// Throws `invalid` for what is not JSON, with the place.
    static func read(_ bytes: [UInt8], _ budget: ReadingBudget) throws -> ExtractedText {
        var reader = JSONReader(builder: TextBuilder(budget))
        try reader.section(try value(of: bytes), level: 1)
        try reader.finishLines()
        return reader.builder.finish()
    }

    private static func value(of bytes: [UInt8]) throws -> JSONValue {
        do { return try JSONValue(parsing: bytes) } catch { throw Failure(error) }
    }

    /// One value a line. Throws `invalid` with the number of the line that is none.
    static func readLines(_ bytes: [UInt8], _ budget: ReadingBudget) throws -> ExtractedText {
        var reader = JSONReader(builder: TextBuilder(budget))
        for (place, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            .enumerated() where line.contains(where: { $0 > 0x20 })
        {
            if place.isMultiple(of: 1024) { try budget.checkTime() }
            do {
                try reader.entry(try value(of: Array(line)))
            } catch let failure as Failure where failure.code == .invalid {
                throw Failure(.invalid, "Line \(place + 1): \(failure.message)")
            }
        }
        return reader.builder.finish()
    }

    private init(builder: TextBuilder) { self.builder = builder }

    private mutating func section(_ value: JSONValue, level: Int) throws {
        switch value {
        case .object(let members):
            var nested: [JSONValue.Member] = []
            for member in members {
                if level <= Self.headingLevelMax, Self.isSection(member.value) {
                    nested.append(member)
                } else {
                    try add(member.value, at: member.key)
                }
            }
            try finishLines()
            for member in nested {
                try builder.heading(member.key, level: level)
                try section(member.value, level: level + 1)
            }
        case .array(let entries): for entry in entries { try self.entry(entry) }
        default: try add(value, at: "")
        }
        try finishLines()
    }

    /// An object or a list of objects: more than a line says.
    private static func isSection(_ value: JSONValue) -> Bool {
        switch value {
        case .object(let members): !members.isEmpty
        case .array(let entries):
            entries.contains { if case .object = $0 { true } else { false } }
        default: false
        }
    }

    private mutating func entry(_ value: JSONValue) throws {
        try add(value, at: "")
        try finishLines()
    }

    private mutating func finishLines() throws {
        if !lines.isEmpty { try builder.code(lines.joined(separator: "\n")) }
        (lines, waiting) = ([], 0)
    }

    private mutating func add(_ value: JSONValue, at path: String) throws {
        switch value {
        case .object(let members):
            for member in members {
                let key = member.key.prefix(Self.keyCharactersMax)
                let below = path.isEmpty ? String(key) : "\(path).\(key)"
                // What is nested for ever has no use for all of its path.
                try add(member.value, at: String(below.suffix(Self.pathCharactersMax)))
            }
        case .array(let entries):
            for (place, entry) in entries.enumerated() { try add(entry, at: "\(path)[\(place)]") }
        case .string(let text): try add(text, path)
        case .number(let text): try add(text, path)
        case .bool(let isTrue): try add(isTrue ? "true" : "false", path)
        case .null: break
        }
    }

    private mutating func add(_ text: String, _ path: String) throws {
        guard !text.isEmpty else { return }
        let line = path.isEmpty ? text : "\(path): \(text)"
        // A path stands before each of its values, so lines can be far longer than the file.
        try builder.check(waiting + line.utf8.count)
        waiting += line.utf8.count
        lines.append(line)
    }

    private static let keyCharactersMax = 200
    private static let pathCharactersMax = 1000
}
