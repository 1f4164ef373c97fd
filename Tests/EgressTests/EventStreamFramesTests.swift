import Core
import TestSupport
import Testing

@testable import Egress

struct EventStreamFramesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        let frame: EventStreamFrame

        init(_ name: String, _ hexadecimal: String, _ headers: [String: String], _ payload: String)
        {
            testDescription = name
            bytes = Self.bytes(hexadecimal)
            frame = EventStreamFrame(headers: headers, payload: Array(payload.utf8))
        }

        static func bytes(_ hexadecimal: String) -> [UInt8] {
            let digits = Array(hexadecimal)
            return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(digits[$0...($0 + 1)]), radix: 16)
            }
        }
    }

    static let json = [":content-type": "application/json"]

    static let rows: [Row] = [
        Row("empty", "000000100000000005c248eb7d98c8ff", [:], ""),
        Row(
            "an event",
            """
            000000760000005296d5fade0b3a6576656e742d7479706507000c6d6573736167655374617274\
            0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e\
            0d3a6d6573736167652d747970650700056576656e74\
            7b22726f6c65223a22617373697374616e74227d6fa8c599
            """,
            json.merging([":event-type": "messageStart", ":message-type": "event"]) { $1 },
            #"{"role":"assistant"}"#),
        Row(
            "a piece of text",
            """
            0000009400000057b4ab9aee0b3a6576656e742d74797065070011636f6e74656e74426c6f636b44656c7461\
            0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e\
            0d3a6d6573736167652d747970650700056576656e74\
            7b22636f6e74656e74426c6f636b496e646578223a302c2264656c7461223a\
            7b2274657874223a224869227d7d1f944657
            """,
            json.merging([":event-type": "contentBlockDelta", ":message-type": "event"]) { $1 },
            #"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#),
        Row(
            "an exception",
            """
            00000090000000618e91a9b70f3a657863657074696f6e2d74797065070013\
            7468726f74746c696e67457863657074696f6e\
            0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e\
            0d3a6d6573736167652d74797065070009657863657074696f6e\
            7b226d657373616765223a22546f6f206d616e79207265717565737473227de67f8005
            """,
            json.merging([
                ":exception-type": "throttlingException", ":message-type": "exception",
            ]) { $1 },
            #"{"message":"Too many requests"}"#),
    ]

    @Test("A frame is read the same wherever its bytes are split", arguments: rows)
    func splits(row: Row) throws {
        let bytes = row.bytes + row.bytes
        for size in 1...bytes.count {
            var parser = EventStreamFrames()
            var frames: [EventStreamFrame] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                frames += try parser.push(Array(bytes[start..<min(start + size, bytes.count)]))
                // Nothing arriving must change nothing.
                frames += try parser.push([])
            }
            #expect(frames == [row.frame, row.frame], "in pieces of \(size)")
            #expect(try parser.finish() == nil)
        }
    }

    @Test("Headers of every type are stepped over; those of text are kept")
    func headerTypes() throws {
        let values: [(UInt8, [UInt8])] = [
            (0, []), (1, []), (2, [1]), (3, [0, 1]), (4, [0, 0, 0, 1]),
            (5, [0, 0, 0, 0, 0, 0, 0, 1]), (6, [0, 2, 9, 9]), (7, [0, 2] + "ok".utf8),
            (8, [0, 0, 0, 0, 0, 0, 0, 1]), (9, Array(repeating: 7, count: 16)),
        ]
        var headers: [UInt8] = []
        for (type, value) in values { headers += [2, 104, 48 + type, type] + value }
        var parser = EventStreamFrames()
        let frames = try parser.push(Self.frame(headers: headers, payload: [1, 2]))
        #expect(frames == [EventStreamFrame(headers: ["h7": "ok"], payload: [1, 2])])
    }

    @Test("A flipped bit anywhere is found")
    func checksums() throws {
        let bytes = Self.rows[1].bytes
        for place in bytes.indices {
            var parser = EventStreamFrames()
            var wrong = bytes
            wrong[place] ^= 0x10
            #expect(throws: Failure.self, "byte \(place)") {
                // A length that grew is only missed until the next bytes.
                _ = try parser.push(wrong)
                _ = try parser.finish()
            }
        }
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        let code: Failure.Code
    }

    static let wrongs: [Wrong] = [
        Wrong(
            testDescription: "a header without a type", bytes: frame(headers: [1, 104]),
            code: .upstream),
        Wrong(
            testDescription: "a header of an unknown type", bytes: frame(headers: [1, 104, 10]),
            code: .upstream),
        Wrong(
            testDescription: "a name past the headers", bytes: frame(headers: [9, 104]),
            code: .upstream),
        Wrong(
            testDescription: "a value past the headers",
            bytes: frame(headers: [1, 104, 7, 255, 255, 1]), code: .upstream),
        Wrong(
            testDescription: "a length of a value that is cut",
            bytes: frame(headers: [1, 104, 6, 1]), code: .upstream),
        Wrong(
            testDescription: "headers longer than the frame",
            bytes: prelude(total: 20, headers: 5), code: .upstream),
        Wrong(
            testDescription: "a frame of no bytes", bytes: prelude(total: 0, headers: 0),
            code: .upstream),
        Wrong(
            testDescription: "the longest frame there is",
            bytes: prelude(total: .max, headers: 0), code: .tooLarge),
        Wrong(
            testDescription: "the longest headers there are",
            bytes: prelude(total: 1000, headers: .max), code: .tooLarge),
        Wrong(
            testDescription: "a frame past the limit", bytes: prelude(total: 1001, headers: 0),
            code: .tooLarge),
        Wrong(
            testDescription: "an answer in text", bytes: Array("{\"message\":\"no\"}".utf8),
            code: .upstream),
        Wrong(
            testDescription: "an end in mid-frame", bytes: Array(rows[1].bytes.dropLast()),
            code: .upstream),
    ]

    @Test("What is no frame is refused as what it is", arguments: wrongs)
    func refusal(row: Wrong) {
        var parser = EventStreamFrames(frameBytesMax: 1000)
        let failure = #expect(throws: Failure.self) {
            _ = try parser.push(row.bytes)
            _ = try parser.finish()
        }
        #expect(failure?.code == row.code)
    }

    @Test("Random bytes, and random changes of good ones, never trap")
    func hostile() {
        var generator = SeededGenerator(seed: 5)
        let good = Self.rows.flatMap(\.bytes)
        for _ in 0..<2000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] =
                    UInt8.random(in: .min ... .max, using: &generator)
            }
            // With right checksums, so that what is behind them is read.
            let headers = (0..<20).map { _ in UInt8.random(in: 0...12, using: &generator) }
            for input in [bytes, Self.frame(headers: headers)] as [[UInt8]] {
                var parser = EventStreamFrames()
                let frames = (try? parser.push(input)) ?? []
                #expect(frames.count <= Self.rows.count)
            }
        }
    }

    static func prelude(total: UInt32, headers: UInt32) -> [UInt8] {
        let lengths = bytes(total) + bytes(headers)
        return lengths + bytes(CRC32.of(lengths))
    }

    static func frame(headers: [UInt8], payload: [UInt8] = []) -> [UInt8] {
        let total = UInt32(16 + headers.count + payload.count)
        let content =
            prelude(total: total, headers: UInt32(headers.count)) + headers + payload
        return content + bytes(CRC32.of(content))
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }
}
