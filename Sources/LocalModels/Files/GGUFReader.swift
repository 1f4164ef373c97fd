import Core

/// Reads the numbers and strings of a GGUF file in order. Each read checks that the bytes are there,
/// and all strings together have a limit.
struct GGUFReader {
    let file: MappedModel
    private(set) var offset = 0
    private var textBytes = 0

    init(_ file: MappedModel) { self.file = file }

    var bytesLeft: Int { file.bytes.count - offset }

    mutating func number<T: BitwiseCopyable>(_ type: T.Type, _ what: String) throws -> T {
        let range = try bytes(MemoryLayout<T>.size, what)
        return file.bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: T.self)
    }

    /// A count or length, at most `limit`.
    mutating func count(_ what: String, limit: Int) throws -> Int {
        let value = UInt64(littleEndian: try number(UInt64.self, what))
        guard value <= UInt64(limit) else { throw damaged("\(what) is \(value)") }
        return Int(value)
    }

    mutating func string(_ what: String, limit: Int = GGUF.stringBytesMax) throws -> String {
        let range = try stringBytes(what, limit: limit)
        textBytes += range.count
        guard textBytes <= GGUF.textBytesMax else {
            throw damaged("its keys, texts and names are longer than \(GGUF.textBytesMax) bytes")
        }
        return String(decoding: file.bytes[range], as: UTF8.self)
    }

    /// A key or the name of a tensor: printable ASCII, so that it may stand in a message.
    mutating func name(_ what: String, limit: Int) throws -> String {
        let name = try string(what, limit: limit)
        guard name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw damaged("\(what) is not printable ASCII")
        }
        return name
    }

    /// Where a string's bytes are.
    mutating func stringBytes(_ what: String, limit: Int = GGUF.stringBytesMax) throws
        -> Range<Int>
    {
        // A vocabulary has 262,000 strings: no sentence is made for one that is in order.
        let length = UInt64(littleEndian: try number(UInt64.self, what))
        guard length <= UInt64(limit) else { throw damaged("the length of \(what) is \(length)") }
        return try bytes(Int(length), what)
    }

    mutating func bytes(_ count: Int, _ what: String) throws -> Range<Int> {
        guard count <= bytesLeft else { throw damaged("it ends in the middle of \(what)") }
        defer { offset += count }
        return offset..<offset + count
    }

    func damaged(_ what: String) -> Failure { GGUF.damaged(file.name, what) }
}
