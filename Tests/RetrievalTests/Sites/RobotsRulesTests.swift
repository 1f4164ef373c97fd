import Testing

@testable import Retrieval

@Suite struct RobotsRulesTests {
    private static let rows: [(text: String, path: String, isAllowed: Bool)] = [
        ("", "/a", true), ("User-agent: *\nDisallow:", "/a", true),
        ("User-agent: *\nDisallow: /", "/a", false),
        ("User-agent: *\nDisallow: /", "/robots.txt", true),
        ("User-agent: *\nDisallow: /private", "/private/a", false),
        ("User-agent: *\nDisallow: /private", "/public", true),
        // The longest rule decides; of two as long, the one that allows.
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", true),
        ("User-agent: *\nAllow: /a\nDisallow: /a/b", "/a/b/c", false),
        ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", true),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf", false),
        ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf?a", true),
        ("User-agent: *\nDisallow: /*?", "/x?y=1", false),
        ("User-agent: *\nDisallow: /a*b*c", "/a--b--c--", false),
        ("User-agent: *\nDisallow: /a*b*c", "/a--c--b", true),
        // Our own group, and no other, where there is one.
        ("User-agent: *\nDisallow: /\n\nUser-agent: Heptad/1.0\nDisallow: /b", "/a", true),
        ("User-agent: heptad\nUser-agent: other\nDisallow: /b\n", "/b", false),
        ("User-agent: other\nDisallow: /", "/a", true),
        ("# nothing\nuser-AGENT : *  # all\n DISALLOW : /a # no", "/a", false),
        ("Disallow: /", "/a", true),
    ]

    @Test("A path is allowed or not as RFC 9309 says", arguments: rows)
    func allowed(row: (text: String, path: String, isAllowed: Bool)) {
        #expect(RobotsRules(text: row.text).allows(row.path) == row.isAllowed)
    }

    @Test("Site maps and the wait between pages are read, within bounds")
    func others() {
        let rules = RobotsRules(
            text: "Sitemap: https://a.example/one.xml\nUser-agent: *\nCrawl-delay: 2.5\n"
                + "sitemap:https://a.example/two.xml")
        #expect(rules.siteMaps == ["https://a.example/one.xml", "https://a.example/two.xml"])
        #expect(rules.delaySeconds == 2.5)
        #expect(RobotsRules(text: "User-agent: *\nCrawl-delay: 9999").delaySeconds == 10)
        #expect(RobotsRules(text: "User-agent: *\nCrawl-delay: nan").delaySeconds == 0)
    }

    @Test("Hostile rules end soon", .timeLimit(.minutes(1)))
    func hostile() {
        let stars = String(repeating: "*a", count: 900)
        let rules = RobotsRules(text: "User-agent: *\nDisallow: /\(stars)$")
        #expect(rules.allows("/" + String(repeating: "a", count: 2000) + "b"))
        let many = "User-agent: *\n" + String(repeating: "Disallow: /x\n", count: 40_000)
        #expect(!RobotsRules(text: many).allows("/x"))
    }
}
