import Core
import TestSupport
import Testing

@testable import Egress

/// Real transfers to a scripted server on loopback.
struct HTTPClientTests {
    @Test("Status, headers and body arrive, whatever the framing", arguments: 0..<3)
    func framing(kind: Int) async throws {
        let body = "hello, wörld"
        let server = try ScriptedServer(
            [
                ScriptedServer.answer(
                    body, status: 201, type: "text/plain", headers: ["X-Thing: 1"]),
                [
                    ScriptedServer.head(
                        201, type: "text/plain",
                        headers: ["X-Thing: 1", "Transfer-Encoding: chunked"]),
                    ScriptedServer.chunk("hello,"), ScriptedServer.chunk(" wörld"),
                    ScriptedServer.chunk(""),
                ],
                [
                    .text("HTTP/1.1 100 Continue\r\n\r\n"),
                    ScriptedServer.head(201, type: "text/plain", headers: ["X-Thing: 1"]),
                    .text(body),
                ],
            ][kind])
        let response = try await HTTPClient.testing.open(.to(server))
        #expect(response.status == 201)
        #expect(response.headers["x-thing"] == "1")
        #expect(try await response.body.text() == body)
    }

    @Test("Method, headers and body are sent as they are")
    func sent() async throws {
        let server = try ScriptedServer(ScriptedServer.answer("ok"))
        var request = HTTPRequest.to(server, "/v1/x?y=%20z")
        request.method = "POST"
        request.headers = [HTTPHeader("Authorization", "Bearer k"), HTTPHeader("X-Empty", "")]
        request.body = Array(repeating: 65, count: 2_000_000)
        _ = try await HTTPClient.testing.open(request).body.text()
        let seen = try #require(server.requests.first)
        #expect(seen.method == "POST")
        #expect(seen.path == "/v1/x?y=%20z")
        #expect(seen.headers["authorization"] == "Bearer k")
        #expect(seen.headers["x-empty"] == "")
        #expect(seen.headers["expect"] == nil)
        #expect(seen.body == request.body)
    }

    @Test("An empty POST has an empty body")
    func emptyPost() async throws {
        let server = try ScriptedServer(ScriptedServer.answer("ok"))
        var request = HTTPRequest.to(server)
        request.method = "POST"
        _ = try await HTTPClient.testing.open(request).body.text()
        #expect(server.requests.first?.headers["content-length"] == "0")
    }

    @Test("A connection is used again")
    func reuse() async throws {
        let server = try ScriptedServer(ScriptedServer.answer("ok"))
        let client = HTTPClient.testing
        for _ in 0..<5 {
            #expect(try await client.open(.to(server)).body.text() == "ok")
        }
        #expect(server.connections == 1)
    }

    @Test("A hundred requests run at the same time")
    func many() async throws {
        let server = try ScriptedServer { request in
            [ScriptedServer.head(), .wait(.milliseconds(100)), .text(request.path)]
        }
        let client = HTTPClient.testing
        let started = ContinuousClock.now
        try await withThrowingTaskGroup { group in
            for number in 0..<100 {
                group.addTask {
                    let answer = try await client.open(.to(server, "/\(number)")).body.text()
                    #expect(answer == "/\(number)")
                }
            }
            try await group.waitForAll()
        }
        #expect(ContinuousClock.now - started < .seconds(5))
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let steps: [ScriptedServer.Step]
        let code: Failure.Code
        var change: @Sendable (inout HTTPLimits) -> Void = { _ in }
    }

    static let refusals: [Refusal] = [
        Refusal(testDescription: "no answer at all", steps: [], code: .upstream),
        Refusal(
            testDescription: "not HTTP", steps: [.text("SSH-2.0-OpenSSH_9\r\n\r\n")],
            code: .upstream),
        Refusal(testDescription: "reset at once", steps: [.reset], code: .upstream),
        Refusal(
            testDescription: "no first byte", steps: [.untilClosed], code: .timeout,
            change: { $0.firstByte = .milliseconds(100) }),
        Refusal(
            testDescription: "head but no first byte",
            steps: [ScriptedServer.head(), .untilClosed], code: .timeout,
            change: { $0.firstByte = .milliseconds(100) }),
        Refusal(
            testDescription: "silence in mid-answer",
            steps: [ScriptedServer.head(), .text("abc"), .untilClosed], code: .timeout,
            change: { $0.idle = .milliseconds(100) }),
        Refusal(
            testDescription: "a drip without end",
            steps: [
                ScriptedServer.head(),
                .drip([UInt8](repeating: 65, count: 1000), every: .milliseconds(20)),
            ], code: .timeout,
            change: { limits in
                limits.idle = .milliseconds(200)
                limits.total = .milliseconds(300)
            }),
        Refusal(
            testDescription: "too large", steps: [ScriptedServer.head(), .flood(1_000_000)],
            code: .tooLarge, change: { $0.responseBytesMax = 100_000 }),
        Refusal(
            testDescription: "headers too large",
            steps: [ScriptedServer.head(headers: ["X: " + String(repeating: "x", count: 3000)])],
            code: .tooLarge, change: { $0.headerBytesMax = 2000 }),
        Refusal(
            testDescription: "too many headers",
            steps: [ScriptedServer.head(headers: Array(repeating: "X: y", count: 300))],
            code: .tooLarge),
        Refusal(
            testDescription: "shorter than its length",
            steps: [ScriptedServer.head(headers: ["Content-Length: 10"]), .text("abc")],
            code: .upstream),
        Refusal(
            testDescription: "chunks without an end",
            steps: [
                ScriptedServer.head(headers: ["Transfer-Encoding: chunked"]),
                ScriptedServer.chunk("abc"),
            ], code: .upstream),
        Refusal(
            testDescription: "a chunk of nonsense",
            steps: [ScriptedServer.head(headers: ["Transfer-Encoding: chunked"]), .text("zz\r\n")],
            code: .upstream),
        Refusal(
            testDescription: "reset in mid-answer",
            steps: [ScriptedServer.head(headers: ["Content-Length: 10"]), .text("abc"), .reset],
            code: .upstream),
    ]

    @Test("An answer that goes wrong ends in a clear failure", arguments: refusals)
    func refusal(row: Refusal) async throws {
        let server = try ScriptedServer(row.steps)
        var limits = HTTPLimits(EgressConfiguration())
        row.change(&limits)
        var request = HTTPRequest.to(server, "/?key=hush")
        request.limits = limits
        let failure = await #expect(throws: Failure.self) {
            _ = try await HTTPClient.testing.open(request).body.text()
        }
        #expect(failure?.code == row.code)
        #expect(failure?.description.contains("hush") == false)
    }

    @Test("Nobody listening is an upstream failure, and a name without an address too")
    func unreachable() async throws {
        let port = try ScriptedServer([]).port
        for url in ["http://127.0.0.1:\(port)/", "http://no-such-name.invalid/"] {
            let failure = await #expect(throws: Failure.self) {
                try await HTTPClient.testing.open(HTTPRequest("GET", url))
            }
            #expect(failure?.code == .upstream)
        }
    }

    @Test("Cancelling the reader closes the connection within 100 ms", arguments: [false, true])
    func cancellation(afterHead: Bool) async throws {
        let server = try ScriptedServer(
            afterHead
                ? [ScriptedServer.head(), .text("first"), .untilClosed] : [.untilClosed])
        let client = HTTPClient.testing
        let task = Task {
            let response = try await client.open(.to(server))
            while try await response.body.next() != nil {}
        }
        #expect(await eventually { server.requests.count == 1 })
        try await Task.sleep(for: .milliseconds(30))
        task.cancel()
        #expect(await eventually(within: .milliseconds(100)) { server.closedByClient == 1 })
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("Letting go of an answer closes its connection")
    func dropped() async throws {
        let server = try ScriptedServer([ScriptedServer.head(), .text("first"), .untilClosed])
        let status = try await HTTPClient.testing.open(.to(server)).status
        #expect(status == 200)
        #expect(await eventually { server.closedByClient == 1 })
    }

    @Test("A reader who throws closes the connection")
    func throwingReader() async throws {
        let server = try ScriptedServer([ScriptedServer.head(), .text("first"), .untilClosed])
        let response = try await HTTPClient.testing.open(.to(server))
        await #expect(throws: Failure.self) {
            try await response.body.read { _ in throw Failure(.conflict, "Enough.") }
        }
        #expect(await eventually { server.closedByClient == 1 })
        await #expect(throws: CancellationError.self) { try await response.body.next() }
    }

    @Test("A slow reader makes the server wait, and loses nothing")
    func backPressure() async throws {
        let total = 64 * 1024 * 1024
        let server = try ScriptedServer([ScriptedServer.head(), .flood(total)])
        var request = HTTPRequest.to(server)
        var limits = HTTPLimits(EgressConfiguration())
        limits.responseBytesMax = 2 * total
        limits.idle = .milliseconds(150)
        request.limits = limits
        let response = try await HTTPClient.testing.open(request)
        // Longer than the idle limit: a pause of ours is not the server's silence.
        try await Task.sleep(for: .milliseconds(400))
        let stalledAt = server.bytesSent
        #expect(stalledAt < total / 4)
        try await Task.sleep(for: .milliseconds(100))
        #expect(server.bytesSent == stalledAt)
        var count = 0
        var largest = 0
        try await response.body.read { bytes in
            count += bytes.count
            largest = max(largest, bytes.count)
        }
        #expect(count == total)
        #expect(largest < 2 * Transfer.bufferBytesMax)
    }

    @Test("Private addresses are refused before anything is sent")
    func policy() async throws {
        let server = try ScriptedServer(ScriptedServer.answer("secret"))
        let client = HTTPClient(EgressConfiguration())
        let urls = [
            server.url, "http://localhost:\(server.port)", "http://2130706433:\(server.port)",
            "http://0x7f.1:\(server.port)/", "http://[::1]:\(server.port)/",
            "http://[::ffff:127.0.0.1]:\(server.port)/", "http://0.0.0.0:\(server.port)/",
            "http://169.254.169.254/latest/meta-data/",
        ]
        for url in urls {
            let failure = await #expect(throws: Failure.self, "\(url)") {
                try await client.open(HTTPRequest("GET", url))
            }
            #expect(failure?.code == .forbidden, "\(url)")
        }
        #expect(server.connections == 0)
        // The operator's word for this one request is enough, and holds for it alone.
        let listed = HTTPRequest("GET", server.url, allowedTargets: ["127.0.0.1:\(server.port)"])
        #expect(try await client.open(listed).body.text() == "secret")
        await #expect(throws: Failure.self) {
            try await client.open(HTTPRequest("GET", server.url))
        }
    }

    @Test("The second lock holds by itself: libcurl opens no socket that the policy refuses")
    func secondLock() async throws {
        let server = try ScriptedServer(ScriptedServer.answer("secret"))
        let loop = CurlLoop(transfersMax: 1)
        let address = try WebAddress("http://rebound.example:\(server.port)/")
        // As if the check had passed and the name led somewhere else afterwards.
        let path = NetworkPath(
            endpoint: address, addresses: [IPAddress(ipv4: 0x7F00_0001)],
            guardian: AddressGuard(
                policy: AddressPolicy([]), listed: [], host: address.host, port: address.port),
            isProxy: false)
        let transfer = Transfer(
            Transfer.Plan(
                address: address, method: "GET", headers: [], body: [],
                limits: HTTPLimits(EgressConfiguration()), path: path, certificatesFile: "",
                started: .now),
            loop: loop)
        try loop.add(transfer)
        let failure = await #expect(throws: Failure.self) { try await transfer.head() }
        #expect(failure?.code == .forbidden)
        #expect(server.connections == 0)
        await loop.stopped()
    }

    @Test("A kept connection is not used for a request that may not have it")
    func keptConnection() async throws {
        let server = try ScriptedServer(ScriptedServer.answer("secret"))
        let loop = CurlLoop(transfersMax: 2)
        let address = try WebAddress("http://rebound.example:\(server.port)/")
        func request(listed: [AllowedTarget]) throws -> Transfer {
            let transfer = Transfer(
                Transfer.Plan(
                    address: address, method: "GET", headers: [], body: [],
                    limits: HTTPLimits(EgressConfiguration()),
                    path: NetworkPath(
                        endpoint: address, addresses: [IPAddress(ipv4: 0x7F00_0001)],
                        guardian: AddressGuard(
                            policy: AddressPolicy([]), listed: listed, host: address.host,
                            port: address.port),
                        isProxy: false),
                    certificatesFile: "", started: .now),
                loop: loop)
            try loop.add(transfer)
            return transfer
        }
        let permitted = try request(listed: [.host(address.host, port: nil)])
        while try await permitted.next() != nil {}
        let refused = try request(listed: [])
        let failure = await #expect(throws: Failure.self) { try await refused.head() }
        #expect(failure?.code == .forbidden)
        #expect(server.requests.count == 1)
        await loop.stopped()
    }

    @Test("Redirects are not followed unless asked for")
    func redirectsOff() async throws {
        let server = try ScriptedServer(
            ScriptedServer.answer("", status: 302, headers: ["Location: /next"]))
        #expect(try await HTTPClient.testing.open(.to(server)).status == 302)
        #expect(server.requests.count == 1)
    }

    struct Redirect: Sendable {
        let status: Int
        let method: String
        let expected: String
    }

    @Test(
        "A redirect on the same origin keeps its headers",
        arguments: [
            Redirect(status: 301, method: "GET", expected: "GET"),
            Redirect(status: 301, method: "POST", expected: "GET"),
            Redirect(status: 302, method: "POST", expected: "GET"),
            Redirect(status: 303, method: "POST", expected: "GET"),
            Redirect(status: 303, method: "HEAD", expected: "HEAD"),
            Redirect(status: 307, method: "POST", expected: "POST"),
            Redirect(status: 308, method: "POST", expected: "POST"),
        ])
    func redirect(row: Redirect) async throws {
        let server = try ScriptedServer { request in
            request.path == "/a/start"
                ? ScriptedServer.answer("", status: row.status, headers: ["Location: ../b?c"])
                : ScriptedServer.answer("")
        }
        var request = HTTPRequest.to(server, "/a/start")
        request.method = row.method
        request.body = row.method == "POST" ? Array("body".utf8) : []
        request.headers = [HTTPHeader("Authorization", "Bearer k")]
        request.redirectsMax = 3
        #expect(try await HTTPClient.testing.open(request).status == 200)
        let last = try #require(server.requests.last)
        #expect(last.path == "/b?c")
        #expect(last.method == row.expected)
        #expect(last.text == (row.expected == "POST" ? "body" : ""))
        #expect(last.headers["authorization"] == "Bearer k")
    }

    @Test("Another host is told no secrets, and is not sent what was sent to the first")
    func redirectAway() async throws {
        let other = try ScriptedServer(ScriptedServer.answer("there"))
        let server = try ScriptedServer(
            ScriptedServer.answer("", status: 307, headers: ["Location: \(other.url)/"]))
        var request = HTTPRequest.to(server)
        request.redirectsMax = 1
        request.headers = [
            HTTPHeader("Authorization", "Bearer k"), HTTPHeader("X-API-Key", "k"),
            HTTPHeader("Cookie", "k"), HTTPHeader("Accept", "text/plain"),
        ]
        #expect(try await HTTPClient.testing.open(request).body.text() == "there")
        let seen = try #require(other.requests.first)
        #expect(seen.headers["authorization"] == nil)
        #expect(seen.headers["x-api-key"] == nil)
        #expect(seen.headers["cookie"] == nil)
        #expect(seen.headers["accept"] == "text/plain")
        request.method = "POST"
        request.body = [1]
        let failure = await #expect(throws: Failure.self) {
            try await HTTPClient.testing.open(request)
        }
        #expect(failure?.code == .forbidden)
        #expect(other.requests.count == 1)
    }

    @Test("Each hop is checked again, and there is an end to hopping")
    func redirectRefused() async throws {
        let secret = try ScriptedServer(ScriptedServer.answer("secret"))
        let targets = [
            "\(secret.url)/", "http://169.254.169.254/", "file:///etc/passwd", "ftp://1.1.1.1/",
        ]
        for target in targets {
            let server = try ScriptedServer(
                ScriptedServer.answer("", status: 302, headers: ["Location: \(target)"]))
            let client = HTTPClient(EgressConfiguration())
            let request = HTTPRequest(
                "GET", server.url, allowedTargets: ["127.0.0.1:\(server.port)"], redirectsMax: 5)
            let failure = await #expect(throws: Failure.self) { try await client.open(request) }
            #expect([.forbidden, .invalid].contains(failure?.code), "\(target)")
        }
        #expect(secret.connections == 0)

        let circle = try ScriptedServer(
            ScriptedServer.answer("", status: 302, headers: ["Location: /"]))
        var request = HTTPRequest.to(circle)
        request.redirectsMax = 4
        let failure = await #expect(throws: Failure.self) {
            try await HTTPClient.testing.open(request)
        }
        #expect(failure?.code == .upstream)
        #expect(circle.requests.count == 5)
    }

    @Test(
        "A header that would change the request is refused",
        arguments: [
            HTTPHeader("X", "a\r\nHost: evil"), HTTPHeader("X\r\nY", "a"), HTTPHeader("", "a"),
            HTTPHeader("X", "a\u{0}"), HTTPHeader("X Y", "a"), HTTPHeader("X:", "a"),
        ])
    func headerInjection(header: HTTPHeader) async throws {
        var request = HTTPRequest("GET", "http://127.0.0.1:9/")
        request.headers = [header]
        let failure = await #expect(throws: Failure.self) {
            try await HTTPClient.testing.open(request)
        }
        #expect(failure?.code == .invalid)
    }

    @Test("Past the limit of requests the next is refused, and then there is room again")
    func requestsMax() async throws {
        let server = try ScriptedServer([ScriptedServer.head(), .text("x"), .untilClosed])
        var configuration = EgressConfiguration.testing
        configuration.requestsMax = 1
        let client = HTTPClient(configuration)
        let first = try await client.open(.to(server))
        let failure = await #expect(throws: Failure.self) { try await client.open(.to(server)) }
        #expect(failure?.code == .unavailable)
        first.body.close()
        #expect(await eventually { server.closedByClient == 1 })
        #expect(try await client.open(.to(server)).status == 200)
    }

    @Test("Stopping ends what is under way, and refuses what comes after")
    func shutDown() async throws {
        let server = try ScriptedServer([ScriptedServer.head(), .text("x"), .untilClosed])
        let client = HTTPClient.testing
        let response = try await client.open(.to(server))
        #expect(try await response.body.next() != nil)
        let reader = Task { try await response.body.next() }
        await client.shutDown()
        let failure = await #expect(throws: Failure.self) { try await reader.value }
        #expect(failure?.code == .unavailable)
        await #expect(throws: Failure.self) { try await client.open(.to(server)) }
    }

    @Test("A proxy gets the whole address, and the name is not looked up here")
    func proxy() async throws {
        let proxy = try ScriptedServer(ScriptedServer.answer("by proxy"))
        var configuration = EgressConfiguration()
        configuration.proxy = proxy.url
        let client = HTTPClient(configuration)
        let response = try await client.open(HTTPRequest("GET", "http://somewhere.invalid/x"))
        #expect(try await response.body.text() == "by proxy")
        #expect(proxy.requests.first?.path == "http://somewhere.invalid/x")
        await #expect(throws: Failure.self) {
            try await client.open(HTTPRequest("GET", "http://169.254.169.254/"))
        }
        #expect(proxy.requests.count == 1)
    }
}

extension EgressConfiguration {
    static var testing: EgressConfiguration {
        var configuration = EgressConfiguration()
        configuration.allowedTargets = ["127.0.0.0/8"]
        return configuration
    }
}

extension HTTPClient {
    /// A client that may reach loopback.
    static var testing: HTTPClient { HTTPClient(.testing) }
}

extension HTTPRequest {
    static func to(_ server: ScriptedServer, _ path: String = "/") -> HTTPRequest {
        HTTPRequest("GET", server.url + path)
    }
}

extension HTTPBody {
    func text() async throws -> String {
        String(decoding: try await collect(bytesMax: .max), as: UTF8.self)
    }
}
