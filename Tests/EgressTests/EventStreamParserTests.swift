import Core
import TestSupport
import Testing

@testable import Egress

struct EventStreamParserTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let stream: String
        let events: [ServerSentEvent]

        init(_ name: String, _ stream: String, _ events: [ServerSentEvent]) {
            testDescription = name
            self.stream = stream
            self.events = events
        }
    }

    static let rows: [Row] = [
        Row("one line", "data: hello\n\n", [.init("hello")]),
        Row("no space after the colon", "data:hello\n\n", [.init("hello")]),
        Row("only one space goes", "data:  hello\n\n", [.init(" hello")]),
        Row("CR ends lines", "data: a\rdata: b\r\r", [.init("a\nb")]),
        Row("CRLF ends lines", "data: a\r\ndata: b\r\n\r\n", [.init("a\nb")]),
        Row("endings mixed", "data: a\rdata: b\ndata: c\r\n\r\n", [.init("a\nb\nc")]),
        Row("byte order mark", "\u{FEFF}data: a\n\n", [.init("a")]),
        Row("a second mark is not one", "\n\u{FEFF}data: a\n\n", []),
        Row("comments", ": ping\n\ndata: a\n: ping\ndata: b\n\n", [.init("a\nb")]),
        Row("no data, no event", "event: tick\nid: 1\n\n", []),
        Row("empty data is an event", "data\n\ndata:\n\n", [.init(""), .init("")]),
        Row("two empty lines of data", "data\ndata\n\n", [.init("\n")]),
        Row(
            "a name holds for one event", "event: tick\ndata: a\n\ndata: b\n\n",
            [.init(name: "tick", "a"), .init("b")]),
        Row(
            "an id holds until the next", "id: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
            [.init("a", id: "7"), .init("b", id: "7"), .init("c")]),
        Row("an id with a zero byte is no id", "id: 1\u{0}2\ndata: a\n\n", [.init("a")]),
        Row("unknown fields", "foo: bar\ndata: a\nbaz\n\n", [.init("a")]),
        Row("unfinished event", "data: a\n\ndata: b\n", [.init("a")]),
        Row("characters of four bytes", "data: 🙂 ü\n\n", [.init("🙂 ü")]),
    ]

    @Test("A stream is parsed the same wherever its bytes are split", arguments: rows)
    func splits(row: Row) throws {
        let bytes = Array(row.stream.utf8)
        for size in 1...max(1, bytes.count) {
            var parser = EventStreamParser()
            var events: [ServerSentEvent] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                events += try parser.push(Array(bytes[start..<min(start + size, bytes.count)]))
                // Nothing arriving must change nothing.
                events += try parser.push([])
            }
            #expect(events == row.events, "in pieces of \(size)")
        }
    }

    @Test("The event that a stream ends in can be asked for")
    func finish() throws {
        var parser = EventStreamParser()
        #expect(try parser.push(Array("data: a\n\ndata: [DONE]".utf8)) == [.init("a")])
        #expect(try parser.finish() == .init("[DONE]"))
        #expect(try parser.finish() == nil)
    }

    @Test(
        "The wait before a new connection is read, and nonsense is not",
        arguments: [
            ("1500", 1500), ("", nil), ("-1", nil), ("1x", nil), ("99999999999999999999", nil),
        ])
    func retry(text: String, expected: Int?) throws {
        var parser = EventStreamParser()
        _ = try parser.push(Array("retry: \(text)\n".utf8))
        #expect(parser.retryMilliseconds == expected)
    }

    @Test("A line past its limit is refused, in one piece or in many", arguments: [1, 7, 200])
    func longLine(size: Int) {
        var parser = EventStreamParser(lineBytesMax: 100, eventBytesMax: 1000)
        #expect(throws: Failure.self) {
            for _ in stride(from: 0, to: 200, by: size) {
                _ = try parser.push([UInt8](repeating: 97, count: size))
            }
        }
    }

    @Test("An event past its limit is refused, and many short events are not")
    func largeEvent() throws {
        var parser = EventStreamParser(lineBytesMax: 100, eventBytesMax: 50)
        for _ in 0..<100 { #expect(try parser.push(Array("data: 0123456789\n\n".utf8)).count == 1) }
        #expect(throws: Failure.self) {
            for _ in 0..<10 { _ = try parser.push(Array("data: 0123456789\n".utf8)) }
        }
    }

    @Test("Random bytes are parsed the same in one piece and in many, and never trap")
    func fuzz() throws {
        var generator = SeededGenerator(seed: 42)
        // Bytes that mean something are likelier than the rest.
        let alphabet = Array("\r\n\r\n\r\n:: dataeventidretry 0\u{0}\u{FEFF}".utf8) + [0xFF, 0xC3]
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 0..<80, using: &generator)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
            }
            var whole = EventStreamParser()
            let expected = try whole.push(bytes)
            let last = try whole.finish()
            var pieces = EventStreamParser()
            var events: [ServerSentEvent] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let size = Int.random(in: 0...rest.count, using: &generator)
                events += try pieces.push(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            try #require(events == expected, "\(bytes)")
            try #require(try pieces.finish() == last, "\(bytes)")
        }
    }
}
