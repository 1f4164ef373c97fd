/// Jinja's tests: what can stand after `is`.
extension TemplateEvaluator {
    mutating func passes(
        _ test: TemplateTest, _ value: TemplateValue, _ arguments: [TemplateValue]
    ) throws(TemplateError) -> Bool {
        switch test {
        case .defined: if case .undefined = value { false } else { true }
        case .undefined: if case .undefined = value { true } else { false }
        case .none: if case .none = value { true } else { false }
        case .boolean: if case .boolean = value { true } else { false }
        case .true: if case .boolean(true) = value { true } else { false }
        case .false: if case .boolean(false) = value { true } else { false }
        case .string: if case .text = value { true } else { false }
        case .integer: if case .integer = value { true } else { false }
        case .float: if case .float = value { true } else { false }
        case .number: value.number != nil
        case .mapping: if case .map = value { true } else { false }
        case .sequence, .iterable:
            switch value {
            case .text, .list, .tuple, .map, .undefined: true
            case .loop: test == .iterable
            default: false
            }
        case .callable:
            switch value {
            case .function, .macro: true
            default: false
            }
        case .lower, .upper: try isCased(value, test)
        case .odd, .even: try isEven(value) == (test == .even)
        default: try passesRelation(test, value, arguments)
        }
    }

    private mutating func isCased(_ value: TemplateValue, _ test: TemplateTest)
        throws(TemplateError) -> Bool
    {
        let text = try text(of: value)
        try charge(text.count)
        let scalars = text.string.unicodeScalars
        let wanted: (Unicode.Scalar) -> Bool = {
            test == .lower ? $0.properties.isLowercase : $0.properties.isUppercase
        }
        let unwanted: (Unicode.Scalar) -> Bool = {
            test == .lower ? $0.properties.isUppercase : $0.properties.isLowercase
        }
        return scalars.contains(where: wanted) && !scalars.contains(where: unwanted)
    }

    private func isEven(_ value: TemplateValue) throws(TemplateError) -> Bool {
        guard let number = value.integer else {
            throw TemplateError(.evaluation, "\(value.kind) is neither odd nor even")
        }
        return number.isMultiple(of: 2)
    }

    private mutating func passesRelation(
        _ test: TemplateTest, _ value: TemplateValue, _ arguments: [TemplateValue]
    ) throws(TemplateError) -> Bool {
        guard arguments.count == 1, let other = arguments.first else {
            throw TemplateError(.evaluation, "the test `is \(test.rawValue)` needs one value")
        }
        switch test {
        case .eq, .equalto, .equals: return try isEqual(value, other)
        case .ne, .unequals: return !(try isEqual(value, other))
        case .lt, .lessthan, .less: return try isTrue(value, .less, other)
        case .le, .lessOrEqual: return try isTrue(value, .lessOrEqual, other)
        case .gt, .greaterthan, .greater: return try isTrue(value, .greater, other)
        case .ge, .greaterOrEqual: return try isTrue(value, .greaterOrEqual, other)
        case .in: return try contains(other, value)
        case .sameas:
            switch (value, other) {
            case (.boolean(let left), .boolean(let right)): return left == right
            case (.none, .none): return true
            case (.boolean, _), (_, .boolean), (.none, _), (_, .none): return false
            default:
                throw TemplateError(.unsupported, "`is sameas` of \(value.kind) is not supported")
            }
        default:
            guard let number = value.integer, let divisor = other.integer, divisor != 0 else {
                throw TemplateError(.evaluation, "`is divisibleby` needs whole numbers but 0")
            }
            return number.isMultiple(of: divisor)
        }
    }
}
