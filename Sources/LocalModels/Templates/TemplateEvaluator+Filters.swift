/// Jinja's filters, and `tojson` as transformers has it.
extension TemplateEvaluator {
    mutating func apply(
        _ filter: TemplateFilter, to value: TemplateValue, _ given: TemplateGiven
    ) throws(TemplateError) -> TemplateValue {
        switch filter {
        case .trim, .lower, .upper, .capitalize, .title, .replace, .string, .safe, .escape, .e,
            .indent, .format:
            return try applyToText(filter, value, given)
        case .abs, .int, .float, .round: return try applyToNumber(filter, value, given)
        case .tojson: return try json(value, given)
        case .length, .count: return try length(value)
        case .default, .d:
            let arguments = try given.bound(to: ["default_value", "boolean"], of: "default")
            let isMissing: Bool
            switch value {
            case .undefined: isMissing = true
            default: isMissing = arguments[1]?.isTrue == true && !value.isTrue
            }
            return isMissing ? arguments[0] ?? .own("") : value
        case .join:
            let arguments = try given.bound(to: ["d", "attribute"], of: "join")
            let separator = try text(of: arguments[0] ?? .own(""))
            return try joined(value, separator, attribute: arguments[1])
        default: return try applyToItems(filter, value, given)
        }
    }

    private mutating func applyToText(
        _ filter: TemplateFilter, _ value: TemplateValue, _ given: TemplateGiven
    ) throws(TemplateError) -> TemplateValue {
        let text = try text(of: value)
        try charge(text.count / TemplateLimits.bytesPerStep)
        switch filter {
        case .trim:
            switch try given.bound(to: ["chars"], of: "trim")[0] {
            case .text(let characters)?:
                try charge(characters.count)
                return try self.value(text.trimmed(.both, of: characters))
            default: return try self.value(text.trimmed())
            }
        case .lower, .upper:
            try charge(text.count / 4)
            return try self.value(filter == .lower ? text.lowercased : text.uppercased)
        case .capitalize: return try self.value(text.capitalized)
        case .title:
            try charge(2 * text.count)
            return try self.value(
                text.titled { "-({[<".unicodeScalars.contains($0) || TemplateText.isSpace($0) })
        case .replace:
            return try replaced(text, given)
        case .escape, .e: return try escaped(text)
        case .indent: return try indented(text, given)
        case .format:
            guard given.named.isEmpty else {
                throw TemplateError(.unsupported, "`format` with named values is not supported")
            }
            return try percentFormat(text, given.positional)
        default: return .text(text)
        }
    }

    mutating func escaped(_ text: TemplateText) throws(TemplateError) -> TemplateValue {
        var result = text
        let replacements = [
            ("&", "&amp;"), (">", "&gt;"), ("<", "&lt;"), ("'", "&#39;"), ("\"", "&#34;"),
        ]
        for (character, entity) in replacements {
            result = result.replacing(.own(character), with: .own(entity))
            try check(bytes: result.count)
        }
        return try value(result)
    }

    private mutating func indented(_ text: TemplateText, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        let arguments = try given.bound(to: ["width", "first", "blank"], of: "indent")
        let indent: TemplateText
        switch arguments[0] {
        case .text(let text)?: indent = text
        default:
            let width = arguments[0]?.integer ?? 4
            try check(bytes: width)
            indent = .own(String(repeating: " ", count: max(0, width)))
        }
        let lines = try lines(of: text)
        // Splitting into lines takes a newline at the end away; Jinja puts it back.
        let hasEnd = text.bytes.last.map { $0 == 10 || $0 == 13 } ?? false
        let (added, isOver) = indent.count.multipliedReportingOverflow(by: lines.count + 1)
        try check(bytes: isOver ? .max : saturated(text.count, added))
        var result = TemplateText()
        if arguments[1]?.isTrue == true { result.append(indent) }
        let indentsBlank = arguments[2]?.isTrue == true
        let all = hasEnd || lines.isEmpty ? lines + [TemplateText()] : lines
        for (place, line) in all.enumerated() {
            if place > 0 {
                result.append(.own("\n"))
                if indentsBlank || !line.isEmpty { result.append(indent) }
            }
            result.append(line)
        }
        return try value(result)
    }

    private mutating func applyToNumber(
        _ filter: TemplateFilter, _ value: TemplateValue, _ given: TemplateGiven
    ) throws(TemplateError) -> TemplateValue {
        switch filter {
        case .int:
            let arguments = try given.bound(to: ["default", "base"], of: "int")
            if let number = value.integer { return .integer(number) }
            let base = arguments[1]?.integer ?? 10
            if let text = try numeral(value), (2...36).contains(base),
                let number = Int(text, radix: base)
            {
                return .integer(number)
            }
            if let number = try double(value), number.magnitude < 9e18 {
                return .integer(Int(number))
            }
            return arguments[0] ?? .integer(0)
        case .float:
            let arguments = try given.bound(to: ["default"], of: "float")
            return try double(value).map(TemplateValue.float) ?? arguments[0] ?? .float(0)
        case .abs:
            if let number = value.integer {
                guard number != .min else {
                    throw TemplateError(.evaluation, "a whole number is past 64 bits")
                }
                return .integer(abs(number))
            }
            if let number = value.number { return .float(abs(number)) }
        default:
            let arguments = try given.bound(to: ["precision", "method"], of: "round")
            guard let number = value.number else { break }
            let precision = arguments[0]?.integer ?? 0
            guard (0...15).contains(precision) else {
                throw TemplateError(.unsupported, "`round` to \(precision) digits is not supported")
            }
            if arguments[1] == nil, let integer = value.integer { return .integer(integer) }
            var rule = FloatingPointRoundingRule.toNearestOrEven
            if case .text(let method)? = arguments[1] {
                switch method.string {
                case "common": break
                case "ceil": rule = .up
                case "floor": rule = .down
                default:
                    throw TemplateError(.evaluation, "`round` has no such method")
                }
            }
            let scale = (0..<precision).reduce(1.0) { scale, _ in scale * 10 }
            let result = (number * scale).rounded(rule) / scale
            return .float(result.isFinite ? result : number)
        }
        throw TemplateError(.evaluation, "`\(filter.rawValue)` cannot work on \(value.kind)")
    }

    mutating func double(_ value: TemplateValue) throws(TemplateError) -> Double? {
        try numeral(value).flatMap(Double.init) ?? value.number
    }

    /// The text of what may be a number. Nil for what is no text, or too long a one.
    private mutating func numeral(_ value: TemplateValue) throws(TemplateError) -> String? {
        guard case .text(let text) = value else { return nil }
        try charge(text.count / TemplateLimits.bytesPerStep)
        let trimmed = text.trimmed()
        return trimmed.count <= 400 ? trimmed.string : nil
    }

    mutating func length(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
        switch value {
        case .text(let text):
            try charge(text.count / TemplateLimits.bytesPerStep)
            return .integer(text.codePointCount)
        case .list(let list), .tuple(let list): return .integer(list.items.count)
        case .map(let map): return .integer(map.entries.count)
        case .undefined: return .integer(0)
        default: throw TemplateError(.evaluation, "\(value.kind) has no length")
        }
    }

    mutating func json(_ value: TemplateValue, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        guard !given.positional.isEmpty || !given.named.isEmpty else {
            return .text(try json(value, JSONStyle()))
        }
        let arguments = try given.bound(
            to: ["ensure_ascii", "indent", "separators", "sort_keys"], of: "tojson")
        var style = JSONStyle()
        style.isASCII = arguments[0]?.isTrue == true
        style.sortsKeys = arguments[3]?.isTrue == true
        if let indent = arguments[1]?.integer {
            guard (0...16).contains(indent) else {
                throw TemplateError(.unsupported, "`tojson` with an indent of \(indent)")
            }
            style.indent = indent
            style.itemSeparator = ","
        }
        switch arguments[2] {
        case nil, .some(.none): break
        case .list(let list)?, .tuple(let list)?:
            guard list.items.count == 2, case .text(let item) = list.items[0],
                case .text(let key) = list.items[1], item.count <= 16, key.count <= 16
            else { fallthrough }
            style.itemSeparator = item.string
            style.keySeparator = key.string
        default: throw TemplateError(.evaluation, "`tojson` needs two short texts as separators")
        }
        return .text(try json(value, style))
    }

    mutating func joined(
        _ value: TemplateValue, _ separator: TemplateText, attribute: TemplateValue?
    ) throws(TemplateError) -> TemplateValue {
        var result = TemplateText()
        for (place, item) in try items(of: value).enumerated() {
            try charge()
            if place > 0 { result.append(separator) }
            let item = try path(attribute, of: item)
            result.append(try text(of: item))
            try check(bytes: result.count)
        }
        return try self.value(result)
    }
}
