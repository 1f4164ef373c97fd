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

    @Option(
        name: .long,
        help: "A document that should be found, by its name: say what became of it.")
    var expect: String?

    @Flag(name: .long, help: "Print JSON for other programs.")
    var json = false

    func validate() throws {
        guard tag.isEmpty && type.isEmpty || !explain && expect == nil else {
            throw ValidationError("--tag and --type do not go with --explain and --expect.")
        }
    }

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
            SearchQuery(
                text: query, collectionIDs: collections.map(\.id), limit: limit, tags: tag,
                types: type))
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
        guard !collection.isEmpty || expect != nil else { return ([], []) }
        let chosen = Set(try await server.collectionIDs(named: collection))
        let known: Collections = try await server.get("/api/collections")
        return (known.collections, known.collections.filter { chosen.contains($0.id) })
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
    let tags: [String]
    let types: [String]
}

private struct ExplanationQuery: Encodable {
    let question: String
    let collectionIDs: [Identifier]
    let documentID: Identifier?
    let limit: Int
}
