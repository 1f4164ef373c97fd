import Core

/// Byte-level byte-pair encoding: every byte of a piece is a token to begin with, and the pair of
/// neighbours with the best rank becomes one token until no pair can.
struct BytePairTokenizer: Sendable {
    let vocabulary: Vocabulary
    private let merges: MergeTable
    private let preTokenizer: PreTokenizer
    /// -1 for a byte that no token stands for.
    private let tokenOfByte: [Int32]

    /// Throws `unsupported` for another kind of tokenizer, `invalid` when the file's tables
    /// contradict each other.
    init(_ gguf: GGUF) throws {
        let model = try gguf.string("tokenizer.ggml.model")
        guard model == "gpt2" else {
            throw Failure(
                .unsupported,
                "\(gguf.file.name) cannot be run: its tokenizer is of the kind \"\(model)\"; "
                    + "only \"gpt2\" (byte-level BPE) can be read.")
        }
        preTokenizer = try PreTokenizer(
            named: try gguf.string("tokenizer.ggml.pre"), in: gguf.file.name)
        vocabulary = try Vocabulary(gguf)
        let index = VocabularyIndex(vocabulary)
        merges = try MergeTable(gguf, index)
        tokenOfByte = (0..<256).map { byte in
            let text = Array(String(ByteAlphabet.scalar(of: UInt8(byte))).utf8)
            return text.withUnsafeBytes(index.token) ?? -1
        }
    }

    /// The tokens of a text, in which control tokens are plain text. Bytes that no token stands for
    /// are left out, as the reference does.
    func tokens(of text: String) -> [Int32] {
        var tokens: [Int32] = []
        var word = Word()
        preTokenizer.pieces(of: text) { piece in
            word.begin(piece, tokenOfByte)
            word.merge(merges)
            word.append(to: &tokens)
        }
        return tokens
    }

    /// The bytes that a token adds to the text: none for a control token.
    func bytes(of token: Int32) -> [UInt8] {
        let token = Int(token)
        guard (0..<vocabulary.count).contains(token) else { return [] }
        let text = vocabulary.text(of: token)
        switch vocabulary.kind(of: token) {
        case .control, .unknown, .unused: return []
        case .userDefined: return Array(text)
        case .normal, .byte: break
        }
        var bytes: [UInt8] = []
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            if let byte = ByteAlphabet.byte(of: scalar) {
                bytes.append(byte)
            } else {
                bytes.append(contentsOf: Array(String(scalar).utf8))
            }
        }
        return bytes
    }
}

/// One piece while its tokens merge: a list linked through `next` and `previous`, and a heap of the
/// pairs that can merge, best rank first, leftmost of equals. `n log n` for any text.
private struct Word {
    private var tokens: [Int32] = []
    private var next: [Int32] = []
    private var previous: [Int32] = []
    /// `rank << 32 | place of the left token`.
    private var heap: [UInt64] = []

    mutating func begin(_ piece: ArraySlice<Unicode.Scalar>, _ tokenOfByte: [Int32]) {
        tokens.removeAll(keepingCapacity: true)
        next.removeAll(keepingCapacity: true)
        previous.removeAll(keepingCapacity: true)
        heap.removeAll(keepingCapacity: true)
        for scalar in piece {
            for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
                tokens.append(tokenOfByte[Int(byte)])
            }
        }
        let count = Int32(tokens.count)
        for place in 0..<count {
            next.append(place + 1 < count ? place + 1 : -1)
            previous.append(place - 1)
        }
    }

    mutating func merge(_ merges: MergeTable) {
        for place in tokens.indices { offer(Int32(place), merges) }
        while let best = popBest() {
            let left = Int32(truncatingIfNeeded: best & 0xFFFF_FFFF)
            guard tokens[Int(left)] != Self.gone, next[Int(left)] >= 0 else { continue }
            let right = next[Int(left)]
            // The neighbours may have changed since the pair was offered.
            guard let merge = merges.merge(tokens[Int(left)], tokens[Int(right)]),
                UInt64(merge.rank) == best >> 32
            else { continue }
            tokens[Int(left)] = merge.token
            tokens[Int(right)] = Self.gone
            next[Int(left)] = next[Int(right)]
            if next[Int(left)] >= 0 { previous[Int(next[Int(left)])] = left }
            offer(previous[Int(left)], merges)
            offer(left, merges)
        }
    }

    func append(to result: inout [Int32]) {
        for token in tokens where token >= 0 { result.append(token) }
    }

    private static let gone: Int32 = -2

    private mutating func offer(_ left: Int32, _ merges: MergeTable) {
        guard left >= 0, next[Int(left)] >= 0,
            let merge = merges.merge(tokens[Int(left)], tokens[Int(next[Int(left)])])
        else { return }
        heap.append(UInt64(merge.rank) << 32 | UInt64(left))
        var place = heap.count - 1
        while place > 0, heap[place] < heap[(place - 1) / 2] {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    private mutating func popBest() -> UInt64? {
        guard let best = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return best }
        heap[0] = last
        var place = 0
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < heap[place] else { break }
            heap.swapAt(child, place)
            place = child
        }
        return best
    }
}

/// GPT-2's way to write any byte as a visible character: itself where it is one in Latin-1, else the
/// next of the characters from U+0100 on.
enum ByteAlphabet {
    static func scalar(of byte: UInt8) -> Unicode.Scalar { scalars[Int(byte)] }

    /// Nil for a character that stands for no byte.
    static func byte(of scalar: Unicode.Scalar) -> UInt8? {
        scalar.value < UInt32(bytes.count) ? bytes[Int(scalar.value)] : nil
    }

    private static let scalars: [Unicode.Scalar] = {
        var moved: UInt32 = 0
        return (0...255).map { (byte: UInt8) in
            switch byte {
            case 33...126, 161...172, 174...255: return Unicode.Scalar(byte)
            default:
                defer { moved += 1 }
                return Unicode.Scalar(256 + moved) ?? "\u{FFFD}"
            }
        }
    }()

    private static let bytes: [UInt8?] = {
        var bytes: [UInt8?] = Array(repeating: nil, count: 324)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
        return bytes
    }()
}
