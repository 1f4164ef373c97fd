import Core
import Foundation
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct HostileTests {
        @Test("Every response carries the security headers, whatever it says")
        func headers() async throws {
            try await TestServer.run { server in
                for (method, target) in [
                    ("GET", "/"), ("GET", "/app.js"), ("GET", "/nothing"), ("GET", "/healthz"),
                    ("GET", "/api/session"), ("GET", "/api/nothing"), ("PUT", "/api/chats"),
                    ("GET", "/v1/models"), ("GET", "/api/openapi.json"), ("GET", "/%zz"),
                    ("POST", "/api/login"), ("HEAD", "/"), ("TRACE", "/"), ("PATCH", "/pot"),
                ] {
                    let response = try await server.request(method, target)
                    let policy = response.headers["content-security-policy"] ?? ""
                    #expect(policy.hasPrefix("default-src 'none'; script-src 'self'"), "\(target)")
                    #expect(policy.contains("frame-ancestors 'none'"))
                    #expect(response.headers["x-content-type-options"] == "nosniff")
                    #expect(response.headers["x-frame-options"] == "DENY")
                    #expect(response.headers["referrer-policy"] == "same-origin")
                    #expect(response.headers["cache-control"] != nil)
                }
            }
        }

        @Test(
            "Errors are problems with a status, a code and a sentence",
            arguments: [
                ("GET", "/api/nothing", 404, "notFound"), ("GET", "/nothing.js", 404, "notFound"),
                ("PUT", "/api/chats", 405, "invalid"), ("POST", "/", 405, "invalid"),
                ("GET", "/api/chats?limit=0", 400, "invalid"),
                ("GET", "/api/chats?limit=x", 400, "invalid"),
                ("GET", "/api/chats?before=yesterday", 400, "invalid"),
                ("GET", "/api/chats?limit=%zz", 400, "invalid"),
                ("GET", "/api/%C3%28", 400, "invalid"), ("GET", "/api/%00", 400, "invalid"),
                ("GET", "/..%2f..%2fetc/passwd", 404, "notFound"),
                ("GET", "/../../etc/passwd", 404, "notFound"),
                ("GET", "/a/..%5c..%5cb", 404, "notFound"), ("GET", "//api/chats", 404, "notFound"),
                ("GET", "/api/chats/", 404, "notFound"), ("GET", "/API/chats", 404, "notFound"),
            ])
        func problems(method: String, target: String, status: Int, code: String) async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice(method, target)
                #expect(response.status == status)
                #expect(response.headers["content-type"] == "application/problem+json")
                let problem = try response.json(Problem.self)
                #expect(problem.code == code && problem.status == status)
                #expect(problem.detail.hasSuffix("."))
                if status == 405 { #expect(response.headers["allow"]?.isEmpty == false) }
            }
        }

        @Test(
            "Bodies that are wrong are refused with a sentence",
            arguments: [
                ("/api/chats", "{", 400), ("/api/chats", "[]", 400),
                ("/api/search", #"{"text":" "}"#, 400), ("/api/search", #"{"text":1}"#, 400),
                ("/api/search", #"{"text":"a","limit":51}"#, 400),
                ("/api/search", #"{"text":"a","limit":1e400}"#, 400),
                ("/api/collections", #"{"name":""}"#, 400), ("/api/keys", "{}", 400),
                ("/api/chats/00000000-0000-7000-8000-000000000101/turns", #"{"question":""}"#, 400),
                (
                    "/api/chats/00000000-0000-7000-8000-000000000101/turns",
                    #"{"question":"a","sampling":{"temperature":9}}"#, 400
                ),
                (
                    "/api/chats/00000000-0000-7000-8000-000000000101/turns",
                    #"{"question":"a","collectionIDs":["x"]}"#, 400
                ),
                ("/api/search", String(repeating: "[", count: 500_000), 400),
                (
                    "/api/search",
                    String(repeating: #"{"text":"#, count: 100_000) + "1"
                        + String(repeating: "}", count: 100_000), 400
                ),
            ])
        func bodies(target: String, json: String, status: Int) async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice("POST", target, json: json)
                #expect(response.status == status)
                #expect(try response.json(Problem.self).detail.hasSuffix("."))
            }
        }

        @Test("A body of another type is refused")
        func contentType() async throws {
            try await TestServer.run { server in
                let response = try await server.request(
                    "POST", "/api/search",
                    headers: server.bearer(server.aliceKey).merging(["Content-Type": "text/plain"])
                    {
                        $1
                    }, body: #"{"text":"a"}"#)
                #expect(response.status == 415)
            }
        }

        @Test("A body that says it is too large is refused unread, one that lies while it is read")
        func tooLarge() async throws {
            try await TestServer.run {
                $0.bodyBytesMax = 2000
            } _: { server in
                let head =
                    "POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "Authorization: Bearer \(server.aliceKey)\r\n"
                let early = try RawConnection(port: server.port)
                try await early.send(head + "Content-Length: 2001\r\n\r\n")
                #expect(try await early.receive(until: "}").hasPrefix("HTTP/1.1 413"))

                let chunked = try RawConnection(port: server.port)
                try await chunked.send(head + "Transfer-Encoding: chunked\r\n\r\n")
                let chunk = "200\r\n" + String(repeating: " ", count: 0x200) + "\r\n"
                for _ in 0..<4 { try await chunked.send(chunk) }
                #expect(try await chunked.receive(until: "}").hasPrefix("HTTP/1.1 413"))

                let huge = try RawConnection(port: server.port)
                try await huge.send(head + "Content-Length: 99999999999999999999\r\n\r\n")
                #expect(try await huge.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 400"))
            }
        }

        @Test("Who goes on sending a refused body is cut off")
        func lingering() async throws {
            try await TestServer.run { server in
                let connection = try RawConnection(port: server.port)
                try await connection.send(
                    "POST /api/nothing HTTP/1.1\r\nHost: localhost\r\n"
                        + "Content-Length: 1000000000\r\n\r\n")
                #expect(try await connection.receive(until: "}").hasPrefix("HTTP/1.1 404"))
                let piece = [UInt8](repeating: 65, count: 1 << 20)
                await #expect(throws: RawConnection.Broken.self) {
                    for _ in 0..<100 { try await connection.send(piece) }
                }
            }
        }

        @Test("A body that never comes is given up")
        func slowBody() async throws {
            try await TestServer.run {
                $0.bodyTimeoutSeconds = 1
            } _: { server in
                let connection = try RawConnection(port: server.port)
                try await connection.send(
                    "POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
                        + "Authorization: Bearer \(server.aliceKey)\r\n\r\n{\"text")
                let response = try RawResponse(try await connection.receiveAll())
                #expect(response.status == 408)
                #expect(try response.json(Problem.self).code == "timeout")
            }
        }

        @Test("A body that is cut off is refused, and the server goes on")
        func cutOff() async throws {
            try await TestServer.run { server in
                let connection = try RawConnection(port: server.port)
                try await connection.send(
                    "POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
                        + "Authorization: Bearer \(server.aliceKey)\r\n\r\n{\"text\":\"a\"}")
                connection.close()
                #expect(try await server.asAlice("GET", "/api/chats").status == 200)
                #expect(server.layers.with { $0.searches.count } == 0)
            }
        }

        @Test("Requests that are hardly HTTP get an error or a closed door, never more")
        func noise() async throws {
            try await TestServer.run { server in
                let requests: [[UInt8]] =
                    [
                        "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
                        "GET ? HTTP/1.1\r\n\r\n",
                        "GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        "GET http://evil.example/api/session HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        "GET : HTTP/1.1\r\n\r\n",
                        "GET /?a=%&&&=b HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                        "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: \u{e9}\u{0}\r\n\r\n",
                        "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                        "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
                            + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                        "POST /api/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                            + "\r\nZZ\r\n",
                        "GET /" + String(repeating: "a", count: 100_000) + " HTTP/1.1\r\n\r\n",
                        "GET / HTTP/1.1\r\nHost: localhost\r\nX: "
                            + String(repeating: "h", count: 100_000) + "\r\n\r\n",
                        "GET / HTTP/1.1\r\nHost: localhost\r\n"
                            + String(repeating: "X: y\r\n", count: 2000) + "\r\n",
                    ].map { Array($0.utf8) } + [
                        [0x16, 3, 1, 2, 0, 1, 0], [UInt8](repeating: 0, count: 99),
                    ]
                for request in requests {
                    let connection = try RawConnection(port: server.port)
                    try? await connection.send(request + Array("\r\n\r\n".utf8))
                    connection.finishSending()
                    let answer = (try? await connection.receive()) ?? []
                    let text = String(decoding: answer.prefix(12), as: UTF8.self)
                    #expect(
                        answer.isEmpty || text.hasPrefix("HTTP/1."),
                        "\(String(decoding: request.prefix(40), as: UTF8.self))")
                    #expect(!text.hasSuffix("500"))
                }
                #expect(try await server.request("GET", "/healthz").status == 200)
            }
        }

        @Test("Targets made of noise never bring the server down")
        func fuzz() async throws {
            try await TestServer.run { server in
                var generator = SystemRandomNumberGenerator()
                let words = [
                    "/", "api", "v1", "%", "%2e", "?", "=", "&", "#", "://", ":", "[", "é",
                    "chats", "..", "\\", "{id}", ";", "@", "+", "%f0%9f", "http:",
                ]
                for _ in 0..<400 {
                    let count = Int.random(in: 1...8, using: &generator)
                    let target = (0..<count).map { _ in
                        words.randomElement(using: &generator) ?? ""
                    }.joined()
                    let connection = try RawConnection(port: server.port)
                    try await connection.send(
                        "GET \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                            + "Authorization: Bearer \(server.aliceKey)\r\n\r\n")
                    _ = try? await connection.receive()
                }
                #expect(try await server.request("GET", "/healthz").status == 200)
            }
        }

        @Test("Too many requests are told when to come back, each user for themselves")
        func rateLimits() async throws {
            try await TestServer.run {
                $0.requestsBurst = 3
                $0.requestsPerMinute = 60
                $0.anonymousRequestsBurst = 2
                $0.anonymousRequestsPerMinute = 60
            } _: { server in
                for left in [2, 1, 0] {
                    let response = try await server.asAlice("GET", "/api/chats")
                    #expect(response.status == 200)
                    #expect(
                        response.headers["ratelimit"]?.hasPrefix("\"requests\";r=\(left);") == true)
                    #expect(response.headers["ratelimit-policy"] == "\"requests\";q=3;w=3")
                }
                let refused = try await server.asAlice("GET", "/api/chats")
                #expect(refused.status == 429 && refused.headers["retry-after"] == "1")
                let openAI = try await server.asAlice("GET", "/v1/models")
                #expect(openAI.status == 429 && openAI.text.contains("rate_limit_exceeded"))
                let mallory = try await server.request(
                    "GET", "/api/chats", headers: server.bearer(server.malloryKey))
                #expect(mallory.status == 200)
                server.clock.advance(by: .seconds(1))
                #expect(try await server.asAlice("GET", "/api/chats").status == 200)

                for expected in [401, 401, 429] {
                    let stranger = try await server.request(
                        "GET", "/api/chats", headers: server.bearer("hp_guess"))
                    #expect(stranger.status == expected)
                }
                #expect(try await server.request("GET", "/healthz").status == 200)
            }
        }

        @Test("A connection is good for many requests, also after a refusal")
        func keepAlive() async throws {
            try await TestServer.run { server in
                let connection = try RawConnection(port: server.port)
                let auth = "Host: localhost\r\nAuthorization: Bearer \(server.aliceKey)\r\n"
                for _ in 0..<3 {
                    try await connection.send("GET /api/chats HTTP/1.1\r\n\(auth)\r\n")
                    #expect(try await connection.receive(until: "]}").hasPrefix("HTTP/1.1 200"))
                    try await connection.send(
                        "POST /api/search HTTP/1.1\r\n\(auth)Content-Length: 2\r\n\r\n{}")
                    #expect(try await connection.receive(until: "}").hasPrefix("HTTP/1.1 400"))
                }
            }
        }

        @Test("A port that is taken is a sentence")
        func portInUse() async throws {
            try await TestServer.run { server in
                do {
                    try await TestServer.run {
                        $0.port = server.port
                    } _: { _ in
                    }
                    Issue.record("It listened twice.")
                } catch let failure as Failure {
                    #expect(failure.code == .unavailable)
                    #expect(
                        failure.message
                            == "Port \(server.port) is in use; choose another with --port.")
                }
            }
        }
    }
}
