/// What a site's `robots.txt` lets us fetch (RFC 9309): the group for `heptad`, or the one for all.
struct RobotsRules: Equatable, Sendable {
    private struct Rule: Equatable, Sendable {
        let isAllowed: Bool
        let pattern: [UInt8]
    }

    private var rules: [Rule] = []
    /// Where it says that site maps are.
    private(set) var siteMaps: [String] = []
    /// How long it asks to wait between two fetches, in seconds.
    private(set) var delaySeconds = 0.0

    static let agent = "heptad"
    /// What follows is not read; the specification asks for at least 500 kibibytes.
    static let bytesMax = 512 * 1024
    private static let rulesMax = 5000
    private static let siteMapsMax = 50
    /// Asked for more than this we would be at it for days.
    static let delaySecondsMax = 10.0
    private static let patternBytesMax = 2000
    // Of all patterns that are heeded: each page is held against all of them.
    private static let patternBytesSumMax = 64 * 1024

    static let allowingAll = RobotsRules(text: "")

    init(text: String) {
        var groups: [(agents: [String], rules: [Rule], delay: Double?)] = []
        var isInRules = true
        for line in text.split(whereSeparator: \.isNewline) {
            let content = line.prefix { $0 != "#" }
            guard let colon = content.firstIndex(of: ":") else { continue }
            let key = content[..<colon].filter { !$0.isWhitespace }.lowercased()
            let value = String(content[content.index(after: colon)...]).trimmed()
            switch key {
            case "user-agent":
                if isInRules { groups.append(([], [], nil)) }
                isInRules = false
                groups[groups.count - 1].agents.append(value.lowercased())
            case "allow", "disallow":
                isInRules = true
                guard !groups.isEmpty, !value.isEmpty, value.utf8.count <= Self.patternBytesMax,
                    groups[groups.count - 1].rules.count < Self.rulesMax
                else { continue }
                groups[groups.count - 1].rules.append(
                    Rule(isAllowed: key == "allow", pattern: Array(value.utf8)))
            case "crawl-delay":
                isInRules = true
                if !groups.isEmpty { groups[groups.count - 1].delay = Double(value) }
            case "sitemap" where siteMaps.count < Self.siteMapsMax: siteMaps.append(value)
            default: break
            }
        }
        let own = groups.filter { group in
            group.agents.contains { $0.prefix { $0 != "/" } == Self.agent }
        }
        var patternBytes = 0
        for group in own.isEmpty ? groups.filter({ $0.agents.contains("*") }) : own {
            for rule in group.rules.prefix(Self.rulesMax - rules.count) {
                patternBytes += rule.pattern.count
                guard patternBytes <= Self.patternBytesSumMax else { break }
                rules.append(rule)
            }
            if let delay = group.delay, delay.isFinite, delay > 0 {
                delaySeconds = min(max(delaySeconds, delay), Self.delaySecondsMax)
            }
        }
    }

    /// Of all rules that fit a path with its query, the longest decides; of two, the one that allows.
    func allows(_ path: String) -> Bool {
        guard path != "/robots.txt" else { return true }
        let path = Array(path.utf8)
        var best: (length: Int, isAllowed: Bool) = (-1, true)
        for rule in rules where Self.matches(rule.pattern, path) {
            if rule.pattern.count > best.length
                || rule.pattern.count == best.length && rule.isAllowed
            {
                best = (rule.pattern.count, rule.isAllowed)
            }
        }
        return best.isAllowed
    }

    /// `*` is any run of bytes, `$` at the end the end of the path. One pass and a place to go back to,
    /// so that no pattern takes longer than its length times the path's.
    private static func matches(_ pattern: [UInt8], _ path: [UInt8]) -> Bool {
        let isAnchored = pattern.last == UInt8(ascii: "$")
        let pattern = isAnchored ? pattern.dropLast() : pattern[...]
        var (place, at) = (pattern.startIndex, 0)
        var star: (pattern: Int, path: Int)?
        while true {
            if place == pattern.endIndex {
                if !isAnchored || at == path.count { return true }
            } else if pattern[place] == UInt8(ascii: "*") {
                star = (place + 1, at)
                place += 1
                continue
            } else if at < path.count, pattern[place] == path[at] {
                place += 1
                at += 1
                continue
            }
            guard let last = star, last.path < path.count else { return false }
            star = (last.pattern, last.path + 1)
            (place, at) = (last.pattern, last.path + 1)
        }
    }
}
