/// Cuts a template into what Jinja calls tokens, the way transformers sets Jinja up: `trim_blocks`
/// and `lstrip_blocks` on, no line statements, one newline at the end dropped.
/// https://jinja.palletsprojects.com/en/stable/templates/#whitespace-control
struct TemplateLexer {
    enum Token: Equatable {
        case text(String)
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String)
        case string(String)
        case integer(Int)
        case float(Double)
        case symbol(String)
    }

    private(set) var tokens: [(token: Token, line: Int)] = []
    private let bytes: [UInt8]
    private var place = 0
    private var line = 1
    /// Whether the text to come begins a line, as far as `lstrip_blocks` is concerned.
    private var isLineStart = true
    /// Whether a `-` before asks for the text to come to lose its white space.
    private var stripsNext = false

    static func tokens(of source: String, _ limits: TemplateLimits) throws(TemplateError)
        -> [(token: Token, line: Int)]
    {
        guard source.utf8.count <= limits.sourceBytesMax else {
            throw TemplateError(
                .limit, "it has \(source.utf8.count) bytes; \(limits.sourceBytesMax) are allowed")
        }
        var lexer = TemplateLexer(source)
        try lexer.run()
        return lexer.tokens
    }

    private init(_ source: String) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.utf8.count)
        var isAfterReturn = false
        for byte in source.utf8 {
            let isReturn = byte == UInt8(ascii: "\r")
            if isReturn {
                bytes.append(UInt8(ascii: "\n"))
            } else if !(byte == UInt8(ascii: "\n") && isAfterReturn) {
                bytes.append(byte)
            }
            isAfterReturn = isReturn
        }
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        self.bytes = bytes
    }

    private mutating func run() throws(TemplateError) {
        while place < bytes.count {
            let start = place
            var end = place
            while end < bytes.count, opening(at: end) == nil { end += 1 }
            guard let kind = opening(at: end) else {
                emitText(start..<bytes.count, before: nil, sign: nil)
                place = bytes.count
                return
            }
            let sign = end + 2 < bytes.count ? bytes[end + 2] : 0
            let isSigned = sign == UInt8(ascii: "-") || (sign == UInt8(ascii: "+"))
            emitText(start..<end, before: kind, sign: isSigned ? sign : nil)
            place = end + 2 + (isSigned ? 1 : 0)
            switch kind {
            case UInt8(ascii: "#"): try skipComment()
            case UInt8(ascii: "%"): try block()
            default: try inside(end: UInt8(ascii: "}"), begin: .variableBegin, .variableEnd)
            }
        }
    }

    /// The second byte of `{{`, `{%` or `{#`.
    private func opening(at place: Int) -> UInt8? {
        guard place + 1 < bytes.count, bytes[place] == UInt8(ascii: "{") else { return nil }
        let second = bytes[place + 1]
        return second == UInt8(ascii: "{") || second == UInt8(ascii: "%")
            || second == UInt8(ascii: "#") ? second : nil
    }

    private mutating func emitText(_ range: Range<Int>, before kind: UInt8?, sign: UInt8?) {
        var range = range
        let startLine = line
        line += bytes[range].count { $0 == UInt8(ascii: "\n") }
        if stripsNext {
            while let first = bytes[range].first, Self.isSpace(first) {
                if first == UInt8(ascii: "\n") { isLineStart = true }
                range = range.lowerBound + 1..<range.upperBound
            }
            stripsNext = false
        }
        if sign == UInt8(ascii: "-") {
            while let last = bytes[range].last, Self.isSpace(last) {
                range = range.lowerBound..<range.upperBound - 1
            }
        } else if let kind, kind != UInt8(ascii: "{"), sign != UInt8(ascii: "+") {
            let lineStart =
                bytes[range].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? range.lowerBound
            if lineStart > range.lowerBound || isLineStart,
                bytes[lineStart..<range.upperBound].allSatisfy(Self.isSpace)
            {
                range = range.lowerBound..<lineStart
            }
        }
        if !range.isEmpty {
            tokens.append((.text(String(decoding: bytes[range], as: UTF8.self)), startLine))
        }
    }

    private mutating func skipComment() throws(TemplateError) {
        let start = line
        let body = place
        while place < bytes.count {
            if bytes[place] == UInt8(ascii: "#"), place + 1 < bytes.count,
                bytes[place + 1] == UInt8(ascii: "}")
            {
                let sign = place > body ? bytes[place - 1] : 0
                place += 2
                end(sign: sign, isVariable: false)
                return
            }
            if bytes[place] == UInt8(ascii: "\n") { line += 1 }
            place += 1
        }
        throw TemplateError(.syntax, "a comment has no end", line: start)
    }

    /// After an end mark: what the sign before it and `trim_blocks` do to the text that follows.
    private mutating func end(sign: UInt8, isVariable: Bool) {
        isLineStart = false
        if sign == UInt8(ascii: "-") {
            stripsNext = true
        } else if !isVariable, sign != UInt8(ascii: "+"), place < bytes.count,
            bytes[place] == UInt8(ascii: "\n")
        {
            place += 1
            line += 1
            isLineStart = true
        }
    }

    private mutating func block() throws(TemplateError) {
        let start = place
        guard skipSpaceAndName("raw"), let end = blockEnd(at: place) else {
            place = start
            return try inside(end: UInt8(ascii: "%"), begin: .blockBegin, .blockEnd)
        }
        // `trim_blocks` is not for the beginning of a raw block.
        self.end(sign: bytes[place], isVariable: true, at: end)
        let body = place
        let bodyLine = line
        while place < bytes.count {
            if opening(at: place) == UInt8(ascii: "%") {
                let mark = place
                place += 2
                let sign = place < bytes.count ? bytes[place] : 0
                let isSigned = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
                if isSigned { place += 1 }
                if skipSpaceAndName("endraw"), let end = blockEnd(at: place) {
                    line = bodyLine
                    emitText(
                        body..<mark, before: UInt8(ascii: "%"), sign: isSigned ? sign : nil)
                    self.end(sign: bytes[place], isVariable: false, at: end)
                    return
                }
                place = mark
            }
            place += 1
        }
        throw TemplateError(.syntax, "{% raw %} has no end", line: bodyLine)
    }

    private mutating func end(sign: UInt8, isVariable: Bool, at next: Int) {
        place = next
        end(sign: sign, isVariable: isVariable)
    }

    private mutating func skipSpaceAndName(_ name: String) -> Bool {
        while place < bytes.count, Self.isSpace(bytes[place]) { place += 1 }
        guard bytes[place...].starts(with: name.utf8) else { return false }
        place += name.utf8.count
        while place < bytes.count, Self.isSpace(bytes[place]) { place += 1 }
        return true
    }

    /// The place after `%}`, `-%}` or `+%}`.
    private func blockEnd(at place: Int) -> Int? {
        for mark in ["%}", "-%}", "+%}"] where bytes[place...].starts(with: mark.utf8) {
            return place + mark.utf8.count
        }
        return nil
    }

    /// The tokens between two marks.
    private mutating func inside(end mark: UInt8, begin: Token, _ close: Token)
        throws(TemplateError)
    {
        let start = line
        tokens.append((begin, line))
        var brackets: [UInt8] = []
        while place < bytes.count {
            let byte = bytes[place]
            if Self.isSpace(byte) {
                if byte == UInt8(ascii: "\n") { line += 1 }
                place += 1
                continue
            }
            if brackets.isEmpty, let (sign, next) = closing(mark) {
                tokens.append((close, line))
                place = next
                end(sign: sign, isVariable: mark == UInt8(ascii: "}"))
                return
            }
            try token(&brackets)
        }
        throw TemplateError(.syntax, "a tag has no end", line: start)
    }

    private func closing(_ mark: UInt8) -> (sign: UInt8, next: Int)? {
        let sign = bytes[place]
        let isSigned =
            sign == UInt8(ascii: "-") || (sign == UInt8(ascii: "+") && mark == UInt8(ascii: "%"))
        let start = isSigned ? place + 1 : place
        guard start + 1 < bytes.count, bytes[start] == mark,
            bytes[start + 1] == UInt8(ascii: "}")
        else { return nil }
        return (isSigned ? sign : 0, start + 2)
    }

    private mutating func token(_ brackets: inout [UInt8]) throws(TemplateError) {
        let byte = bytes[place]
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "_"):
            let start = place
            while place < bytes.count, Self.isNamePart(bytes[place]) { place += 1 }
            tokens.append((.name(String(decoding: bytes[start..<place], as: UTF8.self)), line))
        case UInt8(ascii: "0")...UInt8(ascii: "9"): try number()
        case UInt8(ascii: "'"), UInt8(ascii: "\""): try string(quote: byte)
        default: try symbol(&brackets)
        }
    }

    private static let symbols = [
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "(", ")", "[", "]", "{",
        "}", ">", "<", "=", ".", ":", "|", ",", ";",
    ]

    private mutating func symbol(_ brackets: inout [UInt8]) throws(TemplateError) {
        for symbol in Self.symbols where bytes[place...].starts(with: symbol.utf8) {
            let byte = bytes[place]
            switch symbol {
            case "(", "[", "{": brackets.append(byte)
            case ")", "]", "}":
                let partner: UInt8 =
                    byte == UInt8(ascii: ")")
                    ? UInt8(ascii: "(")
                    : byte == UInt8(ascii: "]") ? UInt8(ascii: "[") : UInt8(ascii: "{")
                guard brackets.popLast() == partner else {
                    throw TemplateError(.syntax, "an unexpected \(symbol)", line: line)
                }
            default: break
            }
            tokens.append((.symbol(symbol), line))
            place += symbol.utf8.count
            return
        }
        let rest = String(decoding: bytes[place..<min(place + 4, bytes.count)], as: UTF8.self)
        throw TemplateError(
            .syntax, "an unexpected character: \(String(rest.prefix(1)).debugDescription)",
            line: line)
    }

    private mutating func number() throws(TemplateError) {
        let start = place
        var radix = 10
        if bytes[place] == UInt8(ascii: "0"), place + 1 < bytes.count {
            switch bytes[place + 1] | 0x20 {
            case UInt8(ascii: "x"): radix = 16
            case UInt8(ascii: "o"): radix = 8
            case UInt8(ascii: "b"): radix = 2
            default: break
            }
        }
        var isFloat = false
        if radix != 10 { place += 2 }
        let digits = place
        scan: while place < bytes.count {
            switch bytes[place] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): place += 1
            case UInt8(ascii: ".")
            where radix == 10 && !isFloat && isDigit(at: place + 1):
                isFloat = true
                place += 1
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard radix == 10 else {
                    place += 1
                    continue scan
                }
                let sign = place + 1 < bytes.count ? bytes[place + 1] : 0
                let skips = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") ? 2 : 1
                guard isDigit(at: place + skips) else { break scan }
                isFloat = true
                place += skips
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"):
                guard radix == 16 else { break scan }
                place += 1
            default: break scan
            }
        }
        let text = String(decoding: bytes[digits..<place], as: UTF8.self).replacing("_", with: "")
        if isFloat, let value = Double(text) {
            tokens.append((.float(value), line))
        } else if let value = Int(text, radix: radix) {
            tokens.append((.integer(value), line))
        } else {
            let shown = String(decoding: bytes[start..<min(place, start + 24)], as: UTF8.self)
            throw TemplateError(.syntax, "the number \(shown) cannot be read", line: line)
        }
    }

    private func isDigit(at place: Int) -> Bool {
        place < bytes.count
            && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[place])
    }

    private mutating func string(quote: UInt8) throws(TemplateError) {
        let start = line
        place += 1
        var result: [UInt8] = []
        while place < bytes.count {
            let byte = bytes[place]
            place += 1
            if byte == quote {
                tokens.append((.string(String(decoding: result, as: UTF8.self)), start))
                return
            }
            if byte == UInt8(ascii: "\n") { line += 1 }
            if byte == UInt8(ascii: "\\"), place < bytes.count {
                try escape(&result)
            } else {
                result.append(byte)
            }
        }
        throw TemplateError(.syntax, "a text has no closing quote", line: start)
    }

    /// Python's escapes, of which the backslash is read.
    private mutating func escape(_ result: inout [UInt8]) throws(TemplateError) {
        let byte = bytes[place]
        place += 1
        switch byte {
        case UInt8(ascii: "\n"): line += 1
        case UInt8(ascii: "n"): result.append(10)
        case UInt8(ascii: "t"): result.append(9)
        case UInt8(ascii: "r"): result.append(13)
        case UInt8(ascii: "b"): result.append(8)
        case UInt8(ascii: "f"): result.append(12)
        case UInt8(ascii: "v"): result.append(11)
        case UInt8(ascii: "a"): result.append(7)
        case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): result.append(byte)
        case UInt8(ascii: "0")...UInt8(ascii: "7"):
            var end = place
            while end < min(bytes.count, place + 2),
                (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(bytes[end])
            {
                end += 1
            }
            try scalar(place - 1..<end, radix: 8, &result)
        case UInt8(ascii: "x"): try scalar(place..<place + 2, radix: 16, &result)
        case UInt8(ascii: "u"): try scalar(place..<place + 4, radix: 16, &result)
        case UInt8(ascii: "U"): try scalar(place..<place + 8, radix: 16, &result)
        case UInt8(ascii: "N"):
            throw TemplateError(
                .unsupported, "the escape \\N in a text is not supported", line: line)
        default:
            result.append(UInt8(ascii: "\\"))
            result.append(byte)
        }
    }

    private mutating func scalar(_ range: Range<Int>, radix: Int, _ result: inout [UInt8])
        throws(TemplateError)
    {
        guard range.upperBound <= bytes.count,
            bytes[range].allSatisfy({ Self.isNamePart($0) }),
            let value = UInt32(String(decoding: bytes[range], as: UTF8.self), radix: radix),
            let scalar = Unicode.Scalar(value)
        else { throw TemplateError(.syntax, "an escape in a text cannot be read", line: line) }
        result.append(contentsOf: String(scalar).utf8)
        place = range.upperBound
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
}
