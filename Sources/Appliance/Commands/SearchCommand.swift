import ArgumentParser
import Core
import Foundation

struct SearchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Find passages in your documents.",
        discussion: """
            Prints what an answer would be looked for in, best first. With --explain also how it came \
            about: the place and the score in each lane (words, meaning), the two together, and what \
            was found and left out. Works while the server runs (through it) and while it does not.

            heptad search "opening hours of the harbour office"
            heptad search 'error "E1234-X"' --explain
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "What to look for.")
    var query: String

    @Option(
        name: .long,
        help: "Look in this collection only; may be repeated. A shared one is also OWNER/NAME.")
    var collection: [String] = []

    @Option(name: .long, help: "Only documents with this tag, or another one that is named.")
    var tag: [String] = []

    @Option(name: .long, help: "Only documents of this type, such as pdf or text/html.")
    var type: [String] = []

    @Option(name: .long, help: "How many passages at most, to 50.")
    var limit = 8

    @Option(name: .long, help: "Search as this user. Default: the owner.")
    var user: String?

    @Flag(name: .long, help: "Show how the order came about.")
    var explain = false

    @Flag(name: .long, help: "Print JSON for other programs.")
    var json = false

    func run() async throws {
        try await ServerConnection.open(common, as: user) { server in
            let body = SearchBody(
                text: query, collectionIDs: try await server.collectionIDs(named: collection),
                limit: limit, explain: true, tags: tag, types: type)
            let found: SearchExplanation = try await server.post("/api/search", body)
            if json, explain { return Terminal.say(try JSONOutput.text(of: found)) }
            if json { return Terminal.say(try JSONOutput.text(of: ["hits": found.hits])) }
            show(found)
        }
    }

    private func show(_ found: SearchExplanation) {
        if found.hits.isEmpty { Terminal.note("Nothing fits.") }
        for (place, hit) in found.hits.enumerated() { show(hit, number: "\(place + 1)") }
        guard explain else { return }
        for hit in found.dropped { show(hit, number: "-") }
        let share = Int((found.vectorShare * 100).rounded())
        Terminal.say(
            "A \(found.question) question: meaning counts \(share) %, words \(100 - share) %."
                + (found.hasVectors ? "" : " It could not be embedded: words alone decided."))
        Terminal.say(
            "\(found.dropped.count) left out (-): no word fits, and the cosine is below "
                + "\(found.similarityMin).")
    }

    private func show(_ hit: SearchHit, number: String) {
        let passage = hit.passage
        let place = ([passage.documentName] + passage.headings).joined(separator: " > ")
        Terminal.say(
            Terminal.harmless("[\(number)] \(place), \(passage.start)-\(passage.end)"))
        if explain { Terminal.say("    " + Self.reasons(of: hit)) }
        let line = passage.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        Terminal.say(Terminal.harmless("    " + line.prefix(Self.excerptMax)))
    }

    private static let excerptMax = 160

    private static func reasons(of hit: SearchHit) -> String {
        func part(_ name: String, _ rank: Int?, _ format: String, _ score: Double?) -> String {
            let place = rank.map { "#\($0)" } ?? "-"
            return "\(name) \(place)" + (score.map { String(format: " (\(format))", $0) } ?? "")
        }
        return [
            String(format: "score %.4f", hit.score),
            part("words", hit.keywordRank, "BM25 %.2f", hit.keywordScore),
            part("meaning", hit.vectorRank, "cosine %.3f", hit.similarity),
        ].joined(separator: " · ") + (hit.isExact ? " · exact" : "")
    }
}

private struct SearchBody: Encodable {
    let text: String
    let collectionIDs: [Identifier]
    let limit: Int
    let explain: Bool
    let tags: [String]
    let types: [String]
}
