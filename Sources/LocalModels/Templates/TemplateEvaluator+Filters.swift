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

    private mutating func escaped(_ text: TemplateText) throws(TemplateError) -> TemplateValue {
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

    private mutating func double(_ value: TemplateValue) throws(TemplateError) -> Double? {
        try numeral(value).flatMap(Double.init) ?? value.number
    }

    /// The text of what may be a number. Nil for what is no text, or too long a one.
    private mutating func numeral(_ value: TemplateValue) throws(TemplateError) -> String? {
        guard case .text(let text) = value else { return nil }
        try charge(text.count / TemplateLimits.bytesPerStep)
        let trimmed = text.trimmed()
        return trimmed.count <= 400 ? trimmed.string : nil
    }

    private mutating func length(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
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

    private mutating func json(_ value: TemplateValue, _ given: TemplateGiven)
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

// Filters of lists.
extension TemplateEvaluator {
    private mutating func applyToItems(
        _ filter: TemplateFilter, _ value: TemplateValue, _ given: TemplateGiven
    ) throws(TemplateError) -> TemplateValue {
        switch filter {
        case .items:
            switch value {
            case .map(let map): return try items(of: map)
            case .undefined: return try list([])
            default: throw TemplateError(.evaluation, "`items` cannot work on \(value.kind)")
            }
        case .dictsort: return try sortedEntries(value, given)
        case .first, .last: return try end(filter, of: value)
        case .list: return try list(try items(of: value))
        case .reverse:
            let reversed = try items(of: value).reversed()
            try charge(items: reversed.count)
            guard case .text = value else { return try list(Array(reversed)) }
            var result = TemplateText()
            for case .text(let part) in reversed { result.append(part) }
            return .text(result)
        case .sort: return try sorted(value, given)
        case .unique: return try unique(value, given)
        case .min, .max, .sum: return try folded(filter, value, given)
        case .map: return try mapped(value, given)
        default: return try selected(filter, value, given)
        }
    }

    private mutating func end(_ filter: TemplateFilter, of value: TemplateValue)
        throws(TemplateError) -> TemplateValue
    {
        if case .text = value {
            let result = try item(.integer(filter == .first ? 0 : -1), of: value)
            if case .undefined = result { return .undefined("") }
            return result
        }
        let items = try items(of: value)
        return (filter == .first ? items.first : items.last) ?? .undefined("")
    }

    /// The value at `a.b.0` inside another; itself where there is no path.
    private mutating func path(_ path: TemplateValue?, of value: TemplateValue)
        throws(TemplateError) -> TemplateValue
    {
        guard let path else { return value }
        guard case .text(let text) = path else { return try item(path, of: value) }
        guard text.count <= 256 else {
            throw TemplateError(.limit, "the name of an attribute is too long")
        }
        var value = value
        for part in text.split(.own("."), max: 16) {
            try charge()
            let index = Int(part.string)
            value = try item(index.map(TemplateValue.integer) ?? .text(part), of: value)
        }
        return value
    }

    private mutating func mapped(_ value: TemplateValue, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        let items = try lazyItems(of: value)
        try charge(items: items.count)
        var results: [TemplateValue] = []
        if given.positional.isEmpty {
            let names = Set(given.named.map(\.name))
            guard let attribute = given.named.first(where: { $0.name == "attribute" })?.value,
                names.isSubset(of: ["attribute", "default"])
            else { throw TemplateError(.evaluation, "`map` needs a filter or an attribute") }
            let otherwise = given.named.first { $0.name == "default" }?.value
            for item in items {
                let result = try path(attribute, of: item)
                if case .undefined = result, let otherwise {
                    results.append(otherwise)
                } else {
                    results.append(result)
                }
            }
            return try list(results)
        }
        let filter = try filter(named: given.positional[0])
        let rest = TemplateGiven(
            positional: Array(given.positional.dropFirst()), named: given.named)
        for item in items {
            try charge()
            results.append(try apply(filter, to: item, rest))
        }
        return try list(results)
    }

    /// Jinja looks at what it selects from only when the result is gone through, so that templates
    /// get away with selecting from none where they do not use the result.
    private func lazyItems(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
        if case .none = value { return [] }
        return try items(of: value)
    }

    private func filter(named name: TemplateValue) throws(TemplateError) -> TemplateFilter {
        guard case .text(let text) = name, let filter = TemplateFilter(rawValue: text.string),
            ![.map, .select, .selectattr, .reject, .rejectattr].contains(filter)
        else {
            throw TemplateError(.unsupported, "`map` is asked for a filter that is not supported")
        }
        return filter
    }

    private mutating func selected(
        _ filter: TemplateFilter, _ value: TemplateValue, _ given: TemplateGiven
    ) throws(TemplateError) -> TemplateValue {
        guard given.named.isEmpty else {
            throw TemplateError(
                .unsupported, "named arguments of `\(filter.rawValue)` are not supported")
        }
        var arguments = given.positional[...]
        var attribute: TemplateValue?
        if filter == .selectattr || filter == .rejectattr {
            attribute = arguments.popFirst()
            guard attribute != nil else {
                throw TemplateError(.evaluation, "`\(filter.rawValue)` needs an attribute")
            }
        }
        var test: TemplateTest?
        if let name = arguments.popFirst() {
            guard case .text(let text) = name, let named = TemplateTest(rawValue: text.string)
            else {
                throw TemplateError(
                    .unsupported, "`\(filter.rawValue)` is asked for a test that is not supported")
            }
            test = named
        }
        let keeps = filter == .select || filter == .selectattr
        var kept: [TemplateValue] = []
        for item in try lazyItems(of: value) {
            try charge()
            let looked = try path(attribute, of: item)
            let isIn: Bool
            if let test {
                isIn = try passes(test, looked, Array(arguments))
            } else {
                isIn = looked.isTrue
            }
            if isIn == keeps { kept.append(item) }
        }
        return try list(kept)
    }

    private mutating func sortedEntries(_ value: TemplateValue, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        guard case .map(let map) = value else {
            throw TemplateError(.evaluation, "`dictsort` cannot work on \(value.kind)")
        }
        let arguments = try given.bound(to: ["case_sensitive", "by", "reverse"], of: "dictsort")
        var place = 0
        if case .text(let by)? = arguments[1] {
            guard by.string == "key" || by.string == "value" else {
                throw TemplateError(.evaluation, "`dictsort` sorts by key or value")
            }
            place = by.string == "value" ? 1 : 0
        }
        let isCaseSensitive = arguments[0]?.isTrue == true
        var keyed: [(TemplateValue, TemplateValue)] = []
        for entry in map.entries {
            let key = place == 0 ? entry.key : entry.value
            try charge(key.weight)
            keyed.append((folded(key, isCaseSensitive), try tuple([entry.key, entry.value])))
        }
        return try list(try sorted(keyed, isReversed: arguments[2]?.isTrue == true))
    }

    private mutating func sorted(_ value: TemplateValue, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        let arguments = try given.bound(to: ["reverse", "case_sensitive", "attribute"], of: "sort")
        var keyed: [(TemplateValue, TemplateValue)] = []
        for item in try items(of: value) {
            let key = try path(arguments[2], of: item)
            try charge(key.weight)
            keyed.append((folded(key, arguments[1]?.isTrue == true), item))
        }
        return try list(try sorted(keyed, isReversed: arguments[0]?.isTrue == true))
    }

    private func folded(_ value: TemplateValue, _ isCaseSensitive: Bool) -> TemplateValue {
        guard !isCaseSensitive, case .text(let text) = value else { return value }
        return .text(text.lowercased)
    }

    /// A merge sort, which is stable as Python's and asks only for `<`.
    private mutating func sorted(
        _ keyed: [(TemplateValue, TemplateValue)], isReversed: Bool
    ) throws(TemplateError) -> [TemplateValue] {
        var runs = keyed
        var width = 1
        while width < runs.count {
            var merged: [(TemplateValue, TemplateValue)] = []
            merged.reserveCapacity(runs.count)
            for start in stride(from: 0, to: runs.count, by: 2 * width) {
                var left = start
                let middle = min(start + width, runs.count)
                var right = middle
                let end = min(start + 2 * width, runs.count)
                while left < middle || right < end {
                    try charge()
                    let takesRight: Bool
                    if left == middle {
                        takesRight = true
                    } else if right == end {
                        takesRight = false
                    } else if isReversed {
                        takesRight = try isLess(runs[left].0, runs[right].0, "<")
                    } else {
                        takesRight = try isLess(runs[right].0, runs[left].0, "<")
                    }
                    merged.append(takesRight ? runs[right] : runs[left])
                    if takesRight { right += 1 } else { left += 1 }
                }
            }
            runs = merged
            width *= 2
        }
        return runs.map(\.1)
    }

    private mutating func unique(_ value: TemplateValue, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        let arguments = try given.bound(to: ["case_sensitive", "attribute"], of: "unique")
        var seen: Set<TemplateKey> = []
        var kept: [TemplateValue] = []
        for item in try items(of: value) {
            let looked = try path(arguments[1], of: item)
            try charge(looked.weight)
            guard let key = folded(looked, arguments[0]?.isTrue == true).key else {
                throw TemplateError(.evaluation, "`unique` cannot compare \(looked.kind)")
            }
            if seen.insert(key).inserted { kept.append(item) }
        }
        return try list(kept)
    }

    private mutating func folded(
        _ filter: TemplateFilter, _ value: TemplateValue, _ given: TemplateGiven
    ) throws(TemplateError) -> TemplateValue {
        let names = filter == .sum ? ["attribute", "start"] : ["case_sensitive", "attribute"]
        let arguments = try given.bound(to: names, of: filter.rawValue)
        let attribute = filter == .sum ? arguments[0] : arguments[1]
        let isCaseSensitive = filter == .sum || arguments[0]?.isTrue == true
        var result: TemplateValue? = filter == .sum ? arguments[1] ?? .integer(0) : nil
        for item in try items(of: value) {
            try charge()
            let looked = try path(attribute, of: item)
            try charge(looked.weight)
            guard let best = result else {
                result = looked
                continue
            }
            if filter == .sum {
                result = try calculate(best, .add, looked)
                continue
            }
            let left = folded(looked, isCaseSensitive)
            let right = folded(best, isCaseSensitive)
            let isBetter =
                filter == .min ? try isLess(left, right, "<") : try isLess(right, left, "<")
            if isBetter { result = looked }
        }
        return result ?? .undefined("")
    }
}
