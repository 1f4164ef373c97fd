extension GrammarBuilder {
    private static let indentMax = 32
    // Whole numbers stay within 64 bits, fractions within what a double tells apart.
    private static let digitsMax = 18
    private static let fractionDigitsMax = 17

    /// Nothing or one space.
    mutating func blank(_ next: Int32) throws -> Int32 {
        try optional(try literal(" ".utf8, next), next)
    }

    /// Nothing, one space, or a line break and indentation: a small model that may write more of it
    /// can go on with that for ever.
    mutating func space(_ next: Int32) throws -> Int32 {
        let indent = try rule("indent") { try $0.byte([0x20...0x20, 0x09...0x09], $0.end) }
        let line = try literal("\n".utf8, try times(indent, 0, Self.indentMax, next))
        return try either([next, try literal(" ".utf8, next), line])
    }

    /// `open`, elements with commas between them, and `close`, to the end of the rule.
    mutating func list(_ open: String, _ close: String, _ element: Int32) throws -> Int32 {
        let item = reserveRule()
        define(item, element)
        let more = reserveRule()
        define(more, try literal(",".utf8, try space(try call(item, end))))
        let closed = try literal(close.utf8, end)
        let rest = try times(more, 0, nil, try space(closed))
        return try literal(open.utf8, try either([try space(try call(item, rest)), closed]))
    }

    /// A rule: one character of a string, escaped or not. Half of a surrogate pair is none.
    mutating func textCharacter() throws -> Int32 {
        try rule("text character") { builder in
            let end = builder.end
            let hex: [ClosedRange<UInt8>] = [0x30...0x39, 0x41...0x46, 0x61...0x66]
            let one = try builder.byte(hex, end)
            let two = try builder.byte(hex, one)
            let three = try builder.byte(hex, two)
            let plain = try builder.byte(
                [0x30...0x39, 0x41...0x43, 0x45...0x46, 0x61...0x63, 0x65...0x66], three)
            let afterD = try builder.byte([0x30...0x37], two)
            let low = try builder.literal(
                "\\u".utf8,
                try builder.byte(
                    [0x44...0x44, 0x64...0x64],
                    try builder.byte([0x43...0x46, 0x63...0x66], two)))
            let high = try builder.byte(
                [0x38...0x39, 0x41...0x42, 0x61...0x62],
                try builder.byte(hex, try builder.byte(hex, low)))
            let d = try builder.byte(
                [0x44...0x44, 0x64...0x64], try builder.either([afterD, high]))
            let unicode = try builder.literal("u".utf8, try builder.either([plain, d]))
            let letter = try builder.byte(
                Array("\"\\/bfnrt".utf8).map { $0...$0 }, end)
            let escaped = try builder.literal("\\".utf8, try builder.either([letter, unicode]))
            let raw = try builder.rawScalars([0x20...0x21, 0x23...0x5B, 0x5D...0x10FFFF], end)
            return try builder.either([raw, escaped])
        }
    }

    /// Any number, of as many digits as others can read.
    mutating func anyNumber(isInteger: Bool, _ next: Int32) throws -> Int32 {
        let digit = try rule("digit") { try $0.byte([0x30...0x39], $0.end) }
        var rest = next
        if !isInteger {
            let power = try times(digit, 1, 2, next)
            let sign = try either([try byte([0x2B...0x2B, 0x2D...0x2D], power), power])
            rest = try optional(try byte([0x45...0x45, 0x65...0x65], sign), next)
            let fraction = try times(digit, 1, Self.fractionDigitsMax, rest)
            rest = try optional(try literal(".".utf8, fraction), rest)
        }
        let most = isInteger ? Self.digitsMax : 15
        let more = try byte([0x31...0x39], try times(digit, 0, most - 1, rest))
        let whole = try either([try literal("0".utf8, rest), more])
        return try optional(try literal("-".utf8, whole), whole)
    }

    /// The numbers of `range` over ten to the power of `fraction`, with that many decimals.
    mutating func digits(_ range: ClosedRange<Int>, fraction: Int, _ next: Int32) throws -> Int32 {
        var starts: [Int32] = []
        var low = 0
        var high = 0
        for length in 1...Self.digitsMax {
            (low, high) = (high + 1, high * 10 + 9)
            guard length > fraction else { continue }
            // One zero stands before the point, or for zero itself.
            if length == fraction + 1 { low = 0 }
            let (from, to) = (max(low, range.lowerBound), min(high, range.upperBound))
            guard from <= to else { continue }
            starts.append(
                try digits(
                    Self.padded(from, length)[...], Self.padded(to, length)[...],
                    point: fraction, next))
        }
        return try either(starts)
    }

    private mutating func digits(
        _ low: ArraySlice<UInt8>, _ high: ArraySlice<UInt8>, point: Int, _ next: Int32
    ) throws -> Int32 {
        guard let least = low.first, let most = high.first else { return next }
        func dotted(_ builder: inout GrammarBuilder, _ rest: Int32) throws -> Int32 {
            point > 0 && low.count - 1 == point ? try builder.literal(".".utf8, rest) : rest
        }
        func edge(_ from: UInt8, _ to: UInt8, _ rest: Int32) -> Grammar.Edge {
            Grammar.Edge(low: from, high: to, next: rest)
        }
        let (lowRest, highRest) = (low.dropFirst(), high.dropFirst())
        if least == most {
            let rest = try digits(lowRest, highRest, point: point, next)
            return try add(.bytes([edge(least, most, try dotted(&self, rest))]))
        }
        let nines = Array(repeating: UInt8(ascii: "9"), count: lowRest.count)[...]
        let zeros = Array(repeating: UInt8(ascii: "0"), count: lowRest.count)[...]
        let afterLow = try digits(lowRest, nines, point: point, next)
        var edges = [edge(least, least, try dotted(&self, afterLow))]
        if most > least + 1 {
            let free = try digits(zeros, nines, point: point, next)
            edges.append(edge(least + 1, most - 1, try dotted(&self, free)))
        }
        let afterHigh = try digits(zeros, highRest, point: point, next)
        edges.append(edge(most, most, try dotted(&self, afterHigh)))
        return try add(.bytes(edges))
    }

    private static func padded(_ number: Int, _ length: Int) -> [UInt8] {
        let digits = Array("\(number)".utf8)
        return Array(repeating: UInt8(ascii: "0"), count: max(0, length - digits.count)) + digits
    }

    // MARK: Characters

    /// One of these code points as it stands in a JSON string, escaped where it has to be.
    mutating func scalars(_ ranges: [ClosedRange<UInt32>], _ next: Int32) throws -> Int32 {
        let escapes: [UInt32: String] = [
            0x22: "\\\"", 0x5C: "\\\\", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f",
            0x0D: "\\r",
        ]
        var starts: [Int32] = []
        let special = Array(UInt32(0)...0x1F) + [0x22, 0x5C]
        for scalar in special where ranges.contains(where: { $0.contains(scalar) }) {
            let hex = String(scalar, radix: 16)
            let text = escapes[scalar] ?? "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            starts.append(try literal(text.utf8, next))
        }
        let raw = [0x20...0x21, 0x23...0x5B, 0x5D...0xD7FF, 0xE000...0x10FFFF]
            .flatMap { (allowed: ClosedRange<UInt32>) in
                ranges.filter { $0.overlaps(allowed) }.map { $0.clamped(to: allowed) }
            }
        if !raw.isEmpty { starts.append(try rawScalars(raw, next)) }
        return try either(starts)
    }

    /// One of these code points in UTF-8, unescaped.
    mutating func rawScalars(_ ranges: [ClosedRange<UInt32>], _ next: Int32) throws -> Int32 {
        var edges: [Grammar.Edge] = []
        for range in ranges {
            for sequence in UTF8Ranges.sequences(of: range) {
                var rest = next
                for bytes in sequence.dropFirst().reversed() { rest = try byte([bytes], rest) }
                edges.append(
                    Grammar.Edge(
                        low: sequence[0].lowerBound, high: sequence[0].upperBound, next: rest))
            }
        }
        return try add(.bytes(edges))
    }

    /// Characters that are not escaped and are none of these texts, up to `quote`.
    mutating func text(excluding texts: [[Unicode.Scalar]], _ quote: Int32) throws -> Int32 {
        let plain = try rule("plain character") {
            try $0.rawScalars([0x20...0x21, 0x23...0x5B, 0x5D...0x10FFFF], $0.end)
        }
        let rest = try times(plain, 0, nil, quote)
        return try text(excluding: texts, depth: 0, rest, quote)
    }

    private mutating func text(
        excluding texts: [[Unicode.Scalar]], depth: Int, _ rest: Int32, _ quote: Int32
    ) throws -> Int32 {
        let next = Dictionary(grouping: texts.filter { $0.count > depth }) { $0[depth].value }
        var starts: [Int32] = []
        if !texts.contains(where: { $0.count == depth }) { starts.append(quote) }
        var others: [ClosedRange<UInt32>] = []
        var from: UInt32 = 0x20
        for scalar in Set(next.keys).union([0x22, 0x5C]).sorted() where scalar >= from {
            if scalar > from { others.append(from...scalar - 1) }
            from = scalar + 1
        }
        if from <= 0x10FFFF { others.append(from...0x10FFFF) }
        starts.append(try rawScalars(others, rest))
        for (scalar, group) in next.sorted(by: { $0.key < $1.key })
        where scalar >= 0x20 && scalar != 0x22 && scalar != 0x5C && depth < Self.excludedMax {
            starts.append(
                try rawScalars(
                    [scalar...scalar], try text(excluding: group, depth: depth + 1, rest, quote)))
        }
        return try either(starts)
    }

    // Of longer keys the first characters are kept from, and so are all that begin like them.
    private static let excludedMax = 64
}

/// Ranges of code points as ranges of the bytes of UTF-8, the way automata need them
/// (after Russ Cox, "Regular Expression Matching in the Wild").
enum UTF8Ranges {
    /// Surrogates are left out.
    static func sequences(of range: ClosedRange<UInt32>) -> [[ClosedRange<UInt8>]] {
        var found: [[ClosedRange<UInt8>]] = []
        var open = [range]
        while let range = open.popLast() {
            let (low, high) = (range.lowerBound, range.upperBound)
            if low < 0xD800, high >= 0xD800 {
                open.append(low...0xD7FF)
                if high > 0xDFFF { open.append(0xE000...high) }
                continue
            }
            if (0xD800...0xDFFF).contains(low) {
                if high > 0xDFFF { open.append(0xE000...high) }
                continue
            }
            if let border = [0x7F, 0x7FF, 0xFFFF].first(where: { low <= $0 && $0 < high }) {
                open += [low...border, border + 1...high]
                continue
            }
            guard high > 0x7F else {
                found.append([UInt8(truncatingIfNeeded: low)...UInt8(truncatingIfNeeded: high)])
                continue
            }
            if let (left, right) = split(low, high) {
                open += [left, right]
                continue
            }
            found.append(zip(bytes(low), bytes(high)).map { $0...$1 })
        }
        return found
    }

    /// Where the last bytes do not run through all of their values, it takes two.
    private static func split(_ low: UInt32, _ high: UInt32) -> (
        ClosedRange<UInt32>, ClosedRange<UInt32>
    )? {
        for count in UInt32(1)..<4 {
            let mask = UInt32(1) << (6 * count) - 1
            guard low & ~mask != high & ~mask else { continue }
            if low & mask != 0 { return (low...low | mask, (low | mask) + 1...high) }
            if high & mask != mask { return (low...(high & ~mask) - 1, high & ~mask...high) }
        }
        return nil
    }

    private static func bytes(_ scalar: UInt32) -> [UInt8] {
        Unicode.Scalar(scalar).map { Array(String(Character($0)).utf8) } ?? []
    }
}
