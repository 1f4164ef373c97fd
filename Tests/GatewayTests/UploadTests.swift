import Core
import Foundation
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct UploadTests {
        private struct Accepted: Decodable { let ingestions: [AcceptedUpload] }

        private func form(_ parts: [(String, String)]) -> String {
            parts.map { "--B\r\nContent-Disposition: form-data; \($0)\r\n\r\n\($1)\r\n" }.joined()
                + "--B--\r\n"
        }

        private func upload(_ server: TestServer, _ body: String) async throws -> RawResponse {
            try await server.request(
                "POST", "/api/documents",
                headers: server.bearer(server.aliceKey).merging([
                    "Content-Type": "multipart/form-data; boundary=B"
                ]) { $1 }, body: body)
        }

        @Test("A form's files arrive with their names, types and collection")
        func files() async throws {
            try await TestServer.run { server in
                let response = try await upload(
                    server,
                    form([
                        ("name=\"collectionID\"", "\(ScriptedLayers.collection)"),
                        (
                            "name=\"file\"; filename=\"a.md\"\r\nContent-Type: text/markdown",
                            "# Title\r\n"
                        ), ("name=\"file\"; filename=\"C:\\temp\\naïve.txt\"", "x"),
                    ]))
                #expect(response.status == 202)
                #expect(response.headers["location"] == "/api/jobs/\(ScriptedLayers.job)")
                #expect(
                    try response.json(Accepted.self).ingestions.map(\.name) == [
                        "a.md", "naïve.txt",
                    ])
                let uploads = server.layers.with { $0.uploads }
                #expect(uploads.map(\.mediaType) == ["text/markdown", ""])
                #expect(uploads.map(\.bytes) == [Array("# Title\r\n".utf8), [UInt8(ascii: "x")]])
                #expect(uploads.allSatisfy { $0.collectionID == ScriptedLayers.collection })
            }
        }

        @Test("A raw body is a document, with curl's guess of its type ignored")
        func raw() async throws {
            try await TestServer.run { server in
                let response = try await server.request(
                    "POST", "/api/documents?name=notes%20a%2B.md",
                    headers: server.bearer(server.aliceKey).merging([
                        "Content-Type": "application/x-www-form-urlencoded"
                    ]) { $1 }, body: "text")
                #expect(response.status == 202)
                let upload = try #require(server.layers.with { $0.uploads.first })
                #expect(upload.name == "notes a+.md" && upload.mediaType.isEmpty)
                #expect(upload.collectionID == nil)
            }
        }

        @Test("Uploads that are wrong are refused with a sentence, and nothing is kept")
        func refused() async throws {
            try await TestServer.run { server in
                let file = ("name=\"file\"; filename=\"a.md\"", "x")
                let table: [(String, Int)] = [
                    ("", 400), ("nonsense", 400), (form([]), 400),
                    (form([("name=\"a\"", "b")]), 400),
                    (String(form([file]).dropLast(6)), 400),
                    (form([("name=\"collectionID\"", "nonsense"), file]), 404),
                    (form([("name=\"collectionID\"", "\(ScriptedLayers.chat)"), file]), 404),
                    (
                        form([("name=\"collectionID\"", String(repeating: "c", count: 2000)), file]
                        ), 413
                    ),
                    (form([("name=\"file\"; filename=\"..\"", "x")]), 400),
                    (form([("name=\"file\"; filename=\"a\tb\"", "x")]), 400),
                ]
                for (body, status) in table {
                    let response = try await upload(server, body)
                    #expect(response.status == status, "\(body.prefix(80))")
                    #expect(try response.json(Problem.self).detail.hasSuffix("."))
                }
                let nameless = try await server.request(
                    "POST", "/api/documents", headers: server.bearer(server.aliceKey), body: "x")
                #expect(nameless.status == 400)
                let boundless = try await server.request(
                    "POST", "/api/documents",
                    headers: server.bearer(server.aliceKey).merging([
                        "Content-Type": "multipart/form-data"
                    ]) { $1 }, body: "x")
                #expect(boundless.status == 400)
                #expect(server.layers.with { $0.uploads.count { $0.collectionID == nil } } == 0)
            }
        }

        @Test("Of several files all are taken, or none is")
        func allOrNone() async throws {
            try await TestServer.run { server in
                server.layers.with { $0.refusedUploads = ["b.exe"] }
                let response = try await upload(
                    server,
                    form([
                        ("name=\"file\"; filename=\"a.md\"", "x"),
                        ("name=\"file\"; filename=\"b.exe\"", "x"),
                    ]))
                #expect(response.status == 415)
                #expect(server.layers.with { $0.removed } == [ScriptedLayers.document])
            }
        }

        @Test(
            "A file past the limit is refused by its length, and by its bytes where that is not said"
        )
        func limits() async throws {
            try await TestServer.run {
                $0.uploadBytesMax = 3 << 20
            } _: { server in
                let head =
                    "POST /api/documents?name=a.md HTTP/1.1\r\nHost: localhost\r\n"
                    + "Authorization: Bearer \(server.aliceKey)\r\n"
                let early = try RawConnection(port: server.port)
                try await early.send(
                    head + "Expect: 100-continue\r\nContent-Length: 104857600\r\n\r\n")
                let refusal = try await early.receive(until: "}")
                #expect(refusal.hasPrefix("HTTP/1.1 413") && refusal.contains("3 MiB"))

                let chunked = try RawConnection(port: server.port)
                try await chunked.send(head + "Transfer-Encoding: chunked\r\n\r\n")
                let chunk =
                    Array("100000\r\n".utf8) + [UInt8](repeating: 65, count: 1 << 20) + [13, 10]
                for _ in 0..<4 { try await chunked.send(chunk) }
                #expect(try await chunked.receive(until: "}").hasPrefix("HTTP/1.1 413"))

                let exact = try await server.request(
                    "POST", "/api/documents?name=a.md", headers: server.bearer(server.aliceKey),
                    bytes: [UInt8](repeating: 65, count: 3 << 20))
                #expect(exact.status == 202)
                let over = try await server.request(
                    "POST", "/api/documents?name=a.md", headers: server.bearer(server.aliceKey),
                    bytes: [UInt8](repeating: 65, count: 3 << 20 + 1))
                #expect(over.status == 413)
                #expect(server.layers.with { $0.uploads.count } == 1)
            }
        }

        @Test("A client that asks first whether to send is told to")
        func expectContinue() async throws {
            try await TestServer.run { server in
                let connection = try RawConnection(port: server.port)
                try await connection.send(
                    """
                    POST /api/documents?name=a.md HTTP/1.1\r\nHost: localhost\r\n\
                    Authorization: Bearer \(server.aliceKey)\r\n\
                    Expect: 100-continue\r\nContent-Length: 4\r\n\r\n
                    """)
                #expect(try await connection.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100"))
                try await connection.send("text")
                #expect(try await connection.receive(until: "}").hasPrefix("HTTP/1.1 202"))
            }
        }
    }
}
