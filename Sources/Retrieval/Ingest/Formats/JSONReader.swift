import Core

/// JSON as lines that can be found: `address.city: Bergen`. Objects near the top become sections;
/// entries of a list stand a blank line apart, so that passages hold whole ones.
struct JSONReader {
    private static let headingLevelMax = 4

    private var builder: TextBuilder
    private var lines: [String] = []

    /// Throws `invalid` for what is not JSON, with the place.
    static func read(_ bytes: [UInt8], _ budget: ReadingBudget) throws -> ExtractedText {
        var reader = JSONReader(builder: TextBuilder(budget))
        try reader.section(try JSONValue(parsing: bytes), level: 1)
        try reader.finishLines()
        return reader.builder.finish()
    }

    /// One value a line. Throws `invalid` with the number of the line that is none.
    static func readLines(_ bytes: [UInt8], _ budget: ReadingBudget) throws -> ExtractedText {
        var reader = JSONReader(builder: TextBuilder(budget))
        for (place, line) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
            .enumerated() where line.contains(where: { $0 > 0x20 })
        {
            if place.isMultiple(of: 1024) { try budget.checkTime() }
            do {
                try reader.entry(try JSONValue(parsing: Array(line)))
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
                    add(member.value, at: member.key)
                }
            }
            try finishLines()
            for member in nested {
                try builder.heading(member.key, level: level)
                try section(member.value, level: level + 1)
            }
        case .array(let entries): for entry in entries { try self.entry(entry) }
        default: add(value, at: "")
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
        add(value, at: "")
        try finishLines()
    }

    private mutating func finishLines() throws {
        if !lines.isEmpty { try builder.code(lines.joined(separator: "\n")) }
        lines = []
    }

    private mutating func add(_ value: JSONValue, at path: String) {
        switch value {
        case .object(let members):
            for member in members {
                add(member.value, at: path.isEmpty ? member.key : "\(path).\(member.key)")
            }
        case .array(let entries):
            for (place, entry) in entries.enumerated() { add(entry, at: "\(path)[\(place)]") }
        case .string(let text): add(text, path)
        case .number(let text): add(text, path)
        case .bool(let isTrue): add(isTrue ? "true" : "false", path)
        case .null: break
        }
    }

    private mutating func add(_ text: String, _ path: String) {
        if !text.isEmpty { lines.append(path.isEmpty ? text : "\(path): \(text)") }
    }
}
