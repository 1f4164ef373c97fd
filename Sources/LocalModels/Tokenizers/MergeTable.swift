import Core

/// Which pairs of tokens may become one, and which first. A model has as many merges as tokens, so
/// each takes 12 bytes and a slot or two of four.
final class MergeTable: Sendable {
    private struct Entry {
        let left: Int32
        let right: Int32
        let token: Int32
    }

    static let mergesMax = 1 << 21

    /// By rank: smaller goes first.
    private let entries: [Entry]
    /// Open-addressed by the pair; -1 is empty.
    private let slots: [Int32]

    /// Reads `tokenizer.ggml.merges`: texts of two tokens with a space between. A merge of what is
    /// not in the vocabulary, or into a control token, never applies.
    init(_ gguf: GGUF, _ vocabulary: Vocabulary) throws {
        guard let places = try gguf.strings("tokenizer.ggml.merges") else {
            throw GGUF.damaged(gguf.file.name, "it has no merges")
        }
        guard places.count <= Self.mergesMax else {
            throw GGUF.damaged(gguf.file.name, "it has \(places.count) merges")
        }
        var entries: [Entry] = []
        entries.reserveCapacity(places.count)
        var slots = Array(repeating: Int32(-1), count: tableSize(for: places.count))
        var joined: [UInt8] = []
        /// What the token of a merge follows, most often: vocabularies are made merge by merge.
        var last: Int32 = -1
        func token(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int32? {
            if last + 1 < vocabulary.count, vocabulary.isJoined(last + 1, left, right),
                vocabulary.kind(of: Int(last + 1)) == .normal
            {
                return last + 1
            }
            joined.removeAll(keepingCapacity: true)
            joined.append(contentsOf: left)
            joined.append(contentsOf: right)
            return joined.withUnsafeBytes(vocabulary.plainToken)
        }
        for place in places {
            let text = UnsafeRawBufferPointer(rebasing: gguf.file.bytes[place])
            // Like the reference, the space is looked for from the second byte.
            guard let space = text.dropFirst().firstIndex(of: UInt8(ascii: " ")) else { continue }
            let left = UnsafeRawBufferPointer(rebasing: text[..<space])
            let right = UnsafeRawBufferPointer(rebasing: text[(space + 1)...])
            guard let leftToken = vocabulary.token(left), let rightToken = vocabulary.token(right),
                let token = token(left, right)
            else { continue }
            last = token
            let slot = Self.slot(leftToken, rightToken, slots, entries)
            // Of two merges of the same pair the first counts.
            if slots[slot] >= 0 { continue }
            slots[slot] = Int32(entries.count)
            entries.append(Entry(left: leftToken, right: rightToken, token: token))
        }
        self.entries = entries
        self.slots = slots
    }

    func merge(_ left: Int32, _ right: Int32) -> MergeList.Merge? {
        guard left >= 0, right >= 0 else { return nil }
        let rank = slots[Self.slot(left, right, slots, entries)]
        guard rank >= 0 else { return nil }
        return MergeList.Merge(rank: UInt32(rank), token: entries[Int(rank)].token)
    }

    @inline(__always)
    private static func slot(_ left: Int32, _ right: Int32, _ slots: [Int32], _ entries: [Entry])
        -> Int
    {
        let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
        let hash = (key ^ key >> 29) &* 0x9E37_79B9_7F4A_7C15
        var slot = Int(truncatingIfNeeded: hash >> 33) & (slots.count - 1)
        while slots[slot] >= 0 {
            let entry = entries[Int(slots[slot])]
            if entry.left == left, entry.right == right { break }
            slot = (slot + 1) & (slots.count - 1)
        }
        return slot
    }
}
