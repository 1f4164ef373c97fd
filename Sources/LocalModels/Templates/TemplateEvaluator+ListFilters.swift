/// The filters of lists and mappings.
extension TemplateEvaluator {
    mutating func applyToItems(
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

    mutating func end(_ filter: TemplateFilter, of value: TemplateValue)
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
    mutating func path(_ path: TemplateValue?, of value: TemplateValue)
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

    func filter(named name: TemplateValue) throws(TemplateError) -> TemplateFilter {
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

    mutating func sorted(_ value: TemplateValue, _ given: TemplateGiven)
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
    mutating func sorted(
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
