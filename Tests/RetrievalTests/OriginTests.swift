import Core
import TestSupport
import Testing

@testable import Retrieval

@Suite struct OriginTests {
    private static let story = (0..<60).map { "Boat \($0) floats on lake \($0 * 7)." }
        .joined(separator: " ")

    private func send(
        _ text: String, as name: String, from source: String?, to desk: Desk
    ) async throws {
        let ingestion = try await desk.library.ingest(
            Upload(
                name: name, mediaType: "", bytes: Array(text.utf8), collectionID: nil,
                source: source), for: .alice)
        try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .alice)
    }

    @Test("A document that says nearly the same as another is taken, and says so")
    func similar() async throws {
        let desk = try Desk()
        let (first, _) = try await desk.add(Self.story, as: "a.txt")
        let (second, reports) = try await desk.add(
            Self.story + " One word more than before.", as: "b.txt")
        try await desk.add(
            (0..<60).map { "Train \($0) leaves from track \($0 * 3)." }.joined(separator: " "),
            as: "c.txt")
        let documents = try await desk.documents()
        let similar = documents.filter { $0.similarTo != nil }

        #expect(similar.map(\.id) == [second] && similar.first?.similarTo == first)
        #expect(reports.last?.message.contains("nearly the same as “a.txt”") == true)
        try await desk.library.remove(document: first, for: .alice)
        #expect(try await desk.documents().allSatisfy { $0.similarTo == nil })
    }

    @Test("Documents of others, and a document's own older version, are no likeness")
    func notSimilar() async throws {
        let desk = try Desk()
        try await desk.add(Self.story, as: "a.txt", for: .mallory)
        try await desk.add(Self.story, as: "a.txt")
        try await desk.add(Self.story + " New.", as: "a.txt")
        let documents = try await desk.documents()
        #expect(documents.count == 1 && documents.first?.similarTo == nil)
    }

    @Test("The likeness of two texts is about the share of runs that both have")
    func likeness() throws {
        let words = (0..<2000).map { "word\($0)" }
        func sketch(_ range: Range<Int>) throws -> Likeness {
            try #require(Likeness(of: Array(words[range].joined(separator: " ").unicodeScalars)))
        }
        let whole = try sketch(0..<2000)
        #expect(whole.similarity(to: whole) == 1)
        #expect(abs(whole.similarity(to: try sketch(0..<1000)) - 0.5) < 0.15)
        #expect(try sketch(0..<1000).similarity(to: sketch(1000..<2000)) < 0.05)
        #expect(Likeness(of: Array("Only a few words.".unicodeScalars)) == nil)
    }

    @Test("Files of one name from two places are two documents; one place keeps the newest")
    func sources() async throws {
        let desk = try Desk()
        try await send("Boats float.", as: "readme.md", from: nil, to: desk)
        try await send("Boats float.", as: "readme.md", from: "/a/readme.md", to: desk)
        try await send("Trains roll.", as: "readme.md", from: "/b/readme.md", to: desk)
        try await send("Boats sink.", as: "readme.md", from: "/a/readme.md", to: desk)
        let documents = try await desk.documents()

        #expect(documents.map(\.source) == ["/a/readme.md", "/b/readme.md"])
        #expect(documents.allSatisfy { $0.contentHash?.count == 64 })
        #expect(try await desk.search("float").isEmpty)
        #expect(try await desk.search("trains").count == 1)
    }

    private static func served(_ type: String, _ body: String, status: String = "200 OK")
        -> [ScriptedServer.Step]
    {
        [
            .text(
                "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        ]
    }

    @Test("A page is fetched by its address, and fetched again it replaces itself")
    func page() async throws {
        let pages = ["<title>Boats</title><p>Boats float.", "<title>Boats</title><p>Boats sink."]
        let server = try ScriptedServer { request in
            Self.served("text/html; charset=utf-8", pages[min(1, request.connection)])
        }
        let authority = "127.0.0.1:\(server.port)"
        let desk = try Desk(allowedTargets: [authority])
        let address = "http://\(authority)/docs/boats?x=1"
        for _ in pages {
            let ingestion = try await desk.library.ingest(
                address: address, into: nil, for: .alice)
            try await desk.jobs.run(ingestion.jobID, with: desk.library, for: .alice)
        }
        let document = try #require(try await desk.documents().first)

        #expect(document.name == "\(authority)/docs/boats" && document.source == address)
        #expect(document.mediaType == "text/html")
        #expect(try await desk.search("float").isEmpty)
        #expect(try await desk.search("sink").first?.passage.text == "Boats sink.")
        #expect(try await desk.documents().count == 1)
    }

    @Test(
        "An address that may not be reached, fails or is too large is refused, and nothing is kept")
    func refusals() async throws {
        let server = try ScriptedServer { request in
            request.path == "/gone"
                ? Self.served("text/plain", "gone", status: "404 Not Found")
                : Self.served("text/plain", String(repeating: "x", count: 2000))
        }
        let authority = "127.0.0.1:\(server.port)"
        let desk = try Desk(allowedTargets: [authority]) { $0.documentBytesMax = 1000 }
        func code(_ address: String, _ desk: Desk) async -> Failure.Code? {
            await failure {
                _ = try await desk.library.ingest(address: address, into: nil, for: .alice)
            }?.code
        }
        #expect(await code("http://\(authority)/gone", desk) == .upstream)
        #expect(await code("http://\(authority)/", desk) == .tooLarge)
        #expect(await code("http://\(authority)/", try Desk()) == .forbidden)
        #expect(await code("file:///etc/passwd", desk) == .invalid)
        #expect(try await desk.documents().isEmpty)
    }

    @Test(
        "A page is called by its place, a file by its name",
        arguments: [
            ("https://example.com/docs/intro", "text/html", "example.com/docs/intro"),
            ("https://example.com/", "text/html", "example.com"),
            ("https://example.com/a/index.php?b=c", "text/html", "example.com/a/index.php.html"),
            ("https://example.com/a/report.pdf#x", "application/pdf", "report.pdf"),
        ])
    func names(address: String, type: String, expected: String) throws {
        let page = WebPage(address, type, charset: "", [])
        #expect(page.name == expected)
        if type == "text/html" {
            #expect(try DocumentFormat(name: page.name, mediaType: type) == .html)
        }
    }
}
