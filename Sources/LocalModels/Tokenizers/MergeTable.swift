import Core

/// Which pairs of tokens may become one, and which first: 16 bytes for each slot, since a model has
/// as many merges as tokens.
struct MergeTable: Sendable {
    struct Merge: Equatable {
        /// Smaller goes first.
        let rank: UInt32
        let token: Int32
    }

    /// The pair plus one, so that 0 is an empty slot.
    private var keys: [UInt64]
    private var values: [UInt64]

    /// Reads `tokenizer.ggml.merges`: texts of two tokens with a space between. A merge of what is
    /// not in the vocabulary can never apply and is left out.
    init(_ gguf: GGUF, _ index: VocabularyIndex) throws {
        guard let places = try gguf.strings("tokenizer.ggml.merges") else {
            throw GGUF.damaged(gguf.file.name, "it has no merges")
        }
        guard places.count <= Vocabulary.tokensMax else {
            throw GGUF.damaged(gguf.file.name, "it has \(places.count) merges")
        }
        keys = Array(repeating: 0, count: tableSize(for: places.count))
        values = Array(repeating: 0, count: keys.count)
        var joined: [UInt8] = []
        for (rank, place) in places.enumerated() {
            let text = UnsafeRawBufferPointer(rebasing: gguf.file.bytes[place])
            // Like the reference, the space is looked for from the second byte.
            guard let space = text.dropFirst().firstIndex(of: UInt8(ascii: " ")) else { continue }
            let left = UnsafeRawBufferPointer(rebasing: text[..<space])
            let right = UnsafeRawBufferPointer(rebasing: text[(space + 1)...])
            joined.removeAll(keepingCapacity: true)
            joined.append(contentsOf: left)
            joined.append(contentsOf: right)
            guard let leftToken = index.token(left), let rightToken = index.token(right),
                let token = joined.withUnsafeBytes(index.token)
            else { continue }
            let slot = slot(leftToken, rightToken)
            if keys[slot] != 0 { continue }
            keys[slot] = Self.key(leftToken, rightToken)
            values[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: token))
        }
    }

    func merge(_ left: Int32, _ right: Int32) -> Merge? {
        guard left >= 0, right >= 0 else { return nil }
        let slot = slot(left, right)
        guard keys[slot] != 0 else { return nil }
        return Merge(
            rank: UInt32(values[slot] >> 32),
            token: Int32(bitPattern: UInt32(truncatingIfNeeded: values[slot])))
    }

    private func slot(_ left: Int32, _ right: Int32) -> Int {
        let key = Self.key(left, right)
        var slot = Int(truncatingIfNeeded: key &* 0x9E37_79B9_7F4A_7C15 >> 20) & (keys.count - 1)
        while keys[slot] != 0, keys[slot] != key { slot = (slot + 1) & (keys.count - 1) }
        return slot
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        (UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))) + 1
    }
}
