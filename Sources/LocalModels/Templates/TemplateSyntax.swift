/// A template as read: statements, and the names they use as slots.
struct TemplateProgram: Sendable {
    let body: [TemplateStatement]
    /// The name of each slot.
    let names: [String]
    /// The slots that the evaluator or its caller fills.
    let slots: [String: Int]
}

struct TemplateStatement: Sendable {
    let line: Int
    let kind: Kind

    indirect enum Kind: Sendable {
        case text(TemplateText)
        case output(TemplateExpression)
        case branch([Branch])
        case loop(Loop)
        case assign(Target, TemplateExpression)
        case assignBlock(Target, [TemplateSuffix], [TemplateStatement])
        case macro(Int, Macro)
        case call(TemplateExpression, caller: Macro)
        case filter([TemplateSuffix], [TemplateStatement])
        case with([(Target, TemplateExpression)], [TemplateStatement])
        /// Statements that are always run, in the scope they are in.
        case group([TemplateStatement])
        case leave
        case next
    }

    struct Branch: Sendable {
        /// Nil for `else`.
        let test: TemplateExpression?
        let body: [TemplateStatement]
    }

    struct Loop: Sendable {
        let target: Target
        let items: TemplateExpression
        let filter: TemplateExpression?
        let body: [TemplateStatement]
        let otherwise: [TemplateStatement]
    }

    struct Macro: Sendable {
        let name: String
        let parameters: [(slot: Int, name: String, value: TemplateExpression?)]
        let body: [TemplateStatement]
    }

    /// What can stand left of `=` and between `for` and `in`.
    indirect enum Target: Sendable {
        case name(Int)
        case tuple([Target])
        /// An attribute of a namespace.
        case attribute(Int, TemplateText)
    }
}

indirect enum TemplateExpression: Sendable {
    case constant(TemplateValue)
    case name(Int)
    case list([TemplateExpression])
    case tuple([TemplateExpression])
    case map([(key: TemplateExpression, value: TemplateExpression)])
    /// Attributes, subscripts, calls, filters and tests, in the order written.
    case suffixed(TemplateExpression, [TemplateSuffix])
    case negative(TemplateExpression)
    case positive(TemplateExpression)
    case not(TemplateExpression)
    /// Operators of one precedence, from left to right. A chain is one node, so that a long one is
    /// not a deep one.
    case arithmetic(TemplateExpression, [(Operator, TemplateExpression)])
    case concatenation([TemplateExpression])
    case and([TemplateExpression])
    case or([TemplateExpression])
    case comparison(TemplateExpression, [(Comparison, TemplateExpression)])
    case conditional(
        test: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)

    enum Operator: String, Sendable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
        case floorDivide = "//"
        case modulo = "%"
        case power = "**"
    }

    enum Comparison: String, Sendable {
        case equal = "=="
        case unequal = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case within = "in"
        case notWithin = "not in"
    }
}

/// What follows an expression and makes another of it.
enum TemplateSuffix: Sendable {
    case attribute(TemplateText)
    case method(TemplateText, TemplateArguments)
    case item(TemplateExpression)
    case slice(TemplateExpression?, TemplateExpression?, TemplateExpression?)
    case call(TemplateArguments)
    case filter(TemplateFilter, TemplateArguments)
    case test(TemplateTest, TemplateArguments, isTrue: Bool)
}

struct TemplateArguments: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
}

/// The filters there are, by the names templates use.
enum TemplateFilter: String, Sendable {
    case abs, capitalize, count, d, `default`, dictsort, e, escape, first, float, format, indent,
        int
    case items, join, last, length, list, lower, map, max, min, reject, rejectattr, replace, reverse
    case round, safe, select, selectattr, sort, string, sum, title, tojson, trim, unique, upper
}

/// The tests there are.
enum TemplateTest: String, Sendable {
    case boolean, callable, defined, divisibleby, eq, equalto, even, `false`, float, ge, greaterthan
    case gt, `in`, integer, iterable, le, lessthan, lower, lt, mapping, ne, none, number, odd,
        sameas
    case sequence, string, `true`, undefined, upper
    case equals = "=="
    case unequals = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
}
