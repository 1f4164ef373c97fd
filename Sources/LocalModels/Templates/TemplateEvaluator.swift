/// Runs a template once. Every node, byte and item costs steps of a budget, and depth is counted,
/// so that any template ends in bounded time and memory.
struct TemplateEvaluator {
    let program: TemplateProgram
    let limits: TemplateLimits
    /// The moment that `strftime_now` tells, in seconds since 1970.
    let now: Int64

    private(set) var steps = 0
    var depth = 0
    /// Of the statement that runs.
    var line = 0
    var output = TemplateText()

    /// What is set outside of loops, macros and other scopes, by slot.
    var globals: [TemplateValue?]
    /// What is set in the scopes of the running macro, or of the template outside of macros.
    var locals: [TemplateValue?]
    /// What the scopes hid, to put back when they end.
    var hidden: [(slot: Int, value: TemplateValue?)] = []
    var scopes = 0

    let loopSlot: Int?
    var loops: [RunningLoop] = []
    var loopsBegun = 0
    var macros: [DefinedMacro] = []
    var namespaces: [[TemplateText: TemplateValue]] = []

    struct RunningLoop {
        let serial: Int
        let items: [TemplateValue]
        var index = 0
        var changed: [TemplateValue]?
    }

    struct DefinedMacro {
        let macro: TemplateStatement.Macro
        let slot: Int?
        /// The scopes around its definition, as they were then.
        let locals: [TemplateValue?]
        let isGlobal: Bool
    }

    enum Flow { case normal, leave, next }

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

    func check(depth: Int, weight: Int) throws(TemplateError) {
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
