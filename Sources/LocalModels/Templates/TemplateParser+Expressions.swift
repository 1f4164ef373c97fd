/// Expressions, from the loosest operator to the tightest.
extension TemplateParser {
    var startsTarget: Bool {
        switch current {
        case .name(let name): name != "in"
        case .symbol(let symbol): symbol == "("
        default: false
        }
    }

    mutating func tupleOrExpression(allowsConditional: Bool = true) throws(TemplateError)
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

    mutating func expression() throws(TemplateError) -> TemplateExpression {
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

    mutating func items(until end: String) throws(TemplateError) -> [TemplateExpression] {
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

    mutating func arguments() throws(TemplateError) -> TemplateArguments {
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

    mutating func filters() throws(TemplateError) -> [TemplateSuffix] {
        var filters: [TemplateSuffix] = []
        while skip(symbol: "|") { filters.append(try filter(at: line)) }
        return filters
    }

    mutating func filter(at line: Int) throws(TemplateError) -> TemplateSuffix {
        try count()
        let name = try name()
        guard let filter = TemplateFilter(rawValue: name) else {
            throw TemplateError(
                .unsupported, "the filter `\(clip(name))` is not supported", line: line)
        }
        guard case .symbol("(") = current else { return .filter(filter, TemplateArguments()) }
        return .filter(filter, try arguments())
    }

    mutating func test(at line: Int) throws(TemplateError) -> TemplateSuffix {
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
