import Core

/// Reads bytes by a grammar: an automaton whose states are sets of stacks, made when they are first
/// come to and kept, so that most steps are one look into a table.
struct GrammarMatcher: Sendable {
    /// A place to go on from: a node, how often its rule was read, and where its own rule goes on.
    private struct Frame: Hashable {
        let node: Int32
        let count: Int32
        let parent: Int32
    }

    static let dead: Int32 = -1
    private static let unknown: Int32 = -2
    private static let top: Int32 = -1
    /// A state takes a kilobyte. Past this many, all but the current one are forgotten.
    private static let statesKept = 4096
    /// While one mask is made nothing can be forgotten; past this many, nothing new is learnt.
    private static let statesMax = 32_768
    private static let configurationsMax = 8192

    private let grammar: Grammar
    private var frames: [Frame] = []
    /// The fewest bytes from a frame to the end of everything.
    private var frameCosts: [Int32] = []
    private var frameIndex: [Frame: Int32] = [:]
    private var states: [[Int32]] = []
    private var stateIndex: [[Int32]: Int32] = [:]
    private var accepting: [Bool] = []
    private var free: [Bool] = []
    private var costs: [Int32] = []
    private var transitions: [Int32] = []
    /// Counts how often everything was forgotten: what others remember about a state ends then.
    private(set) var generation = 0

    /// The state before the first byte.
    private(set) var start: Int32 = 0

    init(_ grammar: Grammar) {
        self.grammar = grammar
        start = state(closing: [frame(grammar.rules[0], 0, Self.top)])
    }

    /// Whether what was read is complete.
    func isAccepting(_ state: Int32) -> Bool { accepting[Int(state)] }

    /// Whether the state is one of free text.
    func isFree(_ state: Int32) -> Bool { free[Int(state)] }

    /// Whether nothing may follow.
    func isFinal(_ state: Int32) -> Bool { states[Int(state)].isEmpty }

    /// The fewest bytes that complete what was read.
    func cost(_ state: Int32) -> Int { Int(costs[Int(state)]) }

    /// The state after a byte, or `dead`.
    mutating func step(_ state: Int32, _ byte: UInt8) -> Int32 {
        let known = transitions[Int(state) << 8 | Int(byte)]
        return known != Self.unknown ? known : learn(state, byte)
    }

    mutating func step(_ state: Int32, _ bytes: some Sequence<UInt8>) -> Int32 {
        var state = state
        for byte in bytes {
            state = step(state, byte)
            if state == Self.dead { break }
        }
        return state
    }

    /// The shortest bytes that complete what was read, or the first `max` of them. Nil when the
    /// way there has more states than are kept.
    mutating func completion(of state: Int32, max: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        var state = state
        while bytes.count < max, cost(state) > 0 {
            guard let byte = nearest(state) else { return nil }
            bytes.append(byte)
            state = step(state, byte)
            guard state != Self.dead else { return nil }
        }
        return bytes
    }

    /// Forgets all states but this one, when there are many. Returns what it is called now.
    mutating func tidied(_ state: Int32) -> Int32 {
        guard states.count > Self.statesKept else { return state }
        let (configurations, wasAccepting) = (states[Int(state)], accepting[Int(state)])
        let kept = configurations.map { chain(of: $0) }
        (frames, frameCosts, frameIndex) = ([], [], [:])
        (states, stateIndex, transitions) = ([], [:], [])
        (accepting, free, costs) = ([], [], [])
        generation += 1
        let again = kept.map { chain in
            chain.reversed().reduce(Self.top) { frame($1.node, $1.count, $0) }
        }
        return intern(again.sorted(), isAccepting: wasAccepting)
    }

    private func chain(of index: Int32) -> [Frame] {
        var chain: [Frame] = []
        var index = index
        while index != Self.top {
            chain.append(frames[Int(index)])
            index = frames[Int(index)].parent
        }
        return chain
    }

    /// The byte that leads to the nearest end.
    private func nearest(_ state: Int32) -> UInt8? {
        var best: (cost: Int, byte: UInt8)?
        for configuration in states[Int(state)] {
            let frame = frames[Int(configuration)]
            guard case .bytes(let edges) = grammar.nodes[Int(frame.node)] else { continue }
            let above = frame.parent == Self.top ? 0 : Int(frameCosts[Int(frame.parent)])
            for edge in edges {
                let cost = Int(grammar.nodeCosts[Int(edge.next)]) + above
                if best.map({ cost < $0.cost }) ?? true { best = (cost, edge.low) }
            }
        }
        return best?.byte
    }

    private mutating func learn(_ state: Int32, _ byte: UInt8) -> Int32 {
        guard states.count < Self.statesMax else { return Self.dead }
        var reached: [Int32] = []
        for configuration in states[Int(state)] {
            let from = frames[Int(configuration)]
            guard case .bytes(let edges) = grammar.nodes[Int(from.node)] else { continue }
            for edge in edges where edge.low <= byte && byte <= edge.high {
                reached.append(frame(edge.next, 0, from.parent))
            }
        }
        let next = reached.isEmpty ? Self.dead : self.state(closing: reached)
        transitions[Int(state) << 8 | Int(byte)] = next
        return next
    }

    /// Follows everything that takes no byte.
    private mutating func state(closing reached: [Int32]) -> Int32 {
        var open = reached
        var seen = Set(reached)
        var configurations: [Int32] = []
        var isAccepting = false
        func visit(_ frame: Int32) {
            if seen.count < Self.configurationsMax, seen.insert(frame).inserted {
                open.append(frame)
            }
        }
        while let index = open.popLast() {
            let here = frames[Int(index)]
            switch grammar.nodes[Int(here.node)] {
            case .bytes: configurations.append(index)
            case .split(let starts): for start in starts { visit(frame(start, 0, here.parent)) }
            case .call(let rule, let next):
                visit(frame(grammar.rules[Int(rule)], 0, pushed(next, 0, here.parent)))
            case .times(let rule, let min, let max, let next):
                if here.count < max {
                    // Without an upper bound, past the lower one it does not matter how many.
                    let isOpen = max == Grammar.unbounded && here.count >= min
                    let count = isOpen ? here.count : here.count + 1
                    let again = pushed(here.node, count, here.parent)
                    visit(frame(grammar.rules[Int(rule)], 0, again))
                }
                if here.count >= min { visit(frame(next, 0, here.parent)) }
            case .end:
                if here.parent == Self.top {
                    isAccepting = true
                } else {
                    visit(here.parent)
                }
            }
        }
        return intern(configurations.sorted(), isAccepting: isAccepting)
    }

    /// Where a called rule goes on. A call that is the last of its rule needs no place of its own.
    private mutating func pushed(_ node: Int32, _ count: Int32, _ parent: Int32) -> Int32 {
        if case .end = grammar.nodes[Int(node)] { return parent }
        return frame(node, count, parent)
    }

    private mutating func frame(_ node: Int32, _ count: Int32, _ parent: Int32) -> Int32 {
        let frame = Frame(node: node, count: count, parent: parent)
        if let index = frameIndex[frame] { return index }
        let index = Int32(frames.count)
        var cost = Int(grammar.nodeCosts[Int(node)])
        if case .times(let rule, let min, _, let next) = grammar.nodes[Int(node)] {
            cost =
                Int(max(0, min - count)) * Int(grammar.ruleCosts[Int(rule)])
                + Int(grammar.nodeCosts[Int(next)])
        }
        if parent != Self.top { cost += Int(frameCosts[Int(parent)]) }
        frames.append(frame)
        frameCosts.append(Int32(min(cost, Int(Grammar.costMax))))
        frameIndex[frame] = index
        return index
    }

    private mutating func intern(_ configurations: [Int32], isAccepting: Bool) -> Int32 {
        // The end is a configuration too: two states may differ in nothing else.
        let key = isAccepting ? configurations + [Self.top] : configurations
        if let state = stateIndex[key] { return state }
        let state = Int32(states.count)
        stateIndex[key] = state
        states.append(configurations)
        accepting.append(isAccepting)
        free.append(configurations.contains { grammar.freeNodes.contains(frames[Int($0)].node) })
        let cost = configurations.map { frameCosts[Int($0)] }.min() ?? 0
        costs.append(isAccepting ? 0 : cost)
        transitions.append(contentsOf: repeatElement(Self.unknown, count: 256))
        return state
    }
}
