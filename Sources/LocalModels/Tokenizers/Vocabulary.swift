import Core

/// The tokens of a model. Their texts stay in the model's file; kept here is where each one is, of
/// what kind, and a table that finds it by its text: some 13 bytes a token.
struct Vocabulary: Sendable {
    enum Kind: Int8 {
        case normal = 1
        case unknown, control, userDefined, unused, byte
    }

    static let tokensMax = 1 << 20

    let file: MappedModel
    /// The length of the longest text, in bytes.
    let textBytesMax: Int
    /// Where each token's text begins. Its length is the eight bytes before.
    private let starts: [UInt32]
    private var kinds: [Int8]
    /// Open-addressed by the hash of the text; -1 is empty.
    private let slots: [Int32]

    /// Throws `invalid` when the file's lists contradict each other.
    init(_ gguf: GGUF) throws {
        file = gguf.file
        guard let places = try gguf.strings("tokenizer.ggml.tokens"), !places.isEmpty else {
            throw GGUF.damaged(file.name, "it has no vocabulary")
        }
        guard places.count <= Self.tokensMax else {
            throw GGUF.damaged(file.name, "it has \(places.count) tokens")
        }
        guard let last = places.last, last.lowerBound <= Int(UInt32.max) else {
            throw Failure(.unsupported, "The vocabulary of \(gguf.file.name) ends past 4 GiB.")
        }
        starts = places.map { UInt32($0.lowerBound) }
        textBytesMax = places.reduce(0) { max($0, $1.count) }
        if let kinds = try gguf.integers("tokenizer.ggml.token_type") {
            guard kinds.count == places.count else {
                throw GGUF.damaged(
                    file.name, "it has \(places.count) tokens and \(kinds.count) token types")
            }
            self.kinds = kinds.map { Int8(clamping: $0) }
        } else {
            kinds = Array(repeating: Kind.normal.rawValue, count: places.count)
        }
        slots = Self.slots(of: places, in: file.bytes)
        markControls()
    }

    var count: Int { starts.count }

    /// A kind that the format does not know counts as normal.
    func kind(of token: Int) -> Kind { Kind(rawValue: kinds[token]) ?? .normal }

    /// The token's text as the file has it. `token` must be in the vocabulary.
    func text(of token: Int) -> UnsafeRawBufferPointer {
        let start = Int(starts[token])
        let length = Int(file.bytes.loadUnaligned(fromByteOffset: start - 8, as: UInt64.self))
        return UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + length])
    }

    /// The token with this text, of any kind; the first of those whose texts are equal.
    func token(_ text: UnsafeRawBufferPointer) -> Int32? {
        var slot = Self.hash(text) & (slots.count - 1)
        while slots[slot] >= 0 {
            let other = self.text(of: Int(slots[slot]))
            if Self.areEqual(other, text) { return slots[slot] }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    func token(_ text: String) -> Int32? {
        var text = text
        return text.withUTF8 { token(UnsafeRawBufferPointer($0)) }
    }

    /// The token that ordinary text may become: never a control token, whatever a user writes.
    func plainToken(_ text: UnsafeRawBufferPointer) -> Int32? {
        guard let token = token(text) else { return nil }
        switch kind(of: Int(token)) {
        case .normal, .userDefined, .unused: return token
        case .unknown, .control, .byte: return nil
        }
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

    /// Some converters write the tokens that end a turn as ordinary ones. They would then be found
    /// in what users write.
    private mutating func markControls() {
        for text in Tokenizer.endTexts {
            if let token = token(text) { kinds[Int(token)] = Kind.control.rawValue }
        }
    }

    private static func slots(of places: [Range<Int>], in bytes: UnsafeRawBufferPointer)
        -> [Int32]
    {
        let size = tableSize(for: places.count)
        return Array(unsafeUninitializedCapacity: size) { slots, count in
            slots.initialize(repeating: -1)
            count = size
            for (token, place) in places.enumerated() {
                let text = UnsafeRawBufferPointer(rebasing: bytes[place])
                var slot = hash(text) & (size - 1)
                var isNew = true
                while slots[slot] >= 0 {
                    let other = UnsafeRawBufferPointer(rebasing: bytes[places[Int(slots[slot])]])
                    // Of equal texts the first is the token.
                    if areEqual(other, text) {
                        isNew = false
                        break
                    }
                    slot = (slot + 1) & (size - 1)
                }
                if isNew { slots[slot] = Int32(token) }
            }
        }
    }

    private static func areEqual(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer)
        -> Bool
    {
        guard one.count == other.count else { return false }
        for place in 0..<one.count where one[place] != other[place] { return false }
        return true
    }

    /// FNV-1a. Not negative.
    private static func hash(_ text: UnsafeRawBufferPointer) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: (hash ^ hash >> 29) & 0x7FFF_FFFF)
    }
}

/// A power of two, at least one and a half times `count`, so that a probe soon ends.
func tableSize(for count: Int) -> Int {
    var size = 16
    while 2 * size < 3 * count { size *= 2 }
    return size
}
