/// Values as text: what `{{ }}` prints, Python's `repr`, and JSON.
extension TemplateEvaluator {
    /// Python's `str`: a text as it is, nothing of an undefined value.
    mutating func text(of value: TemplateValue) throws(TemplateError) -> TemplateText {
        switch value {
        case .text(let text): return text
        case .undefined: return TemplateText()
        default: break
        }
        try charge(value.weight)
        var result = TemplateText()
        try represent(value, into: &result)
        return result
    }

    /// Python's `repr`.
    private func represent(_ value: TemplateValue, into result: inout TemplateText)
        throws(TemplateError)
    {
        func own(_ text: String) { result.append(Array(text.utf8), isTrusted: true) }
        func sequence(_ items: [TemplateValue]) throws(TemplateError) {
            for (place, item) in items.enumerated() {
                if place > 0 { own(", ") }
                try represent(item, into: &result)
            }
        }
        switch value {
        case .undefined: own("Undefined")
        case .none: own("None")
        case .boolean(let claim): own(claim ? "True" : "False")
        case .integer(let number): own(String(number))
        case .float(let number): own(Self.text(of: number))
        case .text(let text): Self.quote(text, into: &result)
        case .list(let list):
            own("[")
            try sequence(list.items)
            own("]")
        case .tuple(let list):
            own("(")
            try sequence(list.items)
            own(list.items.count == 1 ? ",)" : ")")
        case .map(let map):
            own("{")
            for (place, entry) in map.entries.enumerated() {
                if place > 0 { own(", ") }
                try represent(entry.key, into: &result)
                own(": ")
                try represent(entry.value, into: &result)
            }
            own("}")
        case .function, .macro, .namespace, .loop:
            throw TemplateError(.unsupported, "\(value.kind) cannot be printed")
        }
        try check(bytes: result.count)
    }

    static func text(of number: Double) -> String {
        if number.isNaN { return "nan" }
        if number.isInfinite { return number < 0 ? "-inf" : "inf" }
        return number.description
    }

    private static func quote(_ text: TemplateText, into result: inout TemplateText) {
        let single = UInt8(ascii: "'")
        let double = UInt8(ascii: "\"")
        let quote = text.bytes.contains(single) && !text.bytes.contains(double) ? double : single
        result.append([quote], isTrusted: true)
        text.forEachRun(in: 0..<text.count) { range, isTrusted in
            var escaped: [UInt8] = []
            for byte in text.bytes[range] {
                switch byte {
                case quote, UInt8(ascii: "\\"): escaped += [UInt8(ascii: "\\"), byte]
                case 10: escaped += Array("\\n".utf8)
                case 13: escaped += Array("\\r".utf8)
                case 9: escaped += Array("\\t".utf8)
                case 0..<32, 127: escaped += Array("\\x\(hexadecimal(byte))".utf8)
                default: escaped.append(byte)
                }
            }
            result.append(escaped, isTrusted: isTrusted)
        }
        result.append([quote], isTrusted: true)
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let text = String(byte, radix: 16)
        return text.count < 2 ? "0" + text : text
    }

    struct JSONStyle {
        var indent: Int?
        var itemSeparator = ", "
        var keySeparator = ": "
        var sortsKeys = false
        var isASCII = false
    }

    /// Python's `json.dumps`, as transformers calls it.
    mutating func json(_ value: TemplateValue, _ style: JSONStyle) throws(TemplateError)
        -> TemplateText
    {
        try charge(value.weight)
        var result = TemplateText()
        try writeJSON(value, style, level: 0, into: &result)
        try charge(result.count / TemplateLimits.bytesPerStep)
        return result
    }

    private func writeJSON(
        _ value: TemplateValue, _ style: JSONStyle, level: Int, into result: inout TemplateText
    ) throws(TemplateError) {
        func own(_ text: String) { result.append(text.utf8, isTrusted: true) }
        func newline(_ level: Int) {
            if let indent = style.indent {
                own("\n" + String(repeating: " ", count: indent * level))
            }
        }
        switch value {
        case .none: own("null")
        case .boolean(let claim): own(claim ? "true" : "false")
        case .integer(let number): own(String(number))
        case .float(let number): own(Self.json(number))
        case .text(let text): Self.writeJSON(text, style, into: &result)
        case .list(let list), .tuple(let list):
            own("[")
            for (place, item) in list.items.enumerated() {
                if place > 0 { own(style.itemSeparator) }
                newline(level + 1)
                try writeJSON(item, style, level: level + 1, into: &result)
            }
            if !list.items.isEmpty { newline(level) }
            own("]")
        case .map(let map):
            own("{")
            let entries =
                style.sortsKeys
                ? map.entries.sorted { Self.key($0.key) < Self.key($1.key) } : map.entries
            for (place, entry) in entries.enumerated() {
                if place > 0 { own(style.itemSeparator) }
                newline(level + 1)
                Self.writeJSON(Self.key(entry.key), style, into: &result)
                own(style.keySeparator)
                try writeJSON(entry.value, style, level: level + 1, into: &result)
            }
            if !map.entries.isEmpty { newline(level) }
            own("}")
        case .undefined, .function, .macro, .namespace, .loop:
            throw TemplateError(.evaluation, "\(value.kind) cannot be written as JSON")
        }
        try check(bytes: result.count)
    }

    private static func json(_ number: Double) -> String {
        if number.isNaN { return "NaN" }
        if number.isInfinite { return number < 0 ? "-Infinity" : "Infinity" }
        return number.description
    }

    private static func key(_ key: TemplateValue) -> TemplateText {
        switch key {
        case .text(let text): text
        case .integer(let number): .own(String(number))
        case .float(let number): .own(json(number))
        case .boolean(let claim): .own(claim ? "true" : "false")
        default: .own("null")
        }
    }

    private static func writeJSON(
        _ text: TemplateText, _ style: JSONStyle, into result: inout TemplateText
    ) {
        result.append(CollectionOfOne(UInt8(ascii: "\"")), isTrusted: true)
        text.forEachRun(in: 0..<text.count) { range, isTrusted in
            let isPlain = text.bytes[range].allSatisfy {
                $0 >= 32 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
                    && (!style.isASCII || $0 < 128)
            }
            if isPlain {
                result.append(text.bytes[range], isTrusted: isTrusted)
            } else {
                result.append(escaped(text.bytes[range], style), isTrusted: isTrusted)
            }
        }
        result.append(CollectionOfOne(UInt8(ascii: "\"")), isTrusted: true)
    }

    private static func escaped(_ bytes: ArraySlice<UInt8>, _ style: JSONStyle) -> [UInt8] {
        if style.isASCII, bytes.contains(where: { $0 >= 128 }) {
            var result: [UInt8] = []
            for unit in String(decoding: bytes, as: UTF8.self).utf16 {
                if unit < 128 {
                    result += escaped([UInt8(unit)], JSONStyle())
                } else {
                    let digits = String(unit, radix: 16)
                    let zeros = String(repeating: "0", count: 4 - digits.count)
                    result += Array("\\u\(zeros)\(digits)".utf8)
                }
            }
            return result
        }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 16)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                result.append(UInt8(ascii: "\\"))
                result.append(byte)
            case 10: result.append(contentsOf: "\\n".utf8)
            case 13: result.append(contentsOf: "\\r".utf8)
            case 9: result.append(contentsOf: "\\t".utf8)
            case 8: result.append(contentsOf: "\\b".utf8)
            case 12: result.append(contentsOf: "\\f".utf8)
            case 0..<32: result += Array("\\u00\(hexadecimal(byte))".utf8)
            default: result.append(byte)
            }
        }
        return result
    }

    /// `str.format`: `{}`, `{0}` and `{name}` without format specifications.
    mutating func format(_ format: TemplateText, _ given: TemplateGiven) throws(TemplateError)
        -> TemplateValue
    {
        var result = TemplateText()
        var place = 0
        var next = 0
        let open = UInt8(ascii: "{")
        let close = UInt8(ascii: "}")
        while place < format.count {
            try charge()
            let byte = format.bytes[place]
            guard byte == open || byte == close else {
                var end = place
                while end < format.count, format.bytes[end] != open, format.bytes[end] != close {
                    end += 1
                }
                result.append(format, place..<end)
                place = end
                continue
            }
            if place + 1 < format.count, format.bytes[place + 1] == byte {
                result.append(format, place..<place + 1)
                place += 2
                continue
            }
            guard byte == open, let end = format.bytes[place...].firstIndex(of: close) else {
                throw TemplateError(.evaluation, "a single brace is in a format")
            }
            let name = String(decoding: format.bytes[place + 1..<end], as: UTF8.self)
            place = end + 1
            let value: TemplateValue?
            if name.isEmpty {
                value = next < given.positional.count ? given.positional[next] : nil
                next += 1
            } else if let index = Int(name) {
                value = given.positional.indices.contains(index) ? given.positional[index] : nil
            } else {
                value = given.named.first { $0.name == name }?.value
            }
            guard let value else {
                throw TemplateError(
                    .unsupported, "the format `{\(name.prefix(40))}` is not supported")
            }
            result.append(try text(of: value))
            try check(bytes: result.count)
        }
        return try self.value(result)
    }

    /// Python's `%` on texts: `%s`, `%d` and `%%`.
    mutating func percentFormat(_ format: TemplateText, _ values: [TemplateValue])
        throws(TemplateError) -> TemplateValue
    {
        var result = TemplateText()
        var rest = values[...]
        let parts = format.split(.own("%"), max: limits.itemsMax)
        try charge(items: parts.count)
        var isEscaped = false
        for (place, part) in parts.enumerated() {
            if place == 0 || isEscaped {
                result.append(part)
                isEscaped = false
                continue
            }
            guard let directive = part.bytes.first else {
                guard place + 1 < parts.count else {
                    throw TemplateError(.evaluation, "a format ends in `%`")
                }
                result.append(.own("%"))
                isEscaped = true
                continue
            }
            guard directive == UInt8(ascii: "s") || directive == UInt8(ascii: "d") else {
                throw TemplateError(.unsupported, "a `%` format that is not supported is used")
            }
            guard let value = rest.popFirst() else {
                throw TemplateError(.evaluation, "a format has more places than values")
            }
            guard directive == UInt8(ascii: "s") || value.integer != nil else {
                throw TemplateError(.evaluation, "`%d` needs a whole number")
            }
            result.append(try text(of: value))
            result.append(part, 1..<part.count)
            try check(bytes: result.count)
        }
        guard rest.isEmpty else {
            throw TemplateError(.evaluation, "a format has fewer places than values")
        }
        return try self.value(result)
    }
}
