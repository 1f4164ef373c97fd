import Core
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct AssetTests {
        @Test("Files come with their tag, and not again to who has them")
        func tags() async throws {
            try await TestServer.run { server in
                let page = try await server.request("GET", "/")
                #expect(page.status == 200 && page.text == "<p>Hi")
                #expect(page.headers["etag"] == "\"a1\"")
                #expect(page.headers["cache-control"] == "no-cache")
                #expect(page.headers["content-type"] == "text/html")
                for tag in ["\"a1\"", "W/\"a1\"", "\"x\", \"a1\"", "*"] {
                    let response = try await server.request(
                        "GET", "/", headers: ["If-None-Match": tag])
                    #expect(response.status == 304 && response.body.isEmpty, "\(tag)")
                    #expect(response.headers["etag"] == "\"a1\"")
                }
                let other = try await server.request(
                    "GET", "/", headers: ["If-None-Match": "\"b2\", \"a11\""])
                #expect(other.status == 200)
                #expect(try await server.request("GET", "/?version=2").status == 200)
                let head = try await server.request("HEAD", "/")
                #expect(head.status == 200 && head.body.isEmpty)
                #expect(head.headers["content-length"] == "5")
            }
        }

        @Test("Probes answer anyone; readiness follows the stores")
        func health() async throws {
            try await TestServer.run { server in
                let alive = try await server.request("GET", "/healthz")
                #expect(alive.text == "ok\n")
                #expect(try await server.request("GET", "/readyz").text == "ready\n")
                try server.identity.close()
                #expect(try await server.request("GET", "/readyz").status == 503)
                #expect(try await server.request("GET", "/healthz").status == 200)
            }
        }
    }
}
