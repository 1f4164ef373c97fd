import Core

/// A context-free grammar over bytes: nodes that lead to nodes, and rules that nodes call. Every
/// node can reach the end of its rule, so what follows the grammar can always be completed.
struct Grammar: Sendable {
    struct Edge: Hashable, Sendable {
        let low: UInt8
        let high: UInt8
        let next: Int32
    }

    enum Node: Sendable {
        /// One byte, as an edge has it.
        case bytes([Edge])
        /// Any of these, without a byte.
        case split([Int32])
        case call(rule: Int32, next: Int32)
        /// A rule, `min` to `max` times in a row.
        case times(rule: Int32, min: Int32, max: Int32, next: Int32)
        /// The rule ends here.
        case end
    }

    let nodes: [Node]
    /// Where each rule begins. The first is the whole.
    let rules: [Int32]
    /// The fewest bytes from a node to the end of its rule, and of each rule.
    let nodeCosts: [Int32]
    let ruleCosts: [Int32]
    /// Nodes of free text: tokens that stand for no bytes are allowed there.
    let freeNodes: Set<Int32>

    static let unbounded = Int32.max
    /// Costs stay below this; what would be above cannot be completed.
    static let costMax: Int32 = 1 << 28
}

/// Builds a grammar from its end to its beginning: each function takes the node that follows and
/// returns the node to begin with.
struct GrammarBuilder {
    private(set) var nodes: [Grammar.Node] = [.end]
    private var rules: [Int32] = []
    private var freeNodes: Set<Int32> = []
    private var named: [String: Int32] = [:]
    /// The end of whatever rule it stands in.
    let end: Int32 = 0

    static let nodesMax = 200_000

    /// Throws `tooLarge` past `nodesMax` nodes.
    mutating func add(_ node: Grammar.Node) throws -> Int32 {
        guard nodes.count < Self.nodesMax else {
            throw Failure(.invalid, "The schema is too large to be followed.")
        }
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    mutating func set(_ node: Int32, _ content: Grammar.Node) { nodes[Int(node)] = content }

    mutating func markFree(_ node: Int32) { freeNodes.insert(node) }

    func named(_ name: String) -> Int32? { named[name] }

    /// A rule without a beginning yet, so that it can be called from itself.
    mutating func reserveRule(named name: String? = nil) -> Int32 {
        rules.append(-1)
        if let name { named[name] = Int32(rules.count - 1) }
        return Int32(rules.count - 1)
    }

    mutating func define(_ rule: Int32, _ start: Int32) { rules[Int(rule)] = start }

    /// The rule of that name, built by `body` for the first who asks.
    mutating func rule(_ name: String, _ body: (inout GrammarBuilder) throws -> Int32) throws
        -> Int32
    {
        if let rule = named[name] { return rule }
        let rule = reserveRule(named: name)
        define(rule, try body(&self))
        return rule
    }

    mutating func literal(_ text: some Sequence<UInt8>, _ next: Int32) throws -> Int32 {
        try Array(text).reversed().reduce(next) { next, byte in
            try add(.bytes([Grammar.Edge(low: byte, high: byte, next: next)]))
        }
    }

    mutating func byte(_ ranges: [ClosedRange<UInt8>], _ next: Int32) throws -> Int32 {
        try add(
            .bytes(
                ranges.map { Grammar.Edge(low: $0.lowerBound, high: $0.upperBound, next: next) }))
    }

    mutating func call(_ rule: Int32, _ next: Int32) throws -> Int32 {
        try add(.call(rule: rule, next: next))
    }

    mutating func either(_ starts: [Int32]) throws -> Int32 {
        starts.count == 1 ? starts[0] : try add(.split(starts))
    }

    mutating func optional(_ start: Int32, _ next: Int32) throws -> Int32 {
        try add(.split([start, next]))
    }

    mutating func times(
        _ rule: Int32, _ min: Int, _ max: Int?, _ next: Int32
    ) throws -> Int32 {
        try add(
            .times(
                rule: rule, min: Int32(clamping: min),
                max: max.map { Int32(clamping: $0) }
                    ?? Grammar.unbounded, next: next))
    }

    /// One of these texts: a tree, so that what they have in common is read once.
    mutating func oneOf(_ texts: [[UInt8]], _ next: Int32) throws -> Int32 {
        try tree(texts.sorted { $0.lexicographicallyPrecedes($1) }[...], depth: 0, next)
    }

    private mutating func tree(_ texts: ArraySlice<[UInt8]>, depth: Int, _ next: Int32) throws
        -> Int32
    {
        // What all have in common is a chain, not a level of recursion each.
        if let first = texts.first, let last = texts.last {
            var common = depth
            while common < first.count, common < last.count, first[common] == last[common] {
                common += 1
            }
            if common > depth {
                let rest = try tree(texts, depth: common, next)
                return try literal(first[depth..<common], rest)
            }
        }
        var edges: [Grammar.Edge] = []
        var rest = texts.drop { $0.count == depth }
        let hasEnd = rest.count < texts.count
        while let first = rest.first {
            let group = rest.prefix { $0[depth] == first[depth] }
            edges.append(
                Grammar.Edge(
                    low: first[depth], high: first[depth],
                    next: try tree(group, depth: depth + 1, next)))
            rest = rest.dropFirst(group.count)
        }
        if edges.isEmpty { return next }
        let node = try add(.bytes(edges))
        return hasEnd ? try optional(node, next) : node
    }

    /// The grammar whose whole is rule `first`. Nil when something in it can never end.
    func grammar(_ first: Int32) -> Grammar? {
        let (nodeCosts, ruleCosts) = costs()
        guard ruleCosts[Int(first)] < Grammar.costMax else { return nil }
        // Branches that never end are cut off: every node that is left can.
        let kept = nodes.map { node -> Grammar.Node in
            switch node {
            case .bytes(let edges):
                .bytes(edges.filter { nodeCosts[Int($0.next)] < Grammar.costMax })
            case .split(let starts):
                .split(starts.filter { nodeCosts[Int($0)] < Grammar.costMax })
            case .times(let rule, let min, _, let next)
            where ruleCosts[Int(rule)] >= Grammar.costMax:
                min == 0 ? .split([next]) : .split([])
            default: node
            }
        }
        var order = rules
        order.insert(rules[Int(first)], at: 0)
        return Grammar(
            nodes: kept.map { $0.shifted }, rules: order, nodeCosts: nodeCosts,
            ruleCosts: [ruleCosts[Int(first)]] + ruleCosts, freeNodes: freeNodes)
    }

    /// The shortest ways, nearest first until nothing changes: a node's depends on its rule's, and
    /// a rule's on its nodes'.
    private func costs() -> (nodes: [Int32], rules: [Int32]) {
        var costs = Array(repeating: Grammar.costMax, count: nodes.count)
        var ruleCosts = Array(repeating: Grammar.costMax, count: rules.count)
        func sum(_ left: Int32, _ right: Int32) -> Int32 { min(Grammar.costMax, left + right) }
        var hasChanged = true
        while hasChanged {
            hasChanged = false
            for (index, node) in nodes.enumerated() {
                let cost: Int32 =
                    switch node {
                    case .end: 0
                    case .bytes(let edges):
                        edges.reduce(Grammar.costMax) { min($0, sum(1, costs[Int($1.next)])) }
                    case .split(let starts):
                        starts.reduce(Grammar.costMax) { min($0, costs[Int($1)]) }
                    case .call(let rule, let next): sum(ruleCosts[Int(rule)], costs[Int(next)])
                    case .times(let rule, let least, _, let next):
                        sum(
                            Int32(
                                clamping: min(
                                    Int(Grammar.costMax), Int(least) * Int(ruleCosts[Int(rule)]))),
                            costs[Int(next)])
                    }
                if cost < costs[index] {
                    costs[index] = cost
                    hasChanged = true
                }
            }
            for (rule, start) in rules.enumerated()
            where start >= 0 && costs[Int(start)] < ruleCosts[rule] {
                ruleCosts[rule] = costs[Int(start)]
                hasChanged = true
            }
        }
        return (costs, ruleCosts)
    }
}

extension Grammar.Node {
    /// Called once the whole has become rule 0 and all others have moved on by one.
    fileprivate var shifted: Grammar.Node {
        switch self {
        case .call(let rule, let next): .call(rule: rule + 1, next: next)
        case .times(let rule, let min, let max, let next):
            .times(rule: rule + 1, min: min, max: max, next: next)
        default: self
        }
    }
}
