import Core

/// The pieces of words that a BERT model knows, numbered by their line in `vocab.txt`. A piece that
/// goes on with a word begins with `##`.
struct WordPieceVocabulary: Sendable {
    static let bytesMax = 16 << 20
    static let piecesMax = 1 << 20

    let count: Int
    let unknown: Int32
    /// `[CLS]` and `[SEP]`, which stand around every text.
    let begin: Int32
    let end: Int32
    /// No piece is longer.
    let pieceBytesMax: Int

    private let text: [UInt8]
    private let pieces: [Range<Int32>]
    /// A hash table with open addresses: numbers of pieces, -1 where there is none.
    private let slots: [Int32]

    /// Throws `invalid` when the file is too large, or when a piece is missing that every vocabulary
    /// has.
    init(_ file: MappedModel) throws {
        guard file.bytes.count <= Self.bytesMax else {
            throw Failure(.invalid, "\(file.name) is too large to be a vocabulary.")
        }
        let text = [UInt8](file.bytes)
        var lines: [Range<Int32>] = []
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let end = line.last == UInt8(ascii: "\r") ? line.endIndex - 1 : line.endIndex
            lines.append(Int32(line.startIndex)..<Int32(end))
        }
        if lines.last?.isEmpty == true { lines.removeLast() }
        let pieces = lines
        guard pieces.count <= Self.piecesMax else {
            throw Failure(.invalid, "\(file.name) has more than \(Self.piecesMax) pieces.")
        }
        self.text = text
        self.pieces = pieces
        count = pieces.count
        pieceBytesMax = pieces.lazy.map(\.count).max() ?? 0

        var size = 16
        while size < pieces.count * 2 { size *= 2 }
        var slots = [Int32](repeating: -1, count: size)
        for (number, piece) in pieces.enumerated() {
            let bytes = text[Int(piece.lowerBound)..<Int(piece.upperBound)]
            var slot = Int(bytes.reduce(Self.hashOfNothing, Self.hash)) & (size - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
            slots[slot] = Int32(number)
        }
        self.slots = slots

        let filled = slots
        func number(_ piece: String) throws -> Int32 {
            let bytes = Array(piece.utf8)
            let hash = bytes.reduce(Self.hashOfNothing, Self.hash)
            guard let found = Self.find(bytes[...], goesOn: false, hash, text, pieces, filled)
            else {
                throw Failure(
                    .invalid, "\(file.name) is no vocabulary of a BERT model: it has no \(piece).")
            }
            return found
        }
        unknown = try number("[UNK]")
        begin = try number("[CLS]")
        end = try number("[SEP]")
    }

    /// Appends the pieces of one normalised word: the longest that fits, again and again. A word
    /// that cannot be put together becomes `[UNK]`.
    func append(_ word: [UInt8], to output: inout [Int32]) {
        let before = output.count
        var start = 0
        while start < word.count {
            guard let (piece, length) = longestPiece(of: word[start...], goesOn: start > 0) else {
                output.removeSubrange(before...)
                output.append(unknown)
                return
            }
            output.append(piece)
            start += length
        }
    }

    private func longestPiece(of word: ArraySlice<UInt8>, goesOn: Bool) -> (Int32, Int)? {
        let longest = min(word.count, pieceBytesMax)
        return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: longest) { hashes in
            var hash = goesOn ? Self.hashOfPrefix : Self.hashOfNothing
            for (index, byte) in word.prefix(longest).enumerated() {
                hash = Self.hash(hash, byte)
                hashes[index] = hash
            }
            for length in stride(from: longest, to: 0, by: -1) {
                let end = word.startIndex + length
                // Never between the bytes of one character.
                if end < word.endIndex, word[end] & 0xC0 == 0x80 { continue }
                let found = Self.find(
                    word[word.startIndex..<end], goesOn: goesOn, hashes[length - 1], text, pieces,
                    slots)
                if let found { return (found, length) }
            }
            return nil
        }
    }

    private static func find(
        _ bytes: ArraySlice<UInt8>, goesOn: Bool, _ hash: UInt32, _ text: [UInt8],
        _ pieces: [Range<Int32>], _ slots: [Int32]
    ) -> Int32? {
        var slot = Int(hash) & (slots.count - 1)
        var best: Int32?
        while slots[slot] >= 0 {
            let piece = pieces[Int(slots[slot])]
            var known = text[Int(piece.lowerBound)..<Int(piece.upperBound)]
            if !goesOn || known.starts(with: prefix) {
                if goesOn { known = known.dropFirst(prefix.count) }
                // Of two equal lines the later one counts, as where these files come from.
                if known.elementsEqual(bytes) { best = max(best ?? 0, slots[slot]) }
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return best
    }

    private static let prefix = Array("##".utf8)
    private static let hashOfNothing: UInt32 = 2_166_136_261
    private static let hashOfPrefix = prefix.reduce(hashOfNothing, hash)

    /// FNV-1a.
    private static func hash(_ hash: UInt32, _ byte: UInt8) -> UInt32 {
        (hash ^ UInt32(byte)) &* 16_777_619
    }
}
