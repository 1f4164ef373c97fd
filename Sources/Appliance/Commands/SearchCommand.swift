import ArgumentParser
import Core
import Foundation

struct SearchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Find passages in your documents.",
        discussion: """
            Prints what an answer would be looked for in, best first. With --explain also how it came \
            about: the place and the score in each lane (words, meaning), the two together, which \
            passages a model would be given, and what was found and left out; with --expect why a \
            document was not found, and what helps. Works while the server runs (through it) and \
            while it does not.

            heptad search "opening hours of the harbour office"
            heptad search 'error "E1234-X"' --explain
            heptad search "price of a lost oar" --expect handbook.pdf
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "What to look for.")
    var query: String

    @Option(name: .long, help: "Look in this collection only.")
    var collection: String?

    @Option(name: .long, help: "How many passages at most, to 50.")
    var limit = 8

    @Option(name: .long, help: "Search as this user. Default: the owner.")
    var user: String?

    @Flag(name: .long, help: "Show how the order came about.")
    var explain = false

    @Option(
        name: .long,
        help: "A document that should be found, by its name: say what became of it.")
    var expect: String?

    @Flag(name: .long, help: "Print JSON for other programs.")
    var json = false

    func run() async throws {
        try await ServerConnection.open(common, as: user) { server in
            let collections = try await collections(server)
            guard explain || expect != nil else {
                return try await search(server, in: collections.chosen)
            }
            let query = ExplanationQuery(
                question: query, collectionIDs: collections.chosen.map(\.id),
                documentID: try await expected(server, in: collections.all), limit: limit)
            let found: AnswerExplanation = try await server.post("/api/search/explain", query)
            if json { return Terminal.say(try JSONOutput.text(of: found)) }
            SearchReportText(found).show()
        }
    }

    private func search(_ server: ServerConnection, in collections: [Collection]) async throws {
        struct Found: Codable { let hits: [SearchHit] }
        let found: Found = try await server.post(
            "/api/search",
            SearchQuery(text: query, collectionIDs: collections.map(\.id), limit: limit))
        if json { return Terminal.say(try JSONOutput.text(of: found)) }
        if found.hits.isEmpty { Terminal.note("Nothing fits.") }
        for (place, hit) in found.hits.enumerated() {
            SearchReportText.show(hit, number: "\(place + 1)")
        }
    }

    private func collections(_ server: ServerConnection) async throws -> (
        all: [Collection], chosen: [Collection]
    ) {
        struct Collections: Decodable { let collections: [Collection] }
        guard collection != nil || expect != nil else { return ([], []) }
        let known: Collections = try await server.get("/api/collections")
        guard let collection else { return (known.collections, []) }
        guard let found = known.collections.first(where: { $0.name == collection }) else {
            throw Failure(.notFound, "There is no collection “\(collection)”.")
        }
        return (known.collections, [found])
    }

    /// The document of that name, the newest of several.
    private func expected(
        _ server: ServerConnection, in collections: [Collection]
    ) async throws -> Identifier? {
        struct Documents: Decodable { let documents: [DocumentSummary] }
        guard let expect else { return nil }
        for collection in collections {
            let known: Documents = try await server.get(
                "/api/collections/\(collection.id)/documents")
            if let found = known.documents.first(where: { $0.name == expect }) { return found.id }
        }
        throw Failure(.notFound, "There is no document “\(expect)”.")
    }
}

private struct SearchQuery: Encodable {
    let text: String
    let collectionIDs: [Identifier]
    let limit: Int
}

private struct ExplanationQuery: Encodable {
    let question: String
    let collectionIDs: [Identifier]
    let documentID: Identifier?
    let limit: Int
}
