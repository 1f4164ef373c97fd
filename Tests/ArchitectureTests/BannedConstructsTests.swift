import Foundation
import Testing

/// What no source file may hold, whoever wrote it.
@Suite struct BannedConstructsTests {
    struct Rule: Sendable, CustomTestStringConvertible {
        let pattern: String
        let reason: String
        /// Path prefixes where it is allowed.
        var except: [String] = []

        var testDescription: String { pattern }
    }

    static let rules: [Rule] = [
        Rule(pattern: #"\btry!"#, reason: "A crash takes all seven layers down."),
        Rule(pattern: #"\bas!"#, reason: "A crash takes all seven layers down."),
        Rule(pattern: #"\bfatalError\("#, reason: "A crash takes all seven layers down."),
        Rule(
            pattern: #"\b(first|last|min\(\)|max\(\))!"#,
            reason: "An empty list is no reason to die."),
        Rule(
            pattern: #"(?<![.\w])print\("#, reason: "Layers log; only the command line prints.",
            except: ["Sources/Appliance/Commands/"]),
        Rule(
            pattern:
                #"(?<![.\w])(socket|connect|getaddrinfo)\(|\bURLSession\b|\bClientBootstrap\b"#,
            reason: "Egress is the only way out.", except: ["Sources/Egress/"]),
        Rule(pattern: #"\b(TODO|FIXME|XXX)\b"#, reason: "A plan goes into an issue."),
        Rule(pattern: #"catch\s*\{\s*\}"#, reason: "An error that is swallowed is not handled."),
    ]

    @Test("No source holds a banned construct", arguments: rules)
    func banned(rule: Rule) throws {
        let pattern = try NSRegularExpression(pattern: rule.pattern)
        let found = Repository.sources.flatMap { source in
            guard !rule.except.contains(where: { source.path.hasPrefix($0) }) else {
                return [String]()
            }
            return source.code.compactMap { line in
                let range = NSRange(line.text.startIndex..., in: line.text)
                guard pattern.firstMatch(in: line.text, range: range) != nil else { return nil }
                return "\(source.path):\(line.number) \(rule.reason)"
            }
        }
        #expect(found == [])
    }

    @Test(
        "The rules would find what they ban",
        arguments: [
            ("let a = try! b()", 0), ("let a = b as! C", 1), ("fatalError(\"x\")", 2),
            ("list.first!", 3),
            ("print(1)", 4), ("let s = socket(AF_INET, 0, 0)", 5), ("URLSession.shared", 5),
        ])
    func rulesBite(line: String, rule: Int) throws {
        let pattern = try NSRegularExpression(pattern: Self.rules[rule].pattern)
        #expect(pattern.firstMatch(in: line, range: NSRange(line.startIndex..., in: line)) != nil)
    }

    @Test("Every unchecked Sendable says why it is safe")
    func safety() {
        let bare = Repository.sources.flatMap { source in
            source.lines.indices.compactMap { index -> String? in
                guard source.lines[index].contains("@unchecked Sendable") else { return nil }
                let above = source.lines[max(0, index - 6)..<index]
                return above.contains { $0.contains("SAFETY:") }
                    ? nil : "\(source.path):\(index + 1)"
            }
        }
        #expect(bare == [])
    }

    @Test("Core stays small")
    func size() {
        let lines = Repository.sources.filter { $0.target == "Core" }.map(\.lines.count).reduce(
            0, +)
        #expect(lines < 2_080, "Core is for values and seams that two layers use.")
    }
}
