/// Calls, attributes, and what they need of the running evaluator.
extension TemplateEvaluator {
    mutating func define(_ macro: TemplateStatement.Macro, slot: Int?) -> TemplateValue {
        macros.append(
            DefinedMacro(macro: macro, slot: slot, locals: locals, isGlobal: scopes == 0))
        return .macro(macros.count - 1)
    }

    mutating func call(
        _ callee: TemplateValue, named name: String?, _ given: TemplateGiven
    ) throws(TemplateError) -> TemplateValue {
        switch callee {
        case .macro(let index):
            return try nested { evaluator throws(TemplateError) in
                try evaluator.call(evaluator.macros[index], as: callee, given)
            }
        case .function(let function): return try call(function, given)
        case .undefined where name != nil:
            throw TemplateError(
                .unsupported, "the function or method `\(name ?? "")` is not supported")
        case .undefined(let name) where !name.isEmpty:
            throw TemplateError(.unsupported, "the function `\(name)` is not supported")
        default: throw TemplateError(.evaluation, "\(callee.kind) cannot be called")
        }
    }

    mutating func call(
        _ defined: DefinedMacro, as value: TemplateValue, _ given: TemplateGiven
    ) throws(TemplateError) -> TemplateValue {
        let macro = defined.macro
        // A new set of variables is made, and every argument is looked for among the parameters.
        try charge(
            1 + locals.count / 16 + macro.parameters.count * (4 + given.named.count / 4))
        var given = given
        let caller = given.named.firstIndex { $0.name == "caller" }.map {
            given.named.remove(at: $0).value
        }
        let values = try given.bound(to: macro.parameters.map(\.name), of: macro.name)
        let outer = (locals, hidden, scopes, output, line)
        locals = defined.locals
        hidden = []
        scopes = 1
        output = TemplateText()
        if let slot = defined.slot, !defined.isGlobal { locals[slot] = value }
        if let caller, let slot = program.slots["caller"] { locals[slot] = caller }
        for (parameter, value) in zip(macro.parameters, values) {
            var value = value
            if value == nil { value = try evaluate(optional: parameter.value) }
            locals[parameter.slot] = value ?? .undefined(parameter.name)
        }
        _ = try run(macro.body)
        let text = output
        (locals, hidden, scopes, output, line) = outer
        return try self.value(text)
    }

    mutating func call(_ function: TemplateFunction, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue
    {
        switch function {
        case .range: return try range(given)
        case .namespace:
            // They are kept to the end.
            try charge(16)
            namespaces.append([:])
            for (key, value) in try entries(given, of: "namespace") {
                guard case .text(let name) = key else { continue }
                namespaces[namespaces.count - 1][name] = value
            }
            return .namespace(namespaces.count - 1)
        case .dict: return try map(entries(given, of: "dict"))
        case .raiseException:
            let message = try given.bound(to: ["message"], of: function.rawValue)[0]
            throw TemplateError(.refused, try text(of: message ?? .none).string)
        case .strftimeNow:
            guard case .text(let format)? = given.positional.first, format.count <= 256 else {
                throw TemplateError(.evaluation, "`strftime_now` needs a short format")
            }
            try charge(format.count)
            return try value(.own(try TemplateTime(secondsSince1970: now).text(format.string)))
        case .method: throw TemplateError(.unsupported, "a stored method cannot be called")
        }
    }

    mutating func entries(_ given: TemplateGiven, of name: String) throws(TemplateError)
        -> [TemplateMap.Entry]
    {
        var entries: [TemplateMap.Entry] = []
        switch given.positional.first {
        case nil: break
        case .map(let map)? where given.positional.count == 1: entries = map.entries
        default: throw TemplateError(.unsupported, "`\(name)` is called with what is no mapping")
        }
        for argument in given.named { entries.append((.own(argument.name), argument.value)) }
        try charge(items: entries.count)
        return entries
    }

    mutating func range(_ given: TemplateGiven) throws(TemplateError) -> TemplateValue {
        let numbers = given.positional.compactMap(\.integer)
        guard (1...3).contains(numbers.count), numbers.count == given.positional.count,
            given.named.isEmpty
        else { throw TemplateError(.evaluation, "`range` needs one to three whole numbers") }
        let step = numbers.count > 2 ? numbers[2] : 1
        guard step != 0 else { throw TemplateError(.evaluation, "`range` has a step of 0") }
        let start = numbers.count > 1 ? numbers[0] : 0
        let end = numbers.count > 1 ? numbers[1] : numbers[0]
        var items: [TemplateValue] = []
        var next = start
        while step > 0 ? next < end : next > end {
            guard items.count < limits.rangeMax else {
                throw TemplateError(
                    .limit, "a range has more than \(limits.rangeMax) numbers")
            }
            items.append(.integer(next))
            let (sum, isOver) = next.addingReportingOverflow(step)
            if isOver { break }
            next = sum
        }
        return try list(items)
    }

    mutating func attribute(_ name: TemplateText, of value: TemplateValue) throws(TemplateError)
        -> TemplateValue
    {
        switch value {
        case .map(let map):
            if TemplateMethods.ofMap.contains(name.bytes) { return .function(.method) }
            return map[name.bytes] ?? .undefined(name.string)
        case .namespace(let index): return namespaces[index][name] ?? .undefined(name.string)
        case .loop(let serial): return try attribute(name.string, ofLoop: serial)
        case .text where TemplateMethods.ofText.contains(name.bytes): return .function(.method)
        case .undefined:
            throw TemplateError(
                .evaluation, "\(value.kind) is asked for its attribute `\(name.string.prefix(40))`")
        default: return .undefined(name.string)
        }
    }

    func attribute(_ name: String, ofLoop serial: Int) throws(TemplateError)
        -> TemplateValue
    {
        guard let loop = loops.last(where: { $0.serial == serial }) else {
            throw TemplateError(.evaluation, "a loop is asked for `\(name)` after its end")
        }
        let count = loop.items.count
        switch name {
        case "index": return .integer(loop.index + 1)
        case "index0": return .integer(loop.index)
        case "revindex": return .integer(count - loop.index)
        case "revindex0": return .integer(count - loop.index - 1)
        case "first": return .boolean(loop.index == 0)
        case "last": return .boolean(loop.index == count - 1)
        case "length": return .integer(count)
        // Of `recursive` loops, which there are none of.
        case "depth": return .integer(1)
        case "depth0": return .integer(0)
        case "previtem": return loop.index > 0 ? loop.items[loop.index - 1] : .undefined(name)
        case "nextitem":
            return loop.index + 1 < count ? loop.items[loop.index + 1] : .undefined(name)
        default: return .undefined(name)
        }
    }

    /// `loop.cycle(…)` and `loop.changed(…)`. Nil for another name.
    mutating func method(_ name: String, ofLoop serial: Int, _ given: TemplateGiven)
        throws(TemplateError) -> TemplateValue?
    {
        guard let place = loops.lastIndex(where: { $0.serial == serial }) else { return nil }
        switch name {
        case "cycle":
            guard !given.positional.isEmpty else {
                throw TemplateError(.evaluation, "`loop.cycle` needs values")
            }
            return given.positional[loops[place].index % given.positional.count]
        case "changed":
            for value in given.positional { try charge(value.weight) }
            defer { loops[place].changed = given.positional }
            return .boolean(loops[place].changed != given.positional)
        default: return nil
        }
    }
}
