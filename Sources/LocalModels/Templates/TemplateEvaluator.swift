/// Runs a template once. Every node, byte and item costs steps of a budget, and depth is counted,
/// so that any template ends in bounded time and memory.
struct TemplateEvaluator {
    let program: TemplateProgram
    let limits: TemplateLimits
    /// The moment that `strftime_now` tells, in seconds since 1970.
    let now: Int64

    private(set) var steps = 0
    private var depth = 0
    /// Of the statement that runs.
    private var line = 0
    private var output = TemplateText()

    /// What is set outside of loops, macros and other scopes, by slot.
    private var globals: [TemplateValue?]
    /// What is set in the scopes of the running macro, or of the template outside of macros.
    private var locals: [TemplateValue?]
    /// What the scopes hid, to put back when they end.
    private var hidden: [(slot: Int, value: TemplateValue?)] = []
    private var scopes = 0

    private let loopSlot: Int?
    private var loops: [RunningLoop] = []
    private var loopsBegun = 0
    private var macros: [DefinedMacro] = []
    private var namespaces: [[TemplateText: TemplateValue]] = []

    private struct RunningLoop {
        let serial: Int
        let items: [TemplateValue]
        var index = 0
        var changed: [TemplateValue]?
    }

    private struct DefinedMacro {
        let macro: TemplateStatement.Macro
        let slot: Int?
        /// The scopes around its definition, as they were then.
        let locals: [TemplateValue?]
        let isGlobal: Bool
    }

    private enum Flow { case normal, leave, next }

    /// Renders `program` with the caller's variables. Throws a `TemplateError` with the line.
    static func render(
        _ program: TemplateProgram, _ variables: [String: TemplateValue], now: Int64 = 0,
        _ limits: TemplateLimits = TemplateLimits()
    ) throws(TemplateError) -> TemplateText {
        var evaluator = TemplateEvaluator(program, variables, now: now, limits)
        do {
            _ = try evaluator.run(program.body)
        } catch {
            var error = error
            error.line = evaluator.line
            throw error
        }
        return evaluator.output
    }

    init(
        _ program: TemplateProgram, _ variables: [String: TemplateValue], now: Int64,
        _ limits: TemplateLimits
    ) {
        self.program = program
        self.limits = limits
        self.now = now
        globals = Array(repeating: nil, count: program.names.count)
        locals = globals
        loopSlot = program.slots["loop"]
        for function in [
            TemplateFunction.range, .namespace, .dict, .raiseException, .strftimeNow,
        ] {
            if let slot = program.slots[function.rawValue] { globals[slot] = .function(function) }
        }
        for (name, value) in variables {
            if let slot = program.slots[name] { globals[slot] = value }
        }
    }

    mutating func charge(_ count: Int = 1) throws(TemplateError) {
        steps = saturated(steps, count)
        guard steps <= limits.stepsMax else {
            throw TemplateError(.limit, "it does not end within \(limits.stepsMax) steps")
        }
    }

    /// A text as a value, paid for.
    mutating func value(_ text: TemplateText) throws(TemplateError) -> TemplateValue {
        try charge(1 + text.count / TemplateLimits.bytesPerStep)
        try check(bytes: text.count)
        return .text(text)
    }

    func check(bytes: Int) throws(TemplateError) {
        guard bytes <= limits.textBytesMax else {
            throw TemplateError(.limit, "a text gets longer than \(limits.textBytesMax) bytes")
        }
    }

    /// To be asked before a list is made.
    mutating func charge(items: Int) throws(TemplateError) {
        guard items <= limits.itemsMax else {
            throw TemplateError(.limit, "a list gets longer than \(limits.itemsMax) items")
        }
        try charge(2 * items)
    }

    mutating func list(_ items: [TemplateValue]) throws(TemplateError) -> TemplateValue {
        .list(try checked(items))
    }

    mutating func tuple(_ items: [TemplateValue]) throws(TemplateError) -> TemplateValue {
        .tuple(try checked(items))
    }

    mutating func map(_ entries: [TemplateMap.Entry]) throws(TemplateError) -> TemplateValue {
        try charge(items: 2 * entries.count)
        for entry in entries {
            try charge(entry.key.weight)
            guard entry.key.key != nil else {
                throw TemplateError(.evaluation, "\(entry.key.kind) cannot be a key of a mapping")
            }
        }
        let map = TemplateMap(entries)
        try check(depth: map.depth, weight: map.weight)
        return .map(map)
    }

    private mutating func checked(_ items: [TemplateValue]) throws(TemplateError) -> TemplateList {
        try charge(items: items.count)
        let list = TemplateList(items)
        try check(depth: list.depth, weight: list.weight)
        return list
    }

    private func check(depth: Int, weight: Int) throws(TemplateError) {
        guard depth <= limits.valueDepthMax else {
            throw TemplateError(
                .limit, "more than \(limits.valueDepthMax) lists are inside each other")
        }
        // A list may hold the same list twice, and so on: looking at all of it must have an end.
        guard weight <= limits.stepsMax else {
            throw TemplateError(.limit, "a list gets too large")
        }
    }
}

// Statements.
extension TemplateEvaluator {
    private mutating func run(_ statements: [TemplateStatement]) throws(TemplateError) -> Flow {
        for statement in statements {
            line = statement.line
            try charge()
            switch statement.kind {
            case .text(let text): try write(text)
            case .output(let expression):
                try write(text(of: try evaluate(expression)))
            default:
                let flow = try nested { evaluator throws(TemplateError) in
                    try evaluator.run(statement)
                }
                guard flow == .normal else { return flow }
            }
        }
        return .normal
    }

    /// Statements that are rarer, or have statements inside.
    private mutating func run(_ statement: TemplateStatement) throws(TemplateError) -> Flow {
        switch statement.kind {
        case .branch(let branches):
            for branch in branches {
                if let test = branch.test, !(try evaluate(test).isTrue) { continue }
                return try run(branch.body)
            }
        case .loop(let loop): return try run(loop)
        case .assign(let target, let expression):
            try assign(target, try evaluate(expression))
        case .assignBlock(let target, let filters, let body):
            let text = try capture(body)
            try assign(target, try apply(filters, to: .text(text)))
        case .macro(let slot, let macro):
            // The variables around it are kept.
            try charge(8 + locals.count / 4)
            set(slot, define(macro, slot: slot))
        case .call(let expression, let caller):
            try inScope { evaluator throws(TemplateError) in
                try evaluator.charge(8 + evaluator.locals.count / 4)
                if let slot = evaluator.program.slots["caller"] {
                    evaluator.set(slot, evaluator.define(caller, slot: nil))
                }
                let result = try evaluator.evaluate(expression)
                try evaluator.write(evaluator.text(of: result))
            }
        case .filter(let filters, let body):
            let text = try capture(body)
            let filtered = try apply(filters, to: .text(text))
            try write(self.text(of: filtered))
        case .with(let assignments, let body):
            var flow = Flow.normal
            try inScope { evaluator throws(TemplateError) in
                for (target, expression) in assignments {
                    try evaluator.assign(target, try evaluator.evaluate(expression))
                }
                flow = try evaluator.run(body)
            }
            return flow
        case .group(let body): return try run(body)
        case .leave: return .leave
        case .next: return .next
        case .text, .output: break
        }
        return .normal
    }

    private mutating func run(_ loop: TemplateStatement.Loop) throws(TemplateError) -> Flow {
        var items = try items(of: try evaluate(loop.items))
        if let filter = loop.filter {
            var kept: [TemplateValue] = []
            for item in items {
                try charge()
                try inScope { evaluator throws(TemplateError) in
                    try evaluator.assign(loop.target, item)
                    if try evaluator.evaluate(filter).isTrue { kept.append(item) }
                }
            }
            items = kept
        }
        guard !items.isEmpty else {
            var flow = Flow.normal
            try inScope { evaluator throws(TemplateError) in
                flow = try evaluator.run(loop.otherwise)
            }
            return flow
        }
        loopsBegun += 1
        let serial = loopsBegun
        loops.append(RunningLoop(serial: serial, items: items))
        var isOver = false
        for (index, item) in items.enumerated() where !isOver {
            try charge()
            loops[loops.count - 1].index = index
            try inScope { evaluator throws(TemplateError) in
                if let slot = evaluator.loopSlot { evaluator.set(slot, .loop(serial)) }
                try evaluator.assign(loop.target, item)
                if try evaluator.run(loop.body) == .leave { isOver = true }
            }
        }
        loops.removeLast()
        return .normal
    }

    private mutating func write(_ text: TemplateText) throws(TemplateError) {
        try charge(text.count / TemplateLimits.bytesPerStep)
        try check(bytes: output.count + text.count)
        output.append(text)
    }

    private mutating func capture(_ body: [TemplateStatement]) throws(TemplateError)
        -> TemplateText
    {
        let outer = output
        output = TemplateText()
        try inScope { evaluator throws(TemplateError) in _ = try evaluator.run(body) }
        let text = output
        output = outer
        return text
    }

    private mutating func nested<T>(
        _ body: (inout TemplateEvaluator) throws(TemplateError) -> T
    ) throws(TemplateError) -> T {
        depth += 1
        defer { depth -= 1 }
        guard depth <= limits.callDepthMax else {
            throw TemplateError(
                .limit, "more than \(limits.callDepthMax) calls are inside each other")
        }
        return try body(&self)
    }

    private mutating func inScope(
        _ body: (inout TemplateEvaluator) throws(TemplateError) -> Void
    ) throws(TemplateError) {
        scopes += 1
        let mark = hidden.count
        // Not put back where it throws: then nothing runs any more.
        try body(&self)
        scopes -= 1
        while hidden.count > mark, let last = hidden.popLast() { locals[last.slot] = last.value }
    }

    private mutating func set(_ slot: Int, _ value: TemplateValue) {
        guard scopes > 0 else {
            globals[slot] = value
            return
        }
        hidden.append((slot, locals[slot]))
        locals[slot] = value
    }

    private mutating func assign(_ target: TemplateStatement.Target, _ value: TemplateValue)
        throws(TemplateError)
    {
        switch target {
        case .name(let slot): set(slot, value)
        case .tuple(let targets):
            let items = try items(of: value)
            guard items.count == targets.count else {
                throw TemplateError(
                    .evaluation,
                    "\(items.count) values cannot be taken apart into \(targets.count)")
            }
            for (target, item) in zip(targets, items) { try assign(target, item) }
        case .attribute(let slot, let name):
            guard case .namespace(let index)? = locals[slot] ?? globals[slot] else {
                throw TemplateError(
                    .evaluation, "an attribute of something that is no namespace is set")
            }
            try charge()
            namespaces[index][name] = value
        }
    }
}

// Expressions.
extension TemplateEvaluator {
    mutating func evaluate(_ expression: TemplateExpression) throws(TemplateError)
        -> TemplateValue
    {
        try charge()
        switch expression {
        case .constant(let value): return value
        case .name(let slot): return lookUp(slot)
        case .suffixed(let base, let suffixes):
            return try nested { evaluator throws(TemplateError) in
                try evaluator.apply(suffixes, to: try evaluator.evaluate(base))
            }
        case .comparison(let first, let rest):
            return try nested { evaluator throws(TemplateError) in
                try evaluator.compare(try evaluator.evaluate(first), rest)
            }
        default:
            return try nested { evaluator throws(TemplateError) in
                try evaluator.evaluateRarer(expression)
            }
        }
    }

    private mutating func evaluate(optional expression: TemplateExpression?)
        throws(TemplateError) -> TemplateValue?
    {
        guard let expression else { return nil }
        return try evaluate(expression)
    }

    private func lookUp(_ slot: Int) -> TemplateValue {
        locals[slot] ?? globals[slot] ?? .undefined(program.names[slot])
    }

    private mutating func evaluateRarer(_ expression: TemplateExpression) throws(TemplateError)
        -> TemplateValue
    {
        switch expression {
        case .not(let value): return .boolean(try !evaluate(value).isTrue)
        case .and(let terms): return try firstDecisive(terms, stopsAt: false)
        case .or(let terms): return try firstDecisive(terms, stopsAt: true)
        case .arithmetic(let first, let rest):
            var value = try evaluate(first)
            for (operation, operand) in rest {
                value = try calculate(value, operation, try evaluate(operand))
            }
            return value
        case .concatenation(let parts):
            var text = TemplateText()
            for part in parts {
                text.append(try self.text(of: evaluate(part)))
                try check(bytes: text.count)
            }
            return try value(text)
        case .conditional(let test, let then, let otherwise):
            if try evaluate(test).isTrue { return try evaluate(then) }
            return try evaluate(optional: otherwise) ?? .undefined("")
        case .list(let items): return try list(try evaluateAll(items))
        case .tuple(let items): return try tuple(try evaluateAll(items))
        case .map(let pairs): return try evaluateMap(pairs)
        case .negative(let operand):
            return try calculate(.integer(0), .subtract, try numeric(operand))
        case .positive(let operand): return try numeric(operand)
        case .constant, .name, .suffixed, .comparison: return .undefined("")
        }
    }

    private mutating func firstDecisive(_ terms: [TemplateExpression], stopsAt claim: Bool)
        throws(TemplateError) -> TemplateValue
    {
        var value = TemplateValue.none
        for term in terms {
            value = try evaluate(term)
            if value.isTrue == claim { return value }
        }
        return value
    }

    private mutating func evaluateAll(_ expressions: [TemplateExpression]) throws(TemplateError)
        -> [TemplateValue]
    {
        var values: [TemplateValue] = []
        values.reserveCapacity(expressions.count)
        for expression in expressions { values.append(try evaluate(expression)) }
        return values
    }

    private mutating func evaluateMap(
        _ pairs: [(key: TemplateExpression, value: TemplateExpression)]
    ) throws(TemplateError) -> TemplateValue {
        var entries: [TemplateMap.Entry] = []
        for pair in pairs {
            let key = try evaluate(pair.key)
            entries.append((key, try evaluate(pair.value)))
        }
        return try map(entries)
    }

    private mutating func numeric(_ operand: TemplateExpression) throws(TemplateError)
        -> TemplateValue
    {
        let value = try evaluate(operand)
        guard value.number != nil else {
            throw TemplateError(.evaluation, "\(value.kind) has no sign")
        }
        return value.integer.map(TemplateValue.integer) ?? value
    }

    private mutating func compare(
        _ first: TemplateValue,
        _ rest: [(TemplateExpression.Comparison, TemplateExpression)]
    ) throws(TemplateError) -> TemplateValue {
        var left = first
        for (comparison, operand) in rest {
            let right = try evaluate(operand)
            guard try isTrue(left, comparison, right) else { return .boolean(false) }
            left = right
        }
        return .boolean(true)
    }

    mutating func apply(_ suffixes: [TemplateSuffix], to value: TemplateValue)
        throws(TemplateError) -> TemplateValue
    {
        var value = value
        for suffix in suffixes {
            try charge()
            switch suffix {
            case .attribute(let name): value = try attribute(name, of: value)
            case .item(let expression):
                value = try item(try evaluate(expression), of: value)
            case .test(let test, let arguments, let isTrue):
                let result =
                    arguments.positional.isEmpty
                    ? try passes(test, value, [])
                    : try passes(test, value, try evaluateAll(arguments.positional))
                value = .boolean(result == isTrue)
            default: value = try applyRarer(suffix, to: value)
            }
        }
        return value
    }

    private mutating func applyRarer(_ suffix: TemplateSuffix, to value: TemplateValue)
        throws(TemplateError) -> TemplateValue
    {
        switch suffix {
        case .method(let name, let arguments):
            let arguments = try evaluate(arguments)
            switch value {
            case .text, .map, .list, .tuple, .float, .integer, .loop:
                if let result = try method(name.string, of: value, arguments) { return result }
            default: break
            }
            return try call(try attribute(name, of: value), named: name.string, arguments)
        case .slice(let from, let to, let step):
            let from = try evaluate(optional: from)
            let to = try evaluate(optional: to)
            let step = try evaluate(optional: step)
            return try slice(value, from, to, step)
        case .call(let arguments):
            return try call(value, named: nil, try evaluate(arguments))
        case .filter(let filter, let arguments):
            return try apply(filter, to: value, try evaluate(arguments))
        case .attribute, .item, .test: return value
        }
    }

    private mutating func evaluate(_ arguments: TemplateArguments) throws(TemplateError)
        -> TemplateGiven
    {
        guard !arguments.positional.isEmpty || !arguments.named.isEmpty else {
            return TemplateGiven()
        }
        var given = TemplateGiven(positional: try evaluateAll(arguments.positional))
        for argument in arguments.named {
            given.named.append((argument.name, try evaluate(argument.value)))
        }
        return given
    }
}

/// The arguments of a call, a filter or a method.
struct TemplateGiven {
    var positional: [TemplateValue] = []
    var named: [(name: String, value: TemplateValue)] = []

    /// In the order of `parameters`, nil where not given.
    func bound(to parameters: [String], of callee: String) throws(TemplateError)
        -> [TemplateValue?]
    {
        guard positional.count <= parameters.count else {
            throw TemplateError(.evaluation, "`\(callee)` is given too many arguments")
        }
        var values: [TemplateValue?] = positional
        values += Array(repeating: nil, count: parameters.count - positional.count)
        for argument in named {
            guard let place = parameters.firstIndex(of: argument.name), values[place] == nil else {
                throw TemplateError(
                    .unsupported,
                    "the argument `\(argument.name.prefix(40))` of `\(callee)` is not supported")
            }
            values[place] = argument.value
        }
        return values
    }
}

// Calls, attributes and what they need of the running evaluator.
extension TemplateEvaluator {
    private mutating func define(_ macro: TemplateStatement.Macro, slot: Int?) -> TemplateValue {
        macros.append(
            DefinedMacro(macro: macro, slot: slot, locals: locals, isGlobal: scopes == 0))
        return .macro(macros.count - 1)
    }

    private mutating func call(
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

    private mutating func call(
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

    private mutating func call(_ function: TemplateFunction, _ given: TemplateGiven)
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

    private mutating func entries(_ given: TemplateGiven, of name: String) throws(TemplateError)
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

    private mutating func range(_ given: TemplateGiven) throws(TemplateError) -> TemplateValue {
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

    private func attribute(_ name: String, ofLoop serial: Int) throws(TemplateError)
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
