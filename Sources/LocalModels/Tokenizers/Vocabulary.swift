import Core

/// The tokens of a model. Their texts stay in the model's file; kept here is where each one is, of
/// what kind, and an index that finds it by its text: some 13 bytes a token. One object for all who
/// read it, since copies would count the references of every table.
final class Vocabulary: Sendable {
    enum Kind: Int8 {
        case normal = 1
        case unknown, control, userDefined, unused, byte
    }

    /// Four times what any model has. A token fits 20 bits.
    static let tokensMax = 1 << 20 - 1

    /// The length of the longest text, in bytes.
    let textBytesMax: Int
    private let texts: Texts
    private let index: Index
    private let kinds: [Int8]

    /// Throws `invalid` when the file's lists contradict each other.
    init(_ gguf: GGUF) throws {
        let file = gguf.file
        guard let places = try gguf.strings("tokenizer.ggml.tokens"), let last = places.last else {
            throw GGUF.damaged(file.name, "it has no vocabulary")
        }
        guard places.count <= Self.tokensMax else {
            throw GGUF.damaged(file.name, "it has \(places.count) tokens")
        }
        guard last.lowerBound <= Int(UInt32.max) else {
            throw Failure(.unsupported, "The vocabulary of \(file.name) ends past 4 GiB.")
        }
        let texts = Texts(file: file, starts: places.map { UInt32($0.lowerBound) })
        let index = Index(texts)
        var kinds = try Self.kinds(gguf, count: places.count)
        for text in Tokenizer.turnTexts {
            if let token = index.token(text, texts) {
                kinds[Int(token)] = Kind.control.rawValue
            }
        }
        textBytesMax = places.reduce(0) { max($0, $1.count) }
        self.texts = texts
        self.index = index
        self.kinds = kinds
    }

    var count: Int { texts.starts.count }
    var file: MappedModel { texts.file }

    /// A kind that the format does not know counts as normal.
    func kind(of token: Int) -> Kind { Kind(rawValue: kinds[token]) ?? .normal }

    /// The token's text as the file has it. `token` must be in the vocabulary.
    func text(of token: Int) -> UnsafeRawBufferPointer { texts[token] }

    /// The token with this text, of any kind; the first of those whose texts are equal.
    func token(_ text: UnsafeRawBufferPointer) -> Int32? { index.token(text, texts) }

    func token(_ text: String) -> Int32? { index.token(text, texts) }

    /// The token that ordinary text may become: never a control token, whatever a user writes.
    func plainToken(_ text: UnsafeRawBufferPointer) -> Int32? {
        guard let token = token(text) else { return nil }
        switch kind(of: Int(token)) {
        case .normal, .userDefined, .unused: return token
        case .unknown, .control, .byte: return nil
        }
    }

    /// Whether the token's text is that of two others, one after the other.
    func isJoined(_ token: Int32, _ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer)
        -> Bool
    {
        let text = texts[Int(token)]
        return text.count == left.count + right.count
            && text.prefix(left.count).elementsEqual(left)
            && text.suffix(right.count).elementsEqual(right)
    }

    /// The tokens that mark up a conversation, by their text.
    var controls: Controls { Controls(vocabulary: self) }

    struct Controls {
        fileprivate let vocabulary: Vocabulary

        subscript(text: String) -> Int32? {
            guard let token = vocabulary.token(text), vocabulary.kind(of: Int(token)) == .control
            else { return nil }
            return token
        }
    }

    private static func kinds(_ gguf: GGUF, count: Int) throws -> [Int8] {
        guard let kinds = try gguf.integers("tokenizer.ggml.token_type") else {
            return Array(repeating: Kind.normal.rawValue, count: count)
        }
        guard kinds.count == count else {
            throw GGUF.damaged(
                gguf.file.name, "it has \(count) tokens and \(kinds.count) token types")
        }
        return kinds.map { Int8(clamping: $0) }
    }
}

/// The texts of the tokens, in the file.
private struct Texts: Sendable {
    let file: MappedModel
    /// Where each text begins. Its length is the eight bytes before, as `GGUF` has checked.
    let starts: [UInt32]

    subscript(token: Int) -> UnsafeRawBufferPointer {
        let start = Int(starts[token])
        let length = Int(file.bytes.loadUnaligned(fromByteOffset: start - 8, as: UInt64.self))
        return UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + length])
    }
}

/// Finds tokens by their text: open-addressed by its hash.
private struct Index: Sendable {
    /// The token in the lower 20 bits, and 12 bits of the hash: without them every probe would read
    /// a text somewhere in the file.
    private let slots: [UInt32]
    private static let empty = UInt32.max

    init(_ texts: Texts) {
        let size = tableSize(for: texts.starts.count)
        slots = Array(unsafeUninitializedCapacity: size) { slots, count in
            slots.initialize(repeating: Self.empty)
            count = size
            for token in 0..<texts.starts.count {
                let text = texts[token]
                let hash = Self.hash(text)
                let slot = Self.slot(of: text, hash, UnsafeBufferPointer(slots), texts)
                // Of equal texts the first is the token.
                if slots[slot] == Self.empty { slots[slot] = Self.tag(hash) | UInt32(token) }
            }
        }
    }

    func token(_ text: UnsafeRawBufferPointer, _ texts: Texts) -> Int32? {
        slots.withUnsafeBufferPointer { slots in
            let entry = slots[Self.slot(of: text, Self.hash(text), slots, texts)]
            return entry == Self.empty ? nil : Int32(entry & 0xF_FFFF)
        }
    }

    func token(_ text: String, _ texts: Texts) -> Int32? {
        var text = text
        return text.withUTF8 { token(UnsafeRawBufferPointer($0), texts) }
    }

    private static func slot(
        of text: UnsafeRawBufferPointer, _ hash: UInt64, _ slots: UnsafeBufferPointer<UInt32>,
        _ texts: Texts
    ) -> Int {
        let tag = tag(hash)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != empty {
            if slots[slot] & 0xFFF0_0000 == tag,
                areEqual(texts[Int(slots[slot] & 0xF_FFFF)], text)
            {
                break
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }

    private static func tag(_ hash: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: hash >> 32) & 0xFFF0_0000
    }

    /// FNV-1a, its upper half folded into the lower.
    private static func hash(_ text: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash ^ hash >> 29
    }

    private static func areEqual(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer)
        -> Bool
    {
        guard one.count == other.count else { return false }
        for place in 0..<one.count where one[place] != other[place] { return false }
        return true
    }
}

/// A power of two, at least a quarter more than `count`, so that a probe soon ends.
func tableSize(for count: Int) -> Int {
    var size = 16
    while 4 * size < 5 * count { size *= 2 }
    return size
}
