enum TemplateMethods {
    static let ofMap = Set(
        [
            "get", "items", "keys", "values", "copy", "pop", "popitem", "update", "setdefault",
            "clear", "fromkeys",
        ].map { Array($0.utf8) })
    static let ofText = Set(
        [
            "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith",
            "replace", "upper", "lower", "title", "capitalize", "find", "rfind", "index", "count",
            "join", "format", "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower",
            "removeprefix", "removesuffix",
        ].map { Array($0.utf8) })
    /// What changes a value, which the sandbox forbids.
    static let forbidden: Set<String> = [
        "append", "extend", "insert", "remove", "sort", "reverse", "clear", "pop", "popitem",
        "update", "setdefault", "add", "discard",
    ]
}

/// The methods of texts, mappings and lists that the sandbox allows.
extension TemplateEvaluator {
    /// Nil where the value has no such method.
    mutating func method(_ name: String, of value: TemplateValue, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue?
    {
        switch value {
        case .text(let text): return try method(name, of: text, given)
        case .map(let map): return try method(name, of: map, given)
        case .list(let list), .tuple(let list): return try method(name, of: list, given)
        case .loop(let serial): return try method(name, ofLoop: serial, given)
        case .float(let number):
            return name == "is_integer" ? .boolean(number == number.rounded()) : nil
        default: return nil
        }
    }

    private static func forbidden(_ name: String) -> TemplateError {
        TemplateError(
            .unsupported, "the method `\(name)` changes a value, which templates may not do")
    }

    private mutating func method(_ name: String, of map: TemplateMap, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue?
    {
        switch name {
        case "get":
            let arguments = try given.bound(to: ["key", "default"], of: name)
            guard let key = arguments[0] else { return TemplateValue.none }
            try charge(key.weight)
            return key.key.flatMap { map[$0] } ?? arguments[1] ?? TemplateValue.none
        case "items": return try items(of: map)
        case "keys": return try list(map.entries.map(\.key))
        case "values": return try list(map.entries.map(\.value))
        case "copy": return .map(map)
        default:
            if map[Array(name.utf8)] != nil { return nil }
            guard !TemplateMethods.forbidden.contains(name) else { throw Self.forbidden(name) }
            return nil
        }
    }

    mutating func items(of map: TemplateMap) throws(TemplateError) -> TemplateValue {
        var pairs: [TemplateValue] = []
        for entry in map.entries { pairs.append(try tuple([entry.key, entry.value])) }
        return try list(pairs)
    }

    private mutating func method(_ name: String, of list: TemplateList, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue?
    {
        switch name {
        case "index", "count":
            guard let wanted = try given.bound(to: ["value"], of: name)[0] else { return nil }
            var found = 0
            for (place, item) in list.items.enumerated() {
                try charge()
                guard try isEqual(item, wanted) else { continue }
                if name == "index" { return .integer(place) }
                found += 1
            }
            guard name == "count" else {
                throw TemplateError(.evaluation, "a value is not in the list it is looked for in")
            }
            return .integer(found)
        case "copy": return .list(list)
        default:
            guard !TemplateMethods.forbidden.contains(name) else { throw Self.forbidden(name) }
            return nil
        }
    }

    private mutating func method(_ name: String, of text: TemplateText, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue?
    {
        try charge(text.count / TemplateLimits.bytesPerStep)
        switch name {
        case "strip": return try trimmed(text, .both, given, name)
        case "lstrip": return try trimmed(text, .start, given, name)
        case "rstrip": return try trimmed(text, .end, given, name)
        case "upper", "lower":
            try charge(text.count / 4)
            return try value(name == "upper" ? text.uppercased : text.lowercased)
        case "capitalize": return try value(text.capitalized)
        case "title":
            try charge(2 * text.count)
            return try value(text.titled { !$0.properties.isAlphabetic })
        case "split", "rsplit", "splitlines": return try split(text, name, given)
        case "replace": return try replaced(text, given)
        case "join": return try joined(given.positional.first ?? .none, text, attribute: nil)
        case "format": return try format(text, given)
        case "startswith", "endswith", "find", "rfind", "index", "count", "removeprefix",
            "removesuffix":
            return try search(text, name, given)
        case "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower":
            try charge(text.count / 4)
            return .boolean(Self.isAll(text, name))
        default: return nil
        }
    }

    private mutating func trimmed(
        _ text: TemplateText, _ side: TemplateText.Side, _ given: TemplateGiven, _ name: String
    ) throws(TemplateError) -> TemplateValue {
        switch try given.bound(to: ["chars"], of: name)[0] {
        case nil, .some(.none): return try value(text.trimmed(side))
        case .text(let characters)?:
            try charge(characters.count)
            return try value(text.trimmed(side, of: characters))
        case .some(let other):
            throw TemplateError(.evaluation, "\(other.kind) cannot be trimmed off a text")
        }
    }

    private mutating func split(_ text: TemplateText, _ name: String, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        if name == "splitlines" {
            guard given.positional.isEmpty, given.named.isEmpty else {
                throw TemplateError(.unsupported, "the arguments of `splitlines` are not supported")
            }
            return try list(try lines(of: text).map(TemplateValue.text))
        }
        let arguments = try given.bound(to: ["sep", "maxsplit"], of: name)
        var separator: TemplateText?
        switch arguments[0] {
        case nil, .some(.none): break
        case .text(let text)? where !text.isEmpty: separator = text
        case .some: throw TemplateError(.evaluation, "a text is split at what it cannot be")
        }
        let most = arguments[1]?.integer ?? -1
        let max = most < 0 ? limits.itemsMax : min(most, limits.itemsMax)
        let parts: [TemplateText]
        if name == "rsplit", most >= 0 {
            guard let separator else {
                throw TemplateError(.unsupported, "`rsplit` at white space is not supported")
            }
            try charge(items: text.occurrences(of: separator))
            parts = text.splitFromEnd(separator, max: most)
        } else {
            parts = text.split(separator, max: max)
        }
        return try list(parts.map(TemplateValue.text))
    }

    mutating func lines(of text: TemplateText) throws(TemplateError) -> [TemplateText] {
        // Every line break begins or continues with one of these.
        try charge(items: text.bytes.count { $0 < 32 || $0 == 0xC2 || $0 == 0xE2 })
        return text.lines
    }

    mutating func replaced(_ text: TemplateText, _ given: TemplateGiven) throws(TemplateError)
        -> TemplateValue
    {
        let arguments = try given.bound(to: ["old", "new", "count"], of: "replace")
        guard let first = arguments[0], let second = arguments[1] else {
            throw TemplateError(.evaluation, "`replace` needs two texts")
        }
        let old = try self.text(of: first)
        let new = try self.text(of: second)
        let most = arguments[2]?.integer ?? -1
        try charge((text.count + old.count) / TemplateLimits.bytesPerStep)
        let count = min(most < 0 ? .max : most, text.occurrences(of: old))
        let (added, isOver) = count.multipliedReportingOverflow(by: new.count)
        try check(bytes: isOver ? .max : saturated(text.count, added))
        try charge(2 * count + text.count / TemplateLimits.bytesPerStep)
        if old.isEmpty { try charge(items: text.count) }
        return try value(text.replacing(old, with: new, max: count))
    }

    private mutating func search(_ text: TemplateText, _ name: String, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        guard given.named.isEmpty, given.positional.count == 1,
            let wanted = given.positional.first
        else {
            throw TemplateError(.unsupported, "the arguments of `\(name)` are not supported")
        }
        if case .tuple(let parts) = wanted, name == "startswith" || name == "endswith" {
            for case .text(let part) in parts.items {
                try charge()
                if name == "startswith" ? text.hasPrefix(part) : text.hasSuffix(part) {
                    return .boolean(true)
                }
            }
            return .boolean(false)
        }
        guard case .text(let part) = wanted else {
            throw TemplateError(.evaluation, "`\(name)` needs a text, not \(wanted.kind)")
        }
        try charge(part.count / TemplateLimits.bytesPerStep)
        switch name {
        case "startswith": return .boolean(text.hasPrefix(part))
        case "endswith": return .boolean(text.hasSuffix(part))
        case "count": return .integer(text.occurrences(of: part))
        case "removeprefix":
            return try value(text.hasPrefix(part) ? text[part.count..<text.count] : text)
        case "removesuffix":
            guard !part.isEmpty, text.hasSuffix(part) else { return try value(text) }
            return try value(text[0..<text.count - part.count])
        default:
            if name == "rfind" { try charge(text.count / 16 * (part.count / 16)) }
            let offset =
                name == "rfind" ? text.lastOffset(of: part.bytes) : text.offset(of: part.bytes)
            guard let offset else {
                if name == "index" {
                    throw TemplateError(.evaluation, "a text is not in the one it is looked for in")
                }
                return .integer(-1)
            }
            return .integer(text[0..<offset].codePointCount)
        }
    }

    private static func isAll(_ text: TemplateText, _ name: String) -> Bool {
        let scalars = text.string.unicodeScalars
        guard !scalars.isEmpty else { return false }
        switch name {
        case "isdigit": return scalars.allSatisfy { $0.properties.numericType == .decimal }
        case "isalpha": return scalars.allSatisfy(\.properties.isAlphabetic)
        case "isalnum":
            return scalars.allSatisfy {
                $0.properties.isAlphabetic || $0.properties.numericType != nil
            }
        case "isspace": return scalars.allSatisfy(TemplateText.isSpace)
        case "isupper":
            return scalars.contains(where: \.properties.isUppercase)
                && !scalars.contains(where: \.properties.isLowercase)
        default:
            return scalars.contains(where: \.properties.isLowercase)
                && !scalars.contains(where: \.properties.isUppercase)
        }
    }
}
