import Core
import Foundation
import TestSupport
import Testing

@Suite struct IdentifierTests {
    @Test("Identifiers are UUIDv7 and sort by time")
    func order() throws {
        let clock = ManualClock()
        let environment = Environment.manual(clock)
        let first = environment.identifier()
        clock.advance(by: .milliseconds(1))
        let second = environment.identifier()

        #expect(first < second)
        #expect(Identifier(first.description) == first)
        #expect(Array(first.description)[14] == "7")
        #expect("89ab".contains(Array(first.description)[19]))
    }

    @Test(
        "Text that is no identifier is refused",
        arguments: [
            "", "x", "00000000-0000-7000-8000-00000000000", "00000000-0000-7000-8000-00000000000A",
            "00000000_0000-7000-8000-000000000000", "../../../../../../../../etc/passwd-and",
        ])
    func refused(text: String) { #expect(Identifier(text) == nil) }
}

@Suite struct PicodollarsTests {
    @Test(
        "Amounts read as dollars",
        arguments: [
            (0, "$0.00"), (1, "$0.000000000001"), (2_100_000, "$0.0000021"),
            (-1_500_000_000_000, "-$1.50"), (Int64.min, "-$9223372.036854775808"),
        ] as [(Int64, String)])
    func description(amount: Int64, expected: String) {
        #expect(Picodollars(amount).description == expected)
    }

    @Test("Money neither wraps nor traps")
    func overflow() throws {
        #expect(throws: Failure.self) { try Picodollars(.max).adding(Picodollars(1)) }
        #expect(throws: Failure.self) { try Picodollars(.max).times(2) }
        #expect(try Picodollars(3).times(4).adding(Picodollars(1)) == Picodollars(13))
    }
}

@Suite struct TimestampTests {
    @Test("A moment goes through JSON with its milliseconds")
    func json() throws {
        let time = Timestamp(microseconds: 1_790_000_000_123_456)
        let text = try JSONEncoder().encode([time])
        #expect(String(decoding: text, as: UTF8.self).contains(".123Z"))
        let back = try JSONDecoder().decode([Timestamp].self, from: text)
        #expect(back == [Timestamp(microseconds: 1_790_000_000_123_000)])
    }

    @Test("Moments are written as Foundation writes them")
    func text() {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        var generator = SystemRandomNumberGenerator()
        let edges: [Int64] = [0, -1, 951_782_400, 951_868_799, 4_107_542_399, -12_212_553_600]
        let seconds =
            edges
            + (0..<2000).map { _ in
                Int64.random(in: -12_212_553_600...253_402_300_799, using: &generator)
            }
        for second in seconds {
            let time = Timestamp(microseconds: second * 1_000_000 + 250_999)
            let date = Date(timeIntervalSince1970: Double(second) + 0.25)
            #expect(time.description == date.formatted(style))
        }
    }
}
