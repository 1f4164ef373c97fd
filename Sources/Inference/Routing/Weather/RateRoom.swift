import Core
import Egress
import Foundation

/// What a provider says is left of its limits, read off an answer's headers and respected before it
/// has to refuse. Knows OpenAI's names (`x-ratelimit-remaining-requests`), which most others took
/// over, and Anthropic's (`anthropic-ratelimit-requests-remaining`).
struct RateRoom: Hashable, Sendable {
    /// So many until then. Between two answers our own calls are taken off it.
    struct Rest: Hashable, Sendable {
        let remaining: Int
        let resetAt: Timestamp
    }

    private(set) var requests: Rest?
    private(set) var tokens: Rest?

    // A reset that is further away is not believed: a call has to find out.
    private static let resetMax = Duration.seconds(3600)

    init() {}

    /// Takes over what the headers say; what they do not say stays as it was.
    mutating func read(_ headers: [HTTPHeader], at now: Timestamp) {
        // Most servers of one's own send neither name.
        guard headers.contains(where: { Self.beginnings.contains($0.name.utf8.first ?? 0) }) else {
            return
        }
        if let rest = Self.rest(of: "requests", in: headers, at: now) { requests = rest }
        let rests = ["tokens", "input-tokens"].compactMap {
            Self.rest(of: $0, in: headers, at: now)
        }
        if let rest = rests.min(by: { $0.remaining < $1.remaining }) { tokens = rest }
    }

    private static let beginnings = "xXaA".utf8

    /// A call of so many tokens goes out.
    mutating func take(tokens count: Int) {
        requests = requests.map { Rest(remaining: max(0, $0.remaining - 1), resetAt: $0.resetAt) }
        tokens = tokens.map {
            Rest(remaining: max(0, $0.remaining - min(max(0, count), 1 << 40)), resetAt: $0.resetAt)
        }
    }

    /// How long until a call of so many tokens may go out; nil when it may go now.
    func wait(tokens count: Int, at now: Timestamp) -> Duration? {
        let waits = [
            requests.flatMap { $0.remaining < 1 ? $0.resetAt : nil },
            tokens.flatMap { $0.remaining < max(1, count) ? $0.resetAt : nil },
        ].compactMap { $0 }.filter { $0 > now }
        return waits.max().map { $0 - now }
    }

    /// Nil without both numbers: some servers send -1, or 0 and no time, for what they do not know.
    private static func rest(of unit: String, in headers: [HTTPHeader], at now: Timestamp) -> Rest?
    {
        let remaining =
            headers["x-ratelimit-remaining-\(unit)"]
            ?? headers["anthropic-ratelimit-\(unit)-remaining"]
        let reset =
            headers["x-ratelimit-reset-\(unit)"] ?? headers["anthropic-ratelimit-\(unit)-reset"]
        guard let remaining = remaining.flatMap({ Int($0) }), (0...(1 << 40)).contains(remaining),
            let wait = reset.flatMap({ Self.wait($0, at: now) }), wait > .zero, wait <= resetMax
        else { return nil }
        return Rest(remaining: remaining, resetAt: now + wait)
    }

    /// `20ms`, `6m0s`, `1.5` (seconds), or a moment as RFC 3339 has it.
    static func wait(_ text: String, at now: Timestamp) -> Duration? {
        let text = text.trimmingCharacters(in: .whitespaces)
        guard !text.isEmpty, text.utf8.count <= 64 else { return nil }
        if let seconds = Double(text) { return duration(seconds) }
        if text.contains("T") {
            let plain = Date.ISO8601FormatStyle()
            let fine = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
            guard let date = (try? plain.parse(text)) ?? (try? fine.parse(text)) else { return nil }
            return duration(date.timeIntervalSince1970 - Double(now.microseconds) / 1_000_000)
        }
        var total = 0.0
        var rest = text[...]
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(number), let seconds = units[String(unit)] else { return nil }
            total += value * seconds
        }
        return duration(total)
    }

    private static let units: [String: Double] = [
        "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400,
    ]

    private static func duration(_ seconds: Double) -> Duration? {
        guard seconds.isFinite, seconds >= 0, seconds < 1e7 else { return nil }
        return .microseconds(Int64(seconds * 1_000_000))
    }
}
