import Core

/// Keeps an answer to a grammar, token by token: says which tokens may come next, and brings the
/// answer to its end before the room for it is used up.
///
/// Belongs to one answer.
struct OutputConstraint: Sendable {
    private let trie: TokenTrie
    private let endTokens: Set<Int32>
    private var matcher: GrammarMatcher
    private var state: Int32
    private var masks: [Int32: [UInt64]] = [:]
    private var masksGeneration = 0

    // A mask is up to 32 kilobytes; an answer comes through few states more than once.
    private static let masksKept = 64
    // Answers that are longer at their shortest are not brought to their end in time.
    private static let completionBytesMax = 16 * 1024

    init(_ grammar: Grammar, trie: TokenTrie, endTokens: Set<Int32>) {
        self.trie = trie
        self.endTokens = endTokens
        matcher = GrammarMatcher(grammar)
        state = matcher.start
    }

    /// Whether the answer is whole, and nothing may follow it.
    var isFinished: Bool { matcher.isFinal(state) && matcher.isAccepting(state) }

    /// Whether the answer is whole, though more may follow; never of free text.
    var isComplete: Bool { isAccepting && !matcher.isFree(state) }

    func bytes(of token: Int32) -> [UInt8] { Array(trie.bytes(of: token)) }

    enum Verdict { case allowed, forbidden, noRoom }

    /// Whether the token may come next, where `tokensLeft` with it may come at most. `noRoom` means
    /// that the shortest end would not fit any more after it.
    mutating func verdict(on token: Int32, tokensLeft: Int) -> Verdict {
        if endTokens.contains(token) { return isAccepting ? .allowed : .forbidden }
        let bytes = trie.bytes(of: token)
        guard !bytes.isEmpty else { return isMarkup(token) ? .allowed : .forbidden }
        let next = matcher.step(state, bytes)
        guard next != GrammarMatcher.dead else { return .forbidden }
        let isRoom = canEnd(next, within: tokensLeft - 1) || !canEnd(state, within: tokensLeft)
        return isRoom ? .allowed : .noRoom
    }

    private var isAccepting: Bool { matcher.isAccepting(state) }

    /// A token without bytes, which free text may have.
    private func isMarkup(_ token: Int32) -> Bool {
        matcher.isFree(state) && token >= 0 && token < trie.count
    }

    /// Goes on by a token that is allowed.
    mutating func accept(_ token: Int32) {
        guard !endTokens.contains(token) else { return }
        let next = matcher.step(state, trie.bytes(of: token))
        if next != GrammarMatcher.dead { state = matcher.tidied(next) }
    }

    /// A bit for every token that may come next, whatever room there is.
    mutating func mask() -> [UInt64] {
        if masksGeneration != matcher.generation || masks.count >= Self.masksKept {
            masks = [:]
            masksGeneration = matcher.generation
        }
        if let mask = masks[state] { return mask }
        let mask = makeMask()
        masks[state] = mask
        return mask
    }

    /// The next token on the shortest way to the end; nil at the end, or where no token leads on.
    mutating func closingToken() -> Int32? {
        guard !isAccepting else { return endTokens.min() }
        // A mask may have filled the matcher.
        state = matcher.tidied(state)
        guard let bytes = matcher.completion(of: state, max: trie.depthMax) else { return nil }
        return trie.tokens(spelling: bytes, max: 1)?.first
    }

    /// Whether `tokens` are enough to come to an end. Bytes are counted first: they are an upper
    /// bound, and nearly always suffice.
    private mutating func canEnd(_ state: Int32, within tokens: Int) -> Bool {
        let bytes = matcher.cost(state)
        if bytes <= tokens { return true }
        guard tokens > 0, bytes <= Self.completionBytesMax,
            let completion = matcher.completion(of: state, max: bytes),
            let spelled = trie.tokens(spelling: completion, max: tokens + 1)
        else { return false }
        return spelled.count <= tokens
    }

    private mutating func makeMask() -> [UInt64] {
        var mask = [UInt64](repeating: 0, count: (trie.count + 63) / 64)
        var path = [Int32](repeating: state, count: trie.depthMax + 1)
        let isFree = matcher.isFree(state)
        if isFree {
            for token in 0..<Int32(trie.count)
            where trie.bytes(of: token).isEmpty && !endTokens.contains(token) {
                mask.set(token)
            }
        }
        trie.nodes.withUnsafeBufferPointer { nodes in
            path.withUnsafeMutableBufferPointer { path in
                var index = 0
                while index < nodes.count {
                    let node = nodes[index]
                    let next = matcher.step(path[Int(node.depth) - 1], node.byte)
                    guard next != GrammarMatcher.dead else {
                        index += Int(node.size)
                        continue
                    }
                    path[Int(node.depth)] = next
                    if node.token >= 0 { mask.set(node.token) }
                    index += 1
                }
            }
        }
        for double in trie.doubles where mask.has(double.of) { mask.set(double.token) }
        for token in endTokens where token >= 0 && token < trie.count {
            if isAccepting { mask.set(token) } else { mask.clear(token) }
        }
        return mask
    }
}

extension [UInt64] {
    func has(_ bit: Int32) -> Bool { self[Int(bit) >> 6] >> (UInt64(bit) & 63) & 1 == 1 }
    fileprivate mutating func set(_ bit: Int32) { self[Int(bit) >> 6] |= 1 << (UInt64(bit) & 63) }
    fileprivate mutating func clear(_ bit: Int32) {
        self[Int(bit) >> 6] &= ~(1 << (UInt64(bit) & 63))
    }
}
