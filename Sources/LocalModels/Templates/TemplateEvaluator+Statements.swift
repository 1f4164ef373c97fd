/// The statements, run one after the other.
extension TemplateEvaluator {
    mutating func run(_ statements: [TemplateStatement]) throws(TemplateError) -> Flow {
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
    mutating func run(_ statement: TemplateStatement) throws(TemplateError) -> Flow {
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

    mutating func run(_ loop: TemplateStatement.Loop) throws(TemplateError) -> Flow {
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

    mutating func nested<T>(
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

    mutating func set(_ slot: Int, _ value: TemplateValue) {
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
