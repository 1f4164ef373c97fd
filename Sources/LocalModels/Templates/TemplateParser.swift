/// Reads a template by recursive descent, with Jinja's grammar and precedences. What Jinja has and
/// this subset has not is refused by name and line.
struct TemplateParser {
    private typealias Token = TemplateLexer.Token

    private let tokens: [(token: Token, line: Int)]
    private let limits: TemplateLimits
    private var place = 0
    private var nodes = 0
    private var nesting = 0
    private var loops = 0
    private var names: [String] = []
    private var slots: [String: Int] = [:]

    static func program(of source: String, _ limits: TemplateLimits = TemplateLimits())
        throws(TemplateError) -> TemplateProgram
    {
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: source, limits), limits)
        let body = try parser.statements(until: [])
        return TemplateProgram(body: body, names: parser.names, slots: parser.slots)
    }

    private init(tokens: [(token: Token, line: Int)], _ limits: TemplateLimits) {
        self.tokens = tokens
        self.limits = limits
    }
}

// Statements.
extension TemplateParser {
    /// Up to a block with one of the given names, whose name is the next token then; with no names
    /// to the end of the template.
    private mutating func statements(until ends: Set<String>) throws(TemplateError)
        -> [TemplateStatement]
    {
        let start = line
        try nest()
        defer { nesting -= 1 }
        var statements: [TemplateStatement] = []
        while let token = current {
            let line = line
            try count()
            switch token {
            case .text(let text):
                place += 1
                statements.append(TemplateStatement(line: line, kind: .text(.own(text))))
            case .variableBegin:
                place += 1
                let value = try tupleOrExpression()
                try expect(.variableEnd)
                statements.append(TemplateStatement(line: line, kind: .output(value)))
            case .blockBegin:
                place += 1
                guard case .name(let name) = current else { throw unexpected() }
                if ends.contains(name) { return statements }
                place += 1
                statements.append(
                    TemplateStatement(line: line, kind: try statement(name, at: line)))
            default: throw unexpected()
            }
        }
        guard ends.isEmpty else {
            let end = ends.sorted().last ?? ""
            throw TemplateError(.syntax, "{% \(end) %} is missing", line: start)
        }
        return statements
    }

    private mutating func statement(_ name: String, at line: Int) throws(TemplateError)
        -> TemplateStatement.Kind
    {
        switch name {
        case "if": return try branch()
        case "for": return try loop()
        case "set": return try assignment()
        case "macro": return try macro()
        case "call": return try callBlock(at: line)
        case "filter": return try filterBlock()
        case "with": return try with()
        case "generation": return try generation()
        case "break", "continue":
            guard loops > 0 else {
                throw TemplateError(.syntax, "{% \(name) %} is outside of a loop", line: line)
            }
            try expect(.blockEnd)
            return name == "break" ? .leave : .next
        case "elif", "else", "endif", "endfor", "endset", "endmacro", "endcall", "endfilter",
            "endwith", "endgeneration", "endraw":
            throw TemplateError(.syntax, "{% \(name) %} without its beginning", line: line)
        default:
            throw TemplateError(
                .unsupported, "the statement {% \(clip(name)) %} is not supported", line: line)
        }
    }

    private mutating func branch() throws(TemplateError) -> TemplateStatement.Kind {
        var branches: [TemplateStatement.Branch] = []
        var test: TemplateExpression? = try expression()
        while true {
            try expect(.blockEnd)
            let body = try statements(
                until: test == nil ? ["endif"] : ["elif", "else", "endif"])
            branches.append(TemplateStatement.Branch(test: test, body: body))
            switch takeName() {
            case "elif": test = try expression()
            case "else": test = nil
            default:
                try expect(.blockEnd)
                return .branch(branches)
            }
        }
    }

    private mutating func loop() throws(TemplateError) -> TemplateStatement.Kind {
        let target = try target(allowsAttribute: false)
        guard takeName() == "in" else { throw unexpected(orExpected: "in", back: 1) }
        let items = try tupleOrExpression(allowsConditional: false)
        let filter = skip("if") ? try expression() : nil
        if case .name("recursive") = current {
            throw TemplateError(
                .unsupported, "{% for … recursive %} is not supported", line: line)
        }
        try expect(.blockEnd)
        loops += 1
        let body = try statements(until: ["else", "endfor"])
        loops -= 1
        var otherwise: [TemplateStatement] = []
        if takeName() == "else" {
            try expect(.blockEnd)
            otherwise = try statements(until: ["endfor"])
            _ = takeName()
        }
        try expect(.blockEnd)
        return .loop(
            TemplateStatement.Loop(
                target: target, items: items, filter: filter, body: body, otherwise: otherwise))
    }

    private mutating func assignment() throws(TemplateError) -> TemplateStatement.Kind {
        let target = try target(allowsAttribute: true)
        if skip(symbol: "=") {
            let value = try tupleOrExpression()
            try expect(.blockEnd)
            return .assign(target, value)
        }
        let filters = try filters()
        return .assignBlock(target, filters, try body(until: "endset"))
    }

    private mutating func macro() throws(TemplateError) -> TemplateStatement.Kind {
        let name = try name()
        let slot = slot(name)
        let parameters = try parameters()
        let outer = loops
        loops = 0
        let body = try body(until: "endmacro")
        loops = outer
        return .macro(
            slot, TemplateStatement.Macro(name: name, parameters: parameters, body: body))
    }

    private mutating func callBlock(at line: Int) throws(TemplateError) -> TemplateStatement.Kind {
        var parameters: [(slot: Int, name: String, value: TemplateExpression?)] = []
        if case .symbol("(") = current { parameters = try self.parameters() }
        let call = try expression()
        guard case .suffixed(let callee, var suffixes) = call,
            case .call(var arguments) = suffixes.popLast()
        else { throw TemplateError(.syntax, "{% call %} needs a call", line: line) }
        _ = slot("caller")
        let outer = loops
        loops = 0
        let body = try body(until: "endcall")
        loops = outer
        // The caller is an argument that no template can name by accident.
        arguments.named.append((name: "caller", value: .name(slot("caller"))))
        suffixes.append(.call(arguments))
        return .call(
            .suffixed(callee, suffixes),
            caller: TemplateStatement.Macro(name: "caller", parameters: parameters, body: body))
    }

    private mutating func filterBlock() throws(TemplateError) -> TemplateStatement.Kind {
        let line = line
        var all = [try filter(at: line)]
        all += try filters()
        return .filter(all, try body(until: "endfilter"))
    }

    private mutating func with() throws(TemplateError) -> TemplateStatement.Kind {
        var assignments: [(TemplateStatement.Target, TemplateExpression)] = []
        while current != .blockEnd {
            if !assignments.isEmpty { try expect(.symbol(",")) }
            let target = try target(allowsAttribute: false, isSingle: true)
            try expect(.symbol("="))
            assignments.append((target, try expression()))
        }
        return .with(assignments, try body(until: "endwith"))
    }

    /// Marks what the assistant said, for training; nothing else.
    private mutating func generation() throws(TemplateError) -> TemplateStatement.Kind {
        .group(try body(until: "endgeneration"))
    }

    private mutating func body(until end: String) throws(TemplateError) -> [TemplateStatement] {
        try expect(.blockEnd)
        let body = try statements(until: [end])
        place += 1
        try expect(.blockEnd)
        return body
    }

    private mutating func parameters() throws(TemplateError)
        -> [(slot: Int, name: String, value: TemplateExpression?)]
    {
        var parameters: [(slot: Int, name: String, value: TemplateExpression?)] = []
        try expect(.symbol("("))
        while !skip(symbol: ")") {
            if !parameters.isEmpty { try expect(.symbol(",")) }
            if skip(symbol: ")") { break }
            let name = try name()
            let value = skip(symbol: "=") ? try expression() : nil
            if value == nil, parameters.last?.value != nil {
                throw TemplateError(
                    .syntax, "the parameter \(clip(name)) needs a default value", line: line)
            }
            parameters.append((slot(name), name, value))
        }
        return parameters
    }

    private mutating func target(allowsAttribute: Bool, isSingle: Bool = false)
        throws(TemplateError) -> TemplateStatement.Target
    {
        try nest()
        defer { nesting -= 1 }
        var targets: [TemplateStatement.Target] = []
        var isTuple = false
        while true {
            try count()
            if skip(symbol: "(") {
                targets.append(try target(allowsAttribute: false))
                try expect(.symbol(")"))
            } else {
                let slot = slot(try name())
                if allowsAttribute, skip(symbol: ".") {
                    targets.append(.attribute(slot, .own(try name())))
                } else {
                    targets.append(.name(slot))
                }
            }
            guard !isSingle, skip(symbol: ",") else { break }
            isTuple = true
            guard startsTarget else { break }
        }
        return isTuple ? .tuple(targets) : targets[0]
    }
}

// Expressions, from the loosest operator to the tightest.
extension TemplateParser {
    private var startsTarget: Bool {
        switch current {
        case .name(let name): name != "in"
        case .symbol(let symbol): symbol == "("
        default: false
        }
    }

    private mutating func tupleOrExpression(allowsConditional: Bool = true) throws(TemplateError)
        -> TemplateExpression
    {
        func one(_ parser: inout TemplateParser) throws(TemplateError) -> TemplateExpression {
            allowsConditional ? try parser.expression() : try parser.disjunction()
        }
        let first = try one(&self)
        guard case .symbol(",") = current else { return first }
        var items = [first]
        while skip(symbol: ",") {
            guard startsExpression else { break }
            items.append(try one(&self))
        }
        return .tuple(items)
    }

    private var startsExpression: Bool {
        switch current {
        case .name(let name): name != "if" && name != "recursive"
        case .string, .integer, .float: true
        case .symbol(let symbol): ["(", "[", "{", "-", "+"].contains(symbol)
        default: false
        }
    }

    private mutating func expression() throws(TemplateError) -> TemplateExpression {
        try nest()
        defer { nesting -= 1 }
        var then = try disjunction()
        // `a if b else c if d else e` leans to the right, and is read in a loop.
        var pending: [(then: TemplateExpression, test: TemplateExpression)] = []
        while skip("if") {
            let test = try disjunction()
            guard skip("else") else {
                var result = TemplateExpression.conditional(test: test, then: then, otherwise: nil)
                // `a if b if c`: the first choice is what the second chooses.
                var choices = pending.count
                while skip("if") {
                    choices += 1
                    guard choices < limits.nestingMax else { throw tooDeep() }
                    result = .conditional(
                        test: try disjunction(), then: result,
                        otherwise: skip("else") ? try expression() : nil)
                }
                return nested(pending, last: result)
            }
            pending.append((then, test))
            guard pending.count < limits.nestingMax else { throw tooDeep() }
            then = try disjunction()
        }
        return nested(pending, last: then)
    }

    private func nested(
        _ pending: [(then: TemplateExpression, test: TemplateExpression)],
        last: TemplateExpression
    ) -> TemplateExpression {
        pending.reversed().reduce(last) {
            .conditional(test: $1.test, then: $1.then, otherwise: $0)
        }
    }

    private mutating func disjunction() throws(TemplateError) -> TemplateExpression {
        let first = try conjunction()
        guard case .name("or") = current else { return first }
        var terms = [first]
        while skip("or") { terms.append(try conjunction()) }
        return .or(terms)
    }

    private mutating func conjunction() throws(TemplateError) -> TemplateExpression {
        let first = try negation()
        guard case .name("and") = current else { return first }
        var terms = [first]
        while skip("and") { terms.append(try negation()) }
        return .and(terms)
    }

    private mutating func negation() throws(TemplateError) -> TemplateExpression {
        var isNegated = false
        var count = 0
        while skip("not") {
            isNegated.toggle()
            count += 1
        }
        let value = try comparison()
        if count == 0 { return value }
        return isNegated ? .not(value) : .not(.not(value))
    }

    private mutating func comparison() throws(TemplateError) -> TemplateExpression {
        let first = try sum()
        var rest: [(TemplateExpression.Comparison, TemplateExpression)] = []
        while true {
            if case .symbol(let symbol) = current,
                let comparison = TemplateExpression.Comparison(rawValue: symbol)
            {
                place += 1
                rest.append((comparison, try sum()))
            } else if skip("in") {
                rest.append((.within, try sum()))
            } else if case .name("not") = current, case .name("in") = peek {
                place += 2
                rest.append((.notWithin, try sum()))
            } else {
                return rest.isEmpty ? first : .comparison(first, rest)
            }
        }
    }

    private mutating func sum() throws(TemplateError) -> TemplateExpression {
        let first = try concatenation()
        var rest: [(TemplateExpression.Operator, TemplateExpression)] = []
        while case .symbol(let symbol) = current, symbol == "+" || symbol == "-" {
            place += 1
            rest.append((symbol == "+" ? .add : .subtract, try concatenation()))
        }
        return rest.isEmpty ? first : .arithmetic(first, rest)
    }

    private mutating func concatenation() throws(TemplateError) -> TemplateExpression {
        let first = try product()
        guard case .symbol("~") = current else { return first }
        var parts = [first]
        while skip(symbol: "~") { parts.append(try product()) }
        return .concatenation(parts)
    }

    private mutating func product() throws(TemplateError) -> TemplateExpression {
        let first = try power()
        var rest: [(TemplateExpression.Operator, TemplateExpression)] = []
        while case .symbol(let symbol) = current, ["*", "/", "//", "%"].contains(symbol),
            let operation = TemplateExpression.Operator(rawValue: symbol)
        {
            place += 1
            rest.append((operation, try power()))
        }
        return rest.isEmpty ? first : .arithmetic(first, rest)
    }

    private mutating func power() throws(TemplateError) -> TemplateExpression {
        let first = try unary()
        var rest: [(TemplateExpression.Operator, TemplateExpression)] = []
        while skip(symbol: "**") { rest.append((.power, try unary())) }
        return rest.isEmpty ? first : .arithmetic(first, rest)
    }

    private mutating func unary() throws(TemplateError) -> TemplateExpression {
        var signs: [String] = []
        while case .symbol(let symbol) = current, symbol == "-" || symbol == "+" {
            place += 1
            signs.append(symbol)
            guard signs.count <= limits.nestingMax else { throw tooDeep() }
        }
        var value = try primary()
        var suffixes: [TemplateSuffix] = []
        try postfixes(&suffixes)
        if signs.isEmpty {
            try filtersAndTests(&suffixes)
            return suffixes.isEmpty ? value : .suffixed(value, suffixes)
        }
        if !suffixes.isEmpty { value = .suffixed(value, suffixes) }
        for sign in signs.reversed() { value = sign == "-" ? .negative(value) : .positive(value) }
        suffixes = []
        try filtersAndTests(&suffixes)
        return suffixes.isEmpty ? value : .suffixed(value, suffixes)
    }

    private mutating func primary() throws(TemplateError) -> TemplateExpression {
        try count()
        guard let token = current else { throw unexpected() }
        place += 1
        switch token {
        case .name(let name):
            switch name {
            case "true", "True": return .constant(.boolean(true))
            case "false", "False": return .constant(.boolean(false))
            case "none", "None": return .constant(.none)
            case "and", "or", "not", "in", "is", "if", "else": throw unexpected(back: 1)
            case "varargs", "kwargs", "self":
                throw TemplateError(
                    .unsupported, "the variable `\(name)` is not supported", line: line)
            default: return .name(slot(name))
            }
        case .string(var text):
            while case .string(let more) = current {
                text += more
                place += 1
            }
            return .constant(.own(text))
        case .integer(let number): return .constant(.integer(number))
        case .float(let number): return .constant(.float(number))
        case .symbol("("): return try parenthesised()
        case .symbol("["):
            return .list(try items(until: "]"))
        case .symbol("{"): return try mapping()
        default: throw unexpected(back: 1)
        }
    }

    private mutating func parenthesised() throws(TemplateError) -> TemplateExpression {
        if skip(symbol: ")") { return .tuple([]) }
        let value = try tupleOrExpression()
        try expect(.symbol(")"))
        return value
    }

    private mutating func items(until end: String) throws(TemplateError) -> [TemplateExpression] {
        var items: [TemplateExpression] = []
        while !skip(symbol: end) {
            if !items.isEmpty { try expect(.symbol(",")) }
            if skip(symbol: end) { break }
            items.append(try expression())
        }
        return items
    }

    private mutating func mapping() throws(TemplateError) -> TemplateExpression {
        var entries: [(key: TemplateExpression, value: TemplateExpression)] = []
        while !skip(symbol: "}") {
            if !entries.isEmpty { try expect(.symbol(",")) }
            if skip(symbol: "}") { break }
            let key = try expression()
            try expect(.symbol(":"))
            entries.append((key, try expression()))
        }
        return .map(entries)
    }

    private mutating func postfixes(_ suffixes: inout [TemplateSuffix]) throws(TemplateError) {
        while case .symbol(let symbol) = current {
            try count()
            switch symbol {
            case ".":
                place += 1
                if case .integer(let number) = current {
                    place += 1
                    suffixes.append(.item(.constant(.integer(number))))
                    continue
                }
                let name = TemplateText.own(try name())
                if case .symbol("(") = current {
                    suffixes.append(.method(name, try arguments()))
                } else {
                    suffixes.append(.attribute(name))
                }
            case "[":
                place += 1
                suffixes.append(try subscription())
            case "(": suffixes.append(.call(try arguments()))
            default: return
            }
        }
    }

    private mutating func subscription() throws(TemplateError) -> TemplateSuffix {
        var parts: [TemplateExpression?] = [nil]
        while !skip(symbol: "]") {
            if skip(symbol: ":") {
                parts.append(nil)
                guard parts.count <= 3 else { throw unexpected(back: 1) }
            } else if parts[parts.count - 1] == nil {
                parts[parts.count - 1] = try expression()
            } else {
                throw unexpected()
            }
        }
        if parts.count > 1 { return .slice(parts[0], parts[1], parts.count > 2 ? parts[2] : nil) }
        guard let item = parts[0] else { throw unexpected(back: 1) }
        return .item(item)
    }

    private mutating func arguments() throws(TemplateError) -> TemplateArguments {
        var arguments = TemplateArguments()
        try expect(.symbol("("))
        var isFirst = true
        while !skip(symbol: ")") {
            if !isFirst { try expect(.symbol(",")) }
            isFirst = false
            if skip(symbol: ")") { break }
            if case .symbol(let symbol) = current, symbol == "*" || symbol == "**" {
                throw TemplateError(
                    .unsupported, "unpacking arguments with \(symbol) is not supported", line: line)
            }
            if case .name(let name) = current, case .symbol("=") = peek {
                place += 2
                arguments.named.append((name, try expression()))
            } else {
                guard arguments.named.isEmpty else { throw unexpected() }
                arguments.positional.append(try expression())
            }
        }
        return arguments
    }

    private mutating func filtersAndTests(_ suffixes: inout [TemplateSuffix])
        throws(TemplateError)
    {
        while true {
            let line = line
            if skip(symbol: "|") {
                suffixes.append(try filter(at: line))
            } else if skip("is") {
                suffixes.append(try test(at: line))
            } else if case .symbol("(") = current {
                suffixes.append(.call(try arguments()))
            } else {
                return
            }
        }
    }

    private mutating func filters() throws(TemplateError) -> [TemplateSuffix] {
        var filters: [TemplateSuffix] = []
        while skip(symbol: "|") { filters.append(try filter(at: line)) }
        return filters
    }

    private mutating func filter(at line: Int) throws(TemplateError) -> TemplateSuffix {
        try count()
        let name = try name()
        guard let filter = TemplateFilter(rawValue: name) else {
            throw TemplateError(
                .unsupported, "the filter `\(clip(name))` is not supported", line: line)
        }
        guard case .symbol("(") = current else { return .filter(filter, TemplateArguments()) }
        return .filter(filter, try arguments())
    }

    private mutating func test(at line: Int) throws(TemplateError) -> TemplateSuffix {
        try count()
        let isTrue = !skip("not")
        let name = try name()
        guard let test = TemplateTest(rawValue: name) else {
            throw TemplateError(
                .unsupported, "the test `is \(clip(name))` is not supported", line: line)
        }
        if case .symbol("(") = current {
            return .test(test, try arguments(), isTrue: isTrue)
        }
        var arguments = TemplateArguments()
        if startsTestArgument {
            let value = try primary()
            var suffixes: [TemplateSuffix] = []
            try postfixes(&suffixes)
            arguments.positional = [suffixes.isEmpty ? value : .suffixed(value, suffixes)]
        }
        return .test(test, arguments, isTrue: isTrue)
    }

    /// What can be the argument of a test without parentheses, as in `is divisibleby 3`.
    private var startsTestArgument: Bool {
        switch current {
        case .name(let name): !["else", "or", "and", "if", "is", "in", "not"].contains(name)
        case .string, .integer, .float: true
        case .symbol(let symbol): symbol == "[" || symbol == "{"
        default: false
        }
    }
}

// Tokens.
extension TemplateParser {
    private var current: Token? { place < tokens.count ? tokens[place].token : nil }
    private var peek: Token? { place + 1 < tokens.count ? tokens[place + 1].token : nil }
    private var line: Int { place < tokens.count ? tokens[place].line : tokens.last?.line ?? 1 }

    private mutating func slot(_ name: String) -> Int {
        if let slot = slots[name] { return slot }
        slots[name] = names.count
        names.append(name)
        return names.count - 1
    }

    private mutating func name() throws(TemplateError) -> String {
        guard case .name(let name) = current else { throw unexpected() }
        place += 1
        return name
    }

    /// The name of the block that ended a list of statements.
    private mutating func takeName() -> String {
        guard case .name(let name) = current else { return "" }
        place += 1
        return name
    }

    private mutating func skip(_ name: String) -> Bool {
        guard case .name(let found) = current, found == name else { return false }
        place += 1
        return true
    }

    private mutating func skip(symbol: String) -> Bool {
        guard case .symbol(let found) = current, found == symbol else { return false }
        place += 1
        return true
    }

    private mutating func expect(_ token: Token) throws(TemplateError) {
        guard current == token else { throw unexpected() }
        place += 1
    }

    private mutating func count() throws(TemplateError) {
        nodes += 1
        guard nodes <= limits.nodesMax else {
            throw TemplateError(
                .limit, "it has more than \(limits.nodesMax) statements and expressions",
                line: line)
        }
    }

    private mutating func nest() throws(TemplateError) {
        nesting += 1
        guard nesting <= limits.nestingMax else { throw tooDeep() }
    }

    private func tooDeep() -> TemplateError {
        TemplateError(
            .limit, "more than \(limits.nestingMax) constructs are inside each other", line: line)
    }

    private func unexpected(orExpected expected: String? = nil, back: Int = 0) -> TemplateError {
        let place = max(0, self.place - back)
        guard place < tokens.count else {
            return TemplateError(.syntax, "it ends too early", line: line)
        }
        let found =
            switch tokens[place].token {
            case .text: "text"
            case .blockBegin: "{%"
            case .blockEnd: "%}"
            case .variableBegin: "{{"
            case .variableEnd: "}}"
            case .name(let name): "`\(clip(name))`"
            case .string: "a text"
            case .integer(let number): "\(number)"
            case .float(let number): "\(number)"
            case .symbol(let symbol): "`\(symbol)`"
            }
        return TemplateError(
            .syntax, "an unexpected \(found)" + (expected.map { " instead of `\($0)`" } ?? ""),
            line: tokens[place].line)
    }

    private func clip(_ name: String) -> String { String(name.prefix(40)) }
}
