/// Statements, up to the block that ends them.
extension TemplateParser {
    /// Up to a block with one of the given names, whose name is the next token then; with no names
    /// to the end of the template.
    mutating func statements(until ends: Set<String>) throws(TemplateError)
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

    mutating func loop() throws(TemplateError) -> TemplateStatement.Kind {
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

    mutating func with() throws(TemplateError) -> TemplateStatement.Kind {
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

    mutating func body(until end: String) throws(TemplateError) -> [TemplateStatement] {
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
