package import Core

/// One event of a `text/event-stream`.
package struct ServerSentEvent: Hashable, Sendable {
    /// Empty where the stream names none.
    package var name = ""
    /// The lines of `data`, joined by line feeds.
    package var data: [UInt8] = []
    /// The last id that the stream gave, for this event or one before.
    package var id = ""

    package init(name: String = "", data: [UInt8] = [], id: String = "") {
        self.name = name
        self.data = data
        self.id = id
    }

    package init(name: String = "", _ data: String, id: String = "") {
        self.init(name: name, data: Array(data.utf8), id: id)
    }

    package var text: String { String(decoding: data, as: UTF8.self) }
}

/// Bytes in, events out, as the HTML standard parses an event stream (section 9.2.6): lines end
/// with CR, LF or both, wherever the bytes are split. Does no I/O and never traps.
package struct EventStreamParser: Sendable {
    package static let lineBytesMaxDefault = 1024 * 1024
    package static let eventBytesMaxDefault = 4 * 1024 * 1024

    /// The milliseconds that the stream asked to wait before a new connection.
    package private(set) var retryMilliseconds: Int?

    private let lineBytesMax: Int
    private let eventBytesMax: Int
    private var line: [UInt8] = []
    private var endsWithReturn = false
    private var isFirstLine = true
    private var event = ServerSentEvent()
    private var hasData = false

    package init(
        lineBytesMax: Int = lineBytesMaxDefault, eventBytesMax: Int = eventBytesMaxDefault
    ) {
        self.lineBytesMax = lineBytesMax
        self.eventBytesMax = eventBytesMax
    }

    /// The events that these bytes complete. Throws `tooLarge` for a line or an event past its
    /// limit; the parser is of no use after that.
    package mutating func push(_ bytes: [UInt8]) throws(Failure) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        var rest = bytes[...]
        if endsWithReturn, let first = rest.first {
            endsWithReturn = false
            if first == Self.lineFeed { rest.removeFirst() }
        }
        while let end = rest.firstIndex(where: { $0 == Self.lineFeed || $0 == Self.carriageReturn })
        {
            try append(rest[..<end])
            if let event = try endLine() { events.append(event) }
            var next = end + 1
            if rest[end] == Self.carriageReturn {
                if next == rest.endIndex {
                    endsWithReturn = true
                } else if rest[next] == Self.lineFeed {
                    next += 1
                }
            }
            rest = rest[next...]
        }
        try append(rest)
        return events
    }

    /// The event that the stream ended in, if any. The standard throws it away; servers that leave
    /// out the last blank line are common, so the caller decides.
    package mutating func finish() throws(Failure) -> ServerSentEvent? {
        if !line.isEmpty { _ = try endLine() }
        return dispatch()
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>) throws(Failure) {
        guard bytes.count <= lineBytesMax - line.count else {
            throw Failure(.tooLarge, "A line of the event stream is longer than is accepted.")
        }
        line += bytes
    }

    private mutating func endLine() throws(Failure) -> ServerSentEvent? {
        defer {
            // A line of a usual length keeps its storage for the next.
            line.removeAll(keepingCapacity: line.capacity <= 64 * 1024)
        }
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: Self.byteOrderMark) { line.removeFirst(3) }
        }
        guard let first = line.first else { return dispatch() }
        guard first != Self.colon else { return nil }
        let colon = line.firstIndex(of: Self.colon) ?? line.endIndex
        var value = line[colon...].dropFirst()
        if value.first == Self.space { value.removeFirst() }
        try set(String(decoding: line[..<colon], as: UTF8.self), to: value)
        return nil
    }

    private mutating func set(_ field: String, to value: ArraySlice<UInt8>) throws(Failure) {
        switch field {
        case "data":
            guard value.count < eventBytesMax - event.data.count else {
                throw Failure(.tooLarge, "An event of the stream is larger than is accepted.")
            }
            if hasData { event.data.append(Self.lineFeed) }
            event.data += value
            hasData = true
        case "event": event.name = String(decoding: value, as: UTF8.self)
        case "id" where !value.contains(0): event.id = String(decoding: value, as: UTF8.self)
        case "retry":
            let isNumber = (1...9).contains(value.count) && value.allSatisfy { 48...57 ~= $0 }
            if isNumber { retryMilliseconds = Int(String(decoding: value, as: UTF8.self)) }
        default: break
        }
    }

    private mutating func dispatch() -> ServerSentEvent? {
        defer {
            event.name = ""
            event.data = []
            hasData = false
        }
        return hasData ? event : nil
    }

    private static let lineFeed = UInt8(ascii: "\n")
    private static let carriageReturn = UInt8(ascii: "\r")
    private static let colon = UInt8(ascii: ":")
    private static let space = UInt8(ascii: " ")
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
}
