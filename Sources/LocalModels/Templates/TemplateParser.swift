/// Reads a template by recursive descent, with Jinja's grammar and precedences. What Jinja has and
/// this subset has not is refused by name and line.
struct TemplateParser {
    typealias Token = TemplateLexer.Token

    private let tokens: [(token: Token, line: Int)]
    let limits: TemplateLimits
    var place = 0
    private var nodes = 0
    var nesting = 0
    var loops = 0
    var names: [String] = []
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

// Tokens.
extension TemplateParser {
    var current: Token? { place < tokens.count ? tokens[place].token : nil }
    var peek: Token? { place + 1 < tokens.count ? tokens[place + 1].token : nil }
    var line: Int { place < tokens.count ? tokens[place].line : tokens.last?.line ?? 1 }

    mutating func slot(_ name: String) -> Int {
        if let slot = slots[name] { return slot }
        slots[name] = names.count
        names.append(name)
        return names.count - 1
    }

    mutating func name() throws(TemplateError) -> String {
        guard case .name(let name) = current else { throw unexpected() }
        place += 1
        return name
    }

    /// The name of the block that ended a list of statements.
    mutating func takeName() -> String {
        guard case .name(let name) = current else { return "" }
        place += 1
        return name
    }

    mutating func skip(_ name: String) -> Bool {
        guard case .name(let found) = current, found == name else { return false }
        place += 1
        return true
    }

    mutating func skip(symbol: String) -> Bool {
        guard case .symbol(let found) = current, found == symbol else { return false }
        place += 1
        return true
    }

    mutating func expect(_ token: Token) throws(TemplateError) {
        guard current == token else { throw unexpected() }
        place += 1
    }

    mutating func count() throws(TemplateError) {
        nodes += 1
        guard nodes <= limits.nodesMax else {
            throw TemplateError(
                .limit, "it has more than \(limits.nodesMax) statements and expressions",
                line: line)
        }
    }

    mutating func nest() throws(TemplateError) {
        nesting += 1
        guard nesting <= limits.nestingMax else { throw tooDeep() }
    }

    func tooDeep() -> TemplateError {
        TemplateError(
            .limit, "more than \(limits.nestingMax) constructs are inside each other", line: line)
    }

    func unexpected(orExpected expected: String? = nil, back: Int = 0) -> TemplateError {
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

    func clip(_ name: String) -> String { String(name.prefix(40)) }
}
