import Core

/// The tokens of a model. Their texts stay in the model's file; kept here is where each one is.
struct Vocabulary: Sendable {
    enum Kind: Int32 {
        case normal = 1
        case unknown, control, userDefined, unused, byte
    }

    static let tokensMax = 1 << 20

    let file: MappedModel
    /// Where each token's text begins. Its length is the eight bytes before.
    private let starts: [UInt32]
    private let kinds: [Int8]
    /// The tokens that mark up a conversation, by their text.
    let controls: [String: Int32]

    /// Throws `invalid` when the file's lists contradict each other.
    init(_ gguf: GGUF) throws {
        file = gguf.file
        guard let places = try gguf.strings("tokenizer.ggml.tokens"), !places.isEmpty else {
            throw GGUF.damaged(file.name, "it has no vocabulary")
        }
        guard places.count <= Self.tokensMax else {
            throw GGUF.damaged(file.name, "it has \(places.count) tokens")
        }
        starts = try places.map { place in
            guard let start = UInt32(exactly: place.lowerBound) else {
                throw Failure(
                    .unsupported, "The vocabulary of \(gguf.file.name) begins past 4 GiB.")
            }
            return start
        }
        let kinds = try gguf.integers("tokenizer.ggml.token_type") ?? []
        guard kinds.isEmpty || kinds.count == places.count else {
            throw GGUF.damaged(
                file.name, "it has \(places.count) tokens and \(kinds.count) token types")
        }
        self.kinds = kinds.map { Int8(clamping: $0) }
        var controls: [String: Int32] = [:]
        for (token, kind) in kinds.enumerated() where kind == Kind.control.rawValue {
            controls[String(decoding: gguf.file.bytes[places[token]], as: UTF8.self)] = Int32(token)
        }
        self.controls = controls
    }

    var count: Int { starts.count }

    func kind(of token: Int) -> Kind {
        kinds.isEmpty ? .normal : Kind(rawValue: Int32(kinds[token])) ?? .normal
    }

    /// The token's text as the file has it. `token` must be in the vocabulary.
    func text(of token: Int) -> UnsafeRawBufferPointer {
        let start = Int(starts[token])
        let length = Int(file.bytes.loadUnaligned(fromByteOffset: start - 8, as: UInt64.self))
        return UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + length])
    }
}

/// Finds tokens by their text: an open-addressed table that is needed only while a tokenizer is
/// built.
struct VocabularyIndex {
    private let vocabulary: Vocabulary
    private var slots: [Int32]

    init(_ vocabulary: Vocabulary) {
        self.vocabulary = vocabulary
        slots = Array(repeating: -1, count: tableSize(for: vocabulary.count))
        for token in 0..<vocabulary.count {
            let text = vocabulary.text(of: token)
            let slot = slot(of: text)
            // Of equal texts the first is the token.
            if slots[slot] < 0 { slots[slot] = Int32(token) }
        }
    }

    /// Nil when no token has this text.
    func token(_ text: UnsafeRawBufferPointer) -> Int32? {
        let token = slots[slot(of: text)]
        return token < 0 ? nil : token
    }

    private func slot(of text: UnsafeRawBufferPointer) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var slot = Int(truncatingIfNeeded: hash ^ hash >> 29) & (slots.count - 1)
        while slots[slot] >= 0 {
            let other = vocabulary.text(of: Int(slots[slot]))
            if other.count == text.count, other.elementsEqual(text) { break }
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }
}

/// A power of two, at least twice `count`, so that a probe soon ends.
func tableSize(for count: Int) -> Int {
    var size = 16
    while size < 2 * count { size *= 2 }
    return size
}
