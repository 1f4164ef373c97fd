import Core

/// SentencePiece's byte-pair encoding, as llama.cpp runs it on a vocabulary with scores: every
/// character is a symbol to begin with, and the neighbours whose joined text is the token with the
/// best score become one until none can. A character that is no token becomes its bytes.
struct SentencePieceTokenizer: Sendable {
    /// Whether a space goes before text that begins a prompt or follows a special token.
    let addsSpacePrefix: Bool
    private let vocabulary: Vocabulary
    /// Where the scores are in the file. Nil: all are equal.
    private let scores: Scores?
    /// `<0x00>` to `<0xFF>`; -1 for a byte that no token stands for.
    private let tokenOfByte: [Int32]
    /// For a character whose bytes are no tokens either.
    private let unknown: Int32?

    private struct Scores {
        let start: Int
        let areIntegers: Bool
    }

    /// U+2581, which stands for a space.
    private static let space: [UInt8] = [0xE2, 0x96, 0x81]

    /// Throws `invalid` when the file's tables contradict each other.
    init(_ gguf: GGUF, _ vocabulary: Vocabulary) throws {
        self.vocabulary = vocabulary
        addsSpacePrefix = try gguf.boolean("tokenizer.ggml.add_space_prefix", default: true)
        scores = try Self.scores(gguf, count: vocabulary.count)
        tokenOfByte = (0...255).map { (byte: UInt8) in
            let digits = String(byte, radix: 16, uppercase: true)
            return vocabulary.token("<0x" + (byte < 16 ? "0" : "") + digits + ">")
                ?? withUnsafeBytes(of: byte) { vocabulary.plainToken($0) } ?? -1
        }
        let unknown = try gguf.integerIfPresent("tokenizer.ggml.unknown_token_id") ?? 0
        guard (0..<vocabulary.count).contains(unknown) else {
            throw GGUF.damaged(gguf.file.name, "unknown_token_id is not a token")
        }
        self.unknown = vocabulary.kind(of: unknown) == .unknown ? Int32(unknown) : nil
    }

    /// Appends the tokens of a text in which no special token is looked for. `isAfterSpecial` is
    /// also true for the beginning of a prompt.
    func append(
        _ text: Slice<UnsafeRawBufferPointer>, isAfterSpecial: Bool, to tokens: inout [Int32]
    ) {
        var escaped: [UInt8] = []
        escaped.reserveCapacity(text.count + text.count / 4)
        if addsSpacePrefix, isAfterSpecial { escaped.append(contentsOf: Self.space) }
        for byte in text {
            if byte == UInt8(ascii: " ") {
                escaped.append(contentsOf: Self.space)
            } else {
                escaped.append(byte)
            }
        }
        escaped.withUnsafeBytes { append(escaped: $0, to: &tokens) }
    }

    private func append(escaped text: UnsafeRawBufferPointer, to tokens: inout [Int32]) {
        var symbols = MergeList()
        var starts: [UInt32] = []
        var place = 0
        while place < text.count {
            symbols.removeAll()
            starts.removeAll(keepingCapacity: true)
            while place < text.count, starts.count < MergeList.symbolsMax {
                starts.append(UInt32(truncatingIfNeeded: place))
                symbols.append(-1)
                place += decodeScalar(text, at: place).1
            }
            starts.append(UInt32(truncatingIfNeeded: place))
            symbols.merge { pair in
                merge(text, Int(starts[pair.place])..<Int(starts[pair.end]))
            }
            symbols.visit { token, place, end in
                if token >= 0 {
                    tokens.append(token)
                } else {
                    append(
                        character: text[Int(starts[place])..<Int(starts[end])], to: &tokens)
                }
            }
        }
    }

    private func merge(_ text: UnsafeRawBufferPointer, _ range: Range<Int>) -> MergeList.Merge? {
        guard range.count <= vocabulary.textBytesMax,
            let token = vocabulary.plainToken(UnsafeRawBufferPointer(rebasing: text[range]))
        else { return nil }
        return MergeList.Merge(rank: rank(of: token), token: token)
    }

    private func append(character: Slice<UnsafeRawBufferPointer>, to tokens: inout [Int32]) {
        if let token = vocabulary.plainToken(UnsafeRawBufferPointer(rebasing: character)) {
            tokens.append(token)
        } else if character.allSatisfy({ tokenOfByte[Int($0)] >= 0 }) {
            for byte in character { tokens.append(tokenOfByte[Int(byte)]) }
        } else if let unknown {
            tokens.append(unknown)
        }
    }

    /// Appends what an ordinary token stands for.
    func appendBytes(of token: Int, to bytes: inout [UInt8]) {
        let text = vocabulary.text(of: token)
        if vocabulary.kind(of: token) == .byte {
            if let byte = Self.byte(text) { bytes.append(byte) }
            return
        }
        var place = 0
        while place < text.count {
            if text[place...].starts(with: Self.space) {
                bytes.append(UInt8(ascii: " "))
                place += Self.space.count
            } else {
                bytes.append(text[place])
                place += 1
            }
        }
    }

    /// What `<0x0A>` says. Nil for another text.
    private static func byte(_ text: UnsafeRawBufferPointer) -> UInt8? {
        guard text.count == 6, text.starts(with: "<0x".utf8), text[5] == UInt8(ascii: ">")
        else { return nil }
        return UInt8(String(decoding: text[3..<5], as: UTF8.self), radix: 16)
    }

    /// A better score is a smaller rank. What is not a number is worst.
    private func rank(of token: Int32) -> UInt32 {
        guard let scores else { return 0 }
        let place = scores.start + 4 * Int(token)
        let bits = UInt32(
            littleEndian: vocabulary.file.bytes.loadUnaligned(
                fromByteOffset: place, as: UInt32.self))
        let score =
            scores.areIntegers ? Float(Int32(bitPattern: bits)) : Float(bitPattern: bits)
        guard !score.isNaN else { return .max }
        // The order of floats as the order of whole numbers, -0 as 0.
        let ordered = (score + 0).bitPattern
        return ordered >> 31 == 1 ? ordered : ~(ordered | 0x8000_0000)
    }

    private static func scores(_ gguf: GGUF, count: Int) throws -> Scores? {
        guard let value = gguf.metadata["tokenizer.ggml.scores"] else { return nil }
        guard case .array(let list) = value, list.elementType == 5 || list.elementType == 6 else {
            throw GGUF.damaged(gguf.file.name, "tokenizer.ggml.scores is not a list of numbers")
        }
        guard list.count == count else {
            throw GGUF.damaged(gguf.file.name, "it has \(count) tokens and \(list.count) scores")
        }
        return Scores(start: list.bytes.lowerBound, areIntegers: list.elementType == 5)
    }
}
