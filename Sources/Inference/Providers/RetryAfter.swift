import Core
import Egress
import Foundation

/// How long a provider wants to be left alone.
enum RetryAfter {
    // Who asks for more is asked again after this.
    private static let waitMax = Duration.seconds(86_400)
    private static let charactersMax = 64

    /// `retry-after-ms`, or `Retry-After` in seconds or as a date. A date is held against the
    /// answer's own `Date` where there is one, since the two clocks may differ.
    static func wait(_ headers: [HTTPHeader], at now: Timestamp) -> Duration? {
        if let milliseconds = headers["retry-after-ms"].flatMap(number) {
            return duration(milliseconds / 1000)
        }
        guard let text = headers["retry-after"] else { return nil }
        if let seconds = number(text) { return duration(seconds) }
        guard let moment = date(text) else { return nil }
        let theirs = headers["date"].flatMap(date) ?? Double(now.microseconds) / 1_000_000
        return duration(max(0, moment - theirs))
    }

    private static func number(_ text: String) -> Double? {
        Double(text.trimmingCharacters(in: .whitespaces))
    }

    private static func duration(_ seconds: Double) -> Duration? {
        guard seconds.isFinite, seconds >= 0 else { return nil }
        return min(.seconds(min(seconds, 1e9)), waitMax)
    }

    /// Seconds since 1970. HTTP's three forms (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`,
    /// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`.
    static func date(_ text: String) -> Double? {
        guard text.utf8.count <= charactersMax else { return nil }
        let words = text.split { $0 == " " || $0 == "," || $0 == "-" }.map(String.init)
        let isC = words.count == 5
        guard words.count == 6 || isC, isC || words[5] == "GMT" else { return nil }
        let (day, month, year, time) =
            isC
            ? (words[2], words[1], words[4], words[3]) : (words[1], words[2], words[3], words[4])
        let clock = time.split(separator: ":").map(digits)
        guard let day = digits(day),
            let place = months.firstIndex(of: month.prefix(3).lowercased()),
            var year = digits(year), clock.count == 3, let hour = clock[0], let minute = clock[1],
            let second = clock[2], (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        // Two digits are of the century that is not more than 50 years ahead; no wait is so long.
        if year < 100 { year += year < 70 ? 2000 : 1900 }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let parts = DateComponents(
            year: year, month: place + 1, day: day, hour: hour, minute: minute, second: second)
        return calendar.date(from: parts)?.timeIntervalSince1970
    }

    private static func digits(_ text: some StringProtocol) -> Int? {
        text.allSatisfy({ $0.isASCII && $0.isNumber }) && text.count <= 4 ? Int(text) : nil
    }

    private static let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ]
}
