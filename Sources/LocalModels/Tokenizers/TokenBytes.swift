/// What every token of a vocabulary adds to a text, in one table: for those who compare all tokens
/// with what may come next. Four bytes a token and the texts.
struct TokenBytes: Sendable {
    private let starts: [UInt32]
    /// All texts, one after the other.
    let bytes: [UInt8]

    /// `append` adds the bytes of a token.
    init(count: Int, _ append: (Int, inout [UInt8]) -> Void) {
        var starts: [UInt32] = [0]
        var bytes: [UInt8] = []
        starts.reserveCapacity(count + 1)
        for token in 0..<count {
            append(token, &bytes)
            starts.append(UInt32(clamping: bytes.count))
        }
        self.starts = starts
        self.bytes = bytes
    }

    var count: Int { starts.count - 1 }

    /// Where in `bytes` the token's are: nowhere for a control token, or one that is not in the
    /// vocabulary.
    func range(of token: Int32) -> Range<Int> {
        guard token >= 0, token < count else { return 0..<0 }
        return Int(starts[Int(token)])..<Int(starts[Int(token) + 1])
    }

    subscript(token: Int32) -> ArraySlice<UInt8> { bytes[range(of: token)] }
}
