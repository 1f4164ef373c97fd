import Core
import Egress
import Testing

@testable import Inference

@Suite struct RetryAfterTests {
    struct Row: CustomTestStringConvertible {
        let testDescription: String
        let headers: [String: String]
        let seconds: Double?

        init(_ name: String, _ headers: [String: String], _ seconds: Double?) {
            (testDescription, self.headers, self.seconds) = (name, headers, seconds)
        }
    }

    // Sun, 06 Nov 1994 08:49:37 GMT
    private static let now = Timestamp(microseconds: 784_111_777_000_000)

    private static let rows = [
        Row("seconds", ["retry-after": "7"], 7),
        Row("a fraction", ["retry-after": " 1.5 "], 1.5),
        Row("milliseconds go first", ["retry-after-ms": "250", "retry-after": "7"], 0.25),
        Row("a date", ["retry-after": "Sun, 06 Nov 1994 08:50:07 GMT"], 30),
        Row("a date of RFC 850", ["retry-after": "Sunday, 06-Nov-94 08:50:07 GMT"], 30),
        Row("a date of C", ["retry-after": "Sun Nov  6 08:50:07 1994"], 30),
        Row(
            "a date by a clock that is an hour ahead",
            [
                "retry-after": "Sun, 06 Nov 1994 09:50:07 GMT",
                "date": "Sun, 06 Nov 1994 09:49:47 GMT",
            ], 20),
        Row("a date that is past", ["retry-after": "Sun, 06 Nov 1994 08:00:00 GMT"], 0),
        Row("a date that is far away", ["retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"], 86_400),
        Row("very long", ["retry-after": "1e12"], 86_400), Row("nothing", [:], nil),
        Row("negative", ["retry-after": "-1"], nil), Row("no number", ["retry-after": "nan"], nil),
        Row("words", ["retry-after": "in a moment or two, GMT"], nil),
        Row("no such month", ["retry-after": "Sun, 06 Foo 1994 08:49:37 GMT"], nil),
        Row("no such hour", ["retry-after": "Sun, 06 Nov 1994 25:49:37 GMT"], nil),
        Row("another zone", ["retry-after": "Sun, 06 Nov 1994 08:49:37 CET"], nil),
        Row("no end", ["retry-after": String(repeating: "1", count: 100_000)], nil),
    ]

    @Test("How long a provider wants to be left alone", arguments: rows)
    func wait(row: Row) {
        let headers = row.headers.map { HTTPHeader($0.key, $0.value) }
        let wait = RetryAfter.wait(headers, at: Self.now)
        #expect(wait == row.seconds.map { .milliseconds(Int64($0 * 1000)) })
    }
}
