import Core

/// `multipart/form-data` (RFC 7578) as a machine that is fed bytes as they come and says what they
/// mean. It holds back no more than a boundary and one part's header.
struct Multipart {
    struct Part: Equatable, Sendable {
        let name: String
        /// Nil for a field of a form; a file otherwise.
        let fileName: String?
        /// As the sender says; empty where it does not.
        let mediaType: String
    }

    enum Event: Equatable, Sendable {
        case began(Part)
        case bytes([UInt8])
        case ended
    }

    static let partsMax = 64
    static let headerBytesMax = 8 << 10
    static let nameBytesMax = 1024
    static let boundaryBytesMax = 70

    private enum State { case preamble, delimiter, header, body, epilogue }

    private let delimiter: [UInt8]
    private var state = State.preamble
    private var partCount = 0
    /// Bytes that may still turn out to be a delimiter or belong to an unfinished header. It begins
    /// with the line break that the first delimiter may lack.
    private var pending: [UInt8] = [13, 10]

    /// - Parameter contentType: the request's header, with its `boundary`.
    init(contentType: String) throws {
        guard let boundary = Self.parameters(of: contentType)["boundary"], !boundary.isEmpty,
            boundary.utf8.count <= Self.boundaryBytesMax,
            boundary.utf8.allSatisfy({ (32...126).contains($0) })
        else {
            throw Failure(
                .invalid,
                "The upload's Content-Type has no boundary; send multipart/form-data the way "
                    + "browsers and curl -F do.")
        }
        delimiter = Array("\r\n--\(boundary)".utf8)
    }

    /// Takes the next bytes of the body. Throws `invalid` or `tooLarge`, and is of no use after that.
    mutating func feed(
        _ bytes: some Swift.Collection<UInt8>, _ emit: (Event) throws -> Void
    ) throws {
        guard state != .epilogue else { return }
        pending.append(contentsOf: bytes)
        var start = 0
        while let next = try step(from: start, emit) { start = next }
        pending.removeFirst(min(keepFrom ?? start, pending.count))
        keepFrom = nil
    }

    /// Call when the body has ended. Throws `invalid` when it was cut off.
    func finish() throws {
        guard state == .epilogue else {
            throw Failure(.invalid, "The upload ends before its last boundary; it was cut off.")
        }
    }

    /// Where the next `feed` goes on, when that is not where the last step began.
    private var keepFrom: Int?

    /// Handles what is complete at `start` and returns where to go on; nil when bytes are missing.
    private mutating func step(from start: Int, _ emit: (Event) throws -> Void) throws -> Int? {
        switch state {
        case .preamble, .body:
            guard let found = Self.find(delimiter, in: pending, from: start) else {
                // What may be the beginning of a delimiter stays.
                let safe = max(start, pending.count - delimiter.count + 1)
                if state == .body, safe > start {
                    try emit(.bytes(Array(pending[start..<safe])))
                }
                keepFrom = safe
                return nil
            }
            if state == .body {
                if found > start { try emit(.bytes(Array(pending[start..<found]))) }
                try emit(.ended)
            }
            state = .delimiter
            return found + delimiter.count
        case .delimiter:
            guard pending.count >= start + 2 else { return nil }
            if pending[start] == UInt8(ascii: "-"), pending[start + 1] == UInt8(ascii: "-") {
                state = .epilogue
                keepFrom = pending.count
                return nil
            }
            // Only blanks may stand between a boundary and its line break.
            var end = start
            while end < pending.count, pending[end] == 32 || pending[end] == 9 { end += 1 }
            guard end - start <= Self.boundaryBytesMax else { throw Self.malformed }
            guard pending.count >= end + 2 else { return nil }
            guard pending[end] == 13, pending[end + 1] == 10 else { throw Self.malformed }
            partCount += 1
            guard partCount <= Self.partsMax else {
                throw Failure(.tooLarge, "The upload has more than \(Self.partsMax) parts.")
            }
            state = .header
            // The line break stays, so that a part without headers looks like any other.
            return end
        case .header:
            guard let end = Self.find([13, 10, 13, 10], in: pending, from: start) else {
                guard pending.count - start <= Self.headerBytesMax else { throw Self.longHeader }
                return nil
            }
            guard end - start <= Self.headerBytesMax else { throw Self.longHeader }
            try emit(.began(try Self.part(header: pending[start..<end])))
            state = .body
            // The delimiter of an empty part begins with the blank line's own line break.
            return end + 2 + (Self.starts(delimiter, in: pending, at: end + 2) ? 0 : 2)
        case .epilogue:
            return nil
        }
    }

    private static let malformed = Failure(
        .invalid, "The upload is malformed: there is something else after a boundary.")
    private static let longHeader = Failure(
        .tooLarge, "A part of the upload has more than \(headerBytesMax) bytes of headers.")

    private static func part(header: ArraySlice<UInt8>) throws -> Part {
        var disposition = ""
        var mediaType = ""
        let text = String(decoding: header, as: UTF8.self)
        for line in text.split(separator: "\r\n") {
            guard let colon = line.firstIndex(of: ":") else { throw malformedHeader }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            switch line[..<colon].lowercased() {
            case "content-disposition": disposition = String(value)
            case "content-type": mediaType = String(value)
            default: continue
            }
        }
        let parameters = parameters(of: disposition)
        guard disposition.lowercased().hasPrefix("form-data"), let name = parameters["name"] else {
            throw malformedHeader
        }
        let fileName = parameters["filename*"].flatMap(extended) ?? parameters["filename"]
        guard name.utf8.count <= nameBytesMax, (fileName ?? "").utf8.count <= nameBytesMax else {
            throw Failure(
                .tooLarge, "A name in the upload has more than \(nameBytesMax) bytes.")
        }
        return Part(name: name, fileName: fileName, mediaType: mediaType)
    }

    private static let malformedHeader = Failure(
        .invalid, "A part of the upload does not say which field it is.")

    /// RFC 8187: `UTF-8''na%C3%AFve.txt`.
    private static func extended(_ value: String) -> String? {
        let parts = value.split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].lowercased() == "utf-8" else { return nil }
        return PercentEncoding.decode(parts[2])
    }

    /// The `; key=value` pairs after a header's first word. Values may be quoted.
    static func parameters(of header: String) -> [String: String] {
        var parameters: [String: String] = [:]
        var rest = Substring(header).drop { $0 != ";" }
        while rest.first == ";" {
            rest = rest.dropFirst().drop { $0 == " " || $0 == "\t" }
            let key = rest.prefix { $0 != "=" && $0 != ";" }
            rest = rest.dropFirst(key.count)
            guard rest.first == "=" else { continue }
            rest = rest.dropFirst()
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let character = rest.popFirst(), character != "\"" {
                    // Browsers escape nothing but quotes (as %22); a lone backslash is a path's.
                    guard character == "\\", let next = rest.first, next == "\"" || next == "\\"
                    else {
                        value.append(character)
                        continue
                    }
                    value.append(next)
                    rest = rest.dropFirst()
                }
                rest = rest.drop { $0 != ";" }
            } else {
                let word = rest.prefix { $0 != ";" }
                rest = rest.dropFirst(word.count)
                value = String(word).trimmingBlanks
            }
            let name = String(key).trimmingBlanks.lowercased()
            if parameters[name] == nil { parameters[name] = value }
        }
        return parameters
    }

    private static func find(_ needle: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
        guard let first = needle.first, bytes.count >= needle.count else { return nil }
        var place = start
        while place <= bytes.count - needle.count {
            guard let next = bytes[place...(bytes.count - needle.count)].firstIndex(of: first)
            else { return nil }
            if starts(needle, in: bytes, at: next) { return next }
            place = next + 1
        }
        return nil
    }

    private static func starts(_ needle: [UInt8], in bytes: [UInt8], at place: Int) -> Bool {
        place + needle.count <= bytes.count
            && bytes[place..<place + needle.count].elementsEqual(needle)
    }
}

extension String {
    fileprivate var trimmingBlanks: String {
        var text = Substring(self)
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text.drop { $0 == " " || $0 == "\t" })
    }
}
