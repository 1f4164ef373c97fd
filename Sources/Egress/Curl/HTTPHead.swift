import Core

/// The status line and the headers of an answer.
struct HTTPHead: Hashable, Sendable {
    let status: Int
    let headers: [HTTPHeader]

    /// Where the answer sends us, when it is a redirect with a place to go.
    var redirect: String? {
        switch status {
        case 301, 302, 303, 307, 308: headers["location"]
        default: nil
        }
    }
}

/// Makes a head of the lines that libcurl reports: interim answers are passed over, and what comes
/// after the head (trailers) is only counted.
struct HeadParser {
    static let headersMax = 256

    private let bytesMax: Int
    private var bytes = 0
    private var status: Int?
    private var headers: [HTTPHeader] = []
    private var isDone = false

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// The head, when this line was its last. Throws `tooLarge` past a limit and `upstream` for
    /// what is not HTTP.
    mutating func line(_ line: UnsafeRawBufferPointer) throws -> HTTPHead? {
        bytes += line.count
        guard bytes <= bytesMax, headers.count < Self.headersMax else {
            throw Failure(.tooLarge, "The answer's headers are larger than is accepted.")
        }
        guard !isDone else { return nil }
        var end = line.endIndex
        while end > line.startIndex, line[end - 1] == 13 || line[end - 1] == 10 { end -= 1 }
        let text = line[line.startIndex..<end]
        if text.isEmpty { return try closed() }
        if text.starts(with: "HTTP/".utf8) {
            status = try Self.status(text)
            headers = []
        } else if let colon = text.firstIndex(of: UInt8(ascii: ":")), text.first != 32 {
            let value = text[(colon + 1)...]
            headers.append(
                HTTPHeader(
                    String(decoding: text[..<colon], as: UTF8.self),
                    String(decoding: Self.trimmed(value), as: UTF8.self)))
        }
        return nil
    }

    private mutating func closed() throws -> HTTPHead? {
        guard let status else {
            throw Failure(.upstream, "The answer is not HTTP.")
        }
        guard status >= 200 else {
            self.status = nil
            return nil
        }
        isDone = true
        return HTTPHead(status: status, headers: headers)
    }

    /// The number after the version and a space.
    private static func status(_ line: Slice<UnsafeRawBufferPointer>) throws -> Int {
        let digits = line.drop { $0 != 32 }.drop { $0 == 32 }.prefix { $0 != 32 }
        guard digits.count == 3, digits.allSatisfy({ (48...57).contains($0) }),
            digits.first != 48
        else { throw Failure(.upstream, "The answer is not HTTP.") }
        return digits.reduce(0) { $0 * 10 + Int($1) - 48 }
    }

    private static func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>)
        -> Slice<UnsafeRawBufferPointer>
    {
        var bytes = bytes
        while bytes.first == 32 || bytes.first == 9 { bytes = bytes.dropFirst() }
        while bytes.last == 32 || bytes.last == 9 { bytes = bytes.dropLast() }
        return bytes
    }
}
