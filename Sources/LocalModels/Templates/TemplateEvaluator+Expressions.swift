/// What expressions are worth.
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

    mutating func evaluate(optional expression: TemplateExpression?)
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

    mutating func compare(
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

    mutating func evaluate(_ arguments: TemplateArguments) throws(TemplateError)
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
