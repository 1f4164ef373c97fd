/// The tokens of a vocabulary by their bytes: a tree laid out flat, each node before its children, so
/// that walking it is one pass that may skip.
struct TokenTrie: Sendable {
    struct Node: Sendable {
        var token: Int32
        /// Nodes of the subtree, this one included.
        var size: Int32
        var depth: UInt16
        var byte: UInt8
    }

    let nodes: [Node]
    let depthMax: Int
    let count: Int
    /// Tokens with the bytes of another, and that other one.
    let doubles: [(token: Int32, of: Int32)]
    private let starts: [Int32]
    private let bytes: [UInt8]

    /// - Parameters:
    ///   - count: how many tokens there are.
    ///   - bytesOf: what each stands for; nothing for those that only mark something up.
    init(count: Int, bytesOf: (Int32) -> [UInt8]) {
        self.count = count
        var bytes: [UInt8] = []
        var starts: [Int32] = [0]
        for token in 0..<Int32(count) {
            // Longer ones than any text needs: left out of the tree, so never picked.
            let text = bytesOf(token)
            if text.count <= Self.bytesMax { bytes += text }
            starts.append(Int32(clamping: bytes.count))
        }
        (self.bytes, self.starts) = (bytes, starts)

        func text(_ token: Int32) -> ArraySlice<UInt8> {
            bytes[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])]
        }
        let sorted = (0..<Int32(count)).filter { !text($0).isEmpty }.sorted {
            text($0) == text($1) ? $0 < $1 : text($0).lexicographicallyPrecedes(text($1))
        }
        var nodes: [Node] = []
        var doubles: [(token: Int32, of: Int32)] = []
        var path: [Int] = []
        var depthMax = 0
        var before: ArraySlice<UInt8> = []
        var beforeToken: Int32 = -1
        for token in sorted {
            let text = text(token)
            if beforeToken >= 0, text == before {
                doubles.append((token, beforeToken))
                continue
            }
            let common = zip(before, text).prefix { $0 == $1 }.count
            while path.count > common { nodes.close(path.removeLast()) }
            for byte in text.dropFirst(common) {
                path.append(nodes.count)
                nodes.append(Node(token: -1, size: 1, depth: UInt16(path.count), byte: byte))
            }
            nodes[nodes.count - 1].token = token
            depthMax = max(depthMax, path.count)
            (before, beforeToken) = (text, token)
        }
        while let last = path.popLast() { nodes.close(last) }
        (self.nodes, self.doubles, self.depthMax) = (nodes, doubles, depthMax)
    }

    static let bytesMax = 1024

    /// What a token stands for.
    func bytes(of token: Int32) -> ArraySlice<UInt8> {
        guard token >= 0, token < count else { return [] }
        return bytes[Int(starts[Int(token)])..<Int(starts[Int(token) + 1])]
    }

    /// The text in as few tokens as taking the longest each time makes of it. Nil when a byte has
    /// no token.
    func tokens(spelling text: [UInt8], max: Int = .max) -> [Int32]? {
        var tokens: [Int32] = []
        var place = 0
        while place < text.count, tokens.count < max {
            guard let token = longest(text[place...]) else { return nil }
            tokens.append(token)
            place += bytes(of: token).count
        }
        return tokens
    }

    private func longest(_ text: ArraySlice<UInt8>) -> Int32? {
        var found: Int32?
        var (low, high) = (0, nodes.count)
        for byte in text {
            var node = low
            while node < high, nodes[node].byte != byte { node += Int(nodes[node].size) }
            guard node < high else { break }
            if nodes[node].token >= 0 { found = nodes[node].token }
            (low, high) = (node + 1, node + Int(nodes[node].size))
        }
        return found
    }
}

extension [TokenTrie.Node] {
    fileprivate mutating func close(_ index: Int) { self[index].size = Int32(count - index) }
}
