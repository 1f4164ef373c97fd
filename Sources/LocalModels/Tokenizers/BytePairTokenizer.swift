import Core

/// Byte-level byte-pair encoding: every byte of a piece is a token to begin with, and the pair of
/// neighbours with the best rank becomes one token until no pair can.
struct BytePairTokenizer: Sendable {
    let preTokenizer: PreTokenizer
    private let vocabulary: Vocabulary
    private let merges: MergeTable
    /// -1 for a byte that no token stands for.
    private let tokenOfByte: [Int32]

    /// Throws `unsupported` for a way to cut text that is not here.
    init(_ gguf: GGUF, _ vocabulary: Vocabulary) throws {
        // Old files do not say; the reference then reads them this way too.
        let name = try gguf.stringIfPresent("tokenizer.ggml.pre") ?? "default"
        preTokenizer = try PreTokenizer(named: name, in: gguf.file.name)
        self.vocabulary = vocabulary
        merges = try MergeTable(gguf, vocabulary)
        tokenOfByte = (0...255).map { byte in
            vocabulary.token(String(ByteAlphabet.scalar(of: byte))) ?? -1
        }
    }

    /// Appends the tokens of a text in which no special token is looked for. Bytes that no token
    /// stands for are left out, as the reference does.
    func append(_ text: Slice<UnsafeRawBufferPointer>, to tokens: inout [Int32]) {
        // Of their own, so that the closures do not copy all of `self` for each piece.
        let (vocabulary, merges, tokenOfByte) = (vocabulary, merges, tokenOfByte)
        let ignoresMerges = preTokenizer.ignoresMerges
        var word = MergeList()
        var encoded: [UInt8] = []
        preTokenizer.pieces(of: text) { piece in
            if ignoresMerges {
                encoded.removeAll(keepingCapacity: true)
                ByteAlphabet.append(piece, to: &encoded)
                if let token = encoded.withUnsafeBytes(vocabulary.plainToken) {
                    tokens.append(token)
                    return
                }
            }
            var rest = piece
            while !rest.isEmpty {
                word.removeAll()
                for byte in rest.prefix(MergeList.symbolsMax) {
                    word.append(tokenOfByte[Int(byte)])
                }
                rest = rest.dropFirst(MergeList.symbolsMax)
                word.merge { merges.merge($0.left, $0.right) }
                word.visit { token, _, _ in if token >= 0 { tokens.append(token) } }
            }
        }
    }

    /// Appends what an ordinary token stands for. A character outside of the alphabet is itself.
    func appendBytes(of token: Int, to bytes: inout [UInt8]) {
        let text = vocabulary.text(of: token)
        var place = 0
        while place < text.count {
            let (scalar, length) = decodeScalar(text, at: place)
            if let byte = scalar.flatMap(ByteAlphabet.byte) {
                bytes.append(byte)
            } else {
                bytes.append(contentsOf: text[place..<place + length])
            }
            place += length
        }
    }
}

/// The character that begins at `place` and its length in bytes. What is not UTF-8 is nil and one
/// byte long: vocabularies may have anything.
func decodeScalar(_ text: UnsafeRawBufferPointer, at place: Int) -> (Unicode.Scalar?, Int) {
    let first = text[place]
    if first < 0x80 { return (Unicode.Scalar(first), 1) }
    let length = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 1
    guard length > 1, place + length <= text.count else { return (nil, 1) }
    var value = UInt32(first) & (0x7F >> UInt32(length))
    for offset in 1..<length {
        let byte = text[place + offset]
        guard byte & 0xC0 == 0x80 else { return (nil, 1) }
        value = value << 6 | UInt32(byte & 0x3F)
    }
    let shortest: UInt32 = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000
    guard value >= shortest, let scalar = Unicode.Scalar(value) else { return (nil, 1) }
    return (scalar, length)
}
