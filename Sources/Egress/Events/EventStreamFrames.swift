package import Core

/// One message of an `application/vnd.amazon.eventstream`.
package struct EventStreamFrame: Hashable, Sendable {
    /// Those whose value is text, by name; the last of a name counts.
    package var headers: [String: String] = [:]
    package var payload: [UInt8] = []

    package init(headers: [String: String] = [:], payload: [UInt8] = []) {
        self.headers = headers
        self.payload = payload
    }
}

/// Bytes in, frames out, as AWS frames its streams: a length, headers and a payload, each frame with
/// two checksums, wherever the bytes are split. Does no I/O and never traps.
package struct EventStreamFrames: Sendable {
    /// AWS's own frames stay under 16 MiB, and those of an answer in text far under this.
    package static let frameBytesMaxDefault = 4 * 1024 * 1024

    private static let preludeBytes = 12
    private static let checksumBytes = 4
    private static let headersBytesMax = 128 * 1024

    private let frameBytesMax: Int
    private var buffer: [UInt8] = []

    package init(frameBytesMax: Int = frameBytesMaxDefault) { self.frameBytesMax = frameBytesMax }

    /// The frames that these bytes complete. Throws `tooLarge` for a frame past its limit and
    /// `upstream` for one that is not well-formed; the parser is of no use after that.
    package mutating func push(_ bytes: [UInt8]) throws(Failure) -> [EventStreamFrame] {
        buffer += bytes
        var frames: [EventStreamFrame] = []
        var start = 0
        while buffer.count - start >= Self.preludeBytes {
            let (total, headers) = try lengths(buffer[start...])
            guard buffer.count - start >= total else { break }
            frames.append(try frame(buffer[start..<(start + total)], headersBytes: headers))
            start += total
        }
        buffer.removeFirst(start)
        return frames
    }

    /// Nothing: a frame whose end never came is none. Throws `upstream` where bytes are left.
    package mutating func finish() throws(Failure) -> EventStreamFrame? {
        guard buffer.isEmpty else { throw Self.malformed("it ended in mid-frame") }
        return nil
    }

    /// The lengths of the frame that begins here and of its headers. Its checksum comes first: a
    /// length is believed only when it is what was sent.
    private func lengths(_ bytes: ArraySlice<UInt8>) throws(Failure) -> (total: Int, headers: Int) {
        let prelude = bytes.prefix(Self.preludeBytes)
        guard CRC32.of(prelude.dropLast(4)) == Self.number(prelude.suffix(4)) else {
            throw Self.malformed("the checksum of a frame's lengths is wrong")
        }
        let total = Int(Self.number(prelude.prefix(4)))
        let headers = Int(Self.number(prelude.dropFirst(4).prefix(4)))
        guard total <= frameBytesMax, headers <= Self.headersBytesMax else {
            throw Failure(.tooLarge, "A frame of the event stream is larger than is accepted.")
        }
        guard total >= Self.preludeBytes + headers + Self.checksumBytes else {
            throw Self.malformed("the lengths of a frame contradict each other")
        }
        return (total, headers)
    }

    private func frame(_ bytes: ArraySlice<UInt8>, headersBytes: Int) throws(Failure)
        -> EventStreamFrame
    {
        let content = bytes.dropLast(Self.checksumBytes)
        guard CRC32.of(content) == Self.number(bytes.suffix(Self.checksumBytes)) else {
            throw Self.malformed("the checksum of a frame is wrong")
        }
        let body = content.dropFirst(Self.preludeBytes)
        return EventStreamFrame(
            headers: try headers(body.prefix(headersBytes)),
            payload: Array(body.dropFirst(headersBytes)))
    }

    private func headers(_ bytes: ArraySlice<UInt8>) throws(Failure) -> [String: String] {
        var headers: [String: String] = [:]
        var rest = bytes
        while let nameBytes = rest.popFirst() {
            let name = String(decoding: try take(Int(nameBytes), of: &rest), as: UTF8.self)
            guard let type = rest.popFirst() else { throw Self.malformed("a header is cut") }
            let value = try take(try length(ofType: type, &rest), of: &rest)
            if type == Self.textType { headers[name] = String(decoding: value, as: UTF8.self) }
        }
        return headers
    }

    /// How many bytes a value of this type has.
    private func length(ofType type: UInt8, _ rest: inout ArraySlice<UInt8>) throws(Failure) -> Int
    {
        switch type {
        case 0, 1: 0  // true, false
        case 2: 1  // whole numbers of 8 to 64 bits
        case 3: 2
        case 4: 4
        case 5, 8: 8  // 8 is a time
        case 6, Self.textType: Int(Self.number(try take(2, of: &rest)))
        case 9: 16  // a UUID
        default: throw Self.malformed("a header has an unknown type")
        }
    }

    private func take(_ count: Int, of rest: inout ArraySlice<UInt8>) throws(Failure)
        -> ArraySlice<UInt8>
    {
        guard rest.count >= count else { throw Self.malformed("a header is cut") }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private static let textType: UInt8 = 7

    /// Of at most four bytes, the most significant first.
    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func malformed(_ what: String) -> Failure {
        Failure(.upstream, "The event stream cannot be read: \(what).")
    }
}

/// The checksum of zlib, PNG and Ethernet.
enum CRC32 {
    static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(UInt32.max) { sum, byte in
            sum >> 8 ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)]
        }
    }

    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
    }
}
