import Core
import Foundation
import HTTPTypes
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct AccessTests {
        /// A request that is right for a route in everything but who sends it.
        private struct Attempt {
            let route: Route
            let target: String
            let json: String?
        }

        private static let ids = [
            "chats": ScriptedLayers.chat, "turns": ScriptedLayers.turn,
            "collections": ScriptedLayers.collection, "documents": ScriptedLayers.document,
            "jobs": ScriptedLayers.job, "admin": ScriptedLayers.providerKey,
            "files": ScriptedLayers.document, "vector_stores": ScriptedLayers.collection,
        ]

        private static let bodies = [
            "/api/admin/teams": #"{"name":"crew"}"#,
            "/api/documents/from-url": #"{"url":"https://a.example"}"#,
            "/api/documents/from-sitemap": #"{"url":"https://a.example"}"#,
            "/api/setup": #"{"token":"t","name":"n","password":"password"}"#,
            "/api/login": #"{"name":"n","password":"password"}"#, "/api/chats": #"{"title":"t"}"#,
            "/api/chats/{id}/turns": #"{"question":"Why?"}"#, "/api/collections": #"{"name":"n"}"#,
            "/api/search": #"{"text":"t"}"#, "/api/search/explain": #"{"question":"Why?"}"#,
            "/api/keys": #"{"name":"n"}"#,
            "/api/admin/providers/{provider}/keys": #"{"key":"sk-of-the-provider"}"#,
            "/api/admin/providers/{provider}/keys/{id}": #"{"key":"sk-of-the-provider"}"#,
            "/v1/chat/completions":
                #"{"model":"tiny","messages":[{"role":"user","content":"Hi"}]}"#,
            "/api/collections/{id}/shares": #"{"user":"mallory","access":"read"}"#,
            "/v1/vector_stores/{id}/files": #"{"file_id":"\#(ScriptedLayers.document)"}"#,
            "/v1/vector_stores/{id}/search": #"{"query":"t"}"#,
            "/v1/vector_stores/{id}/file_batches":
                #"{"file_ids":["\#(ScriptedLayers.document)"]}"#,
            "/v1/embeddings": #"{"input":"a"}"#,
            "/v1/messages":
                #"{"model":"tiny","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}"#,
            "/v1/messages/count_tokens":
                #"{"model":"tiny","messages":[{"role":"user","content":"Hi"}]}"#,
        ]

        private static func attempts(_ server: TestServer, keyID: Identifier) -> [Attempt] {
            let table = GatewayServer.table(
                GatewayConfiguration(), server.layers.all, identity: server.identity,
                environment: .system, isReady: { true })
            return table.routes.map { route in
                let kind = route.path.split(separator: "/").dropFirst().first.map(String.init) ?? ""
                let id = kind == "keys" ? keyID : ids[kind]
                var target = route.path.replacing("{file*}", with: "nothing.js")
                target = target.replacing("{id}", with: id?.description ?? "none")
                for name in ["{document}", "{file}"] {
                    target = target.replacing(name, with: "\(ScriptedLayers.document)")
                }
                target = target.replacing("{team}", with: "crew")
                target = target.replacing("{user}", with: "mallory")
                target = target.replacing("{batch}", with: "\(ScriptedLayers.batch)")
                target = target.replacing("{grantee}", with: "\(ScriptedLayers.chat)")
                target = target.replacing("{traceID}", with: ScriptedLayers.trace)
                target = target.replacing("{provider}", with: "far")
                target = target.replacing("{token}", with: "token").replacing(
                    "{name}", with: "tiny")
                if case .upload = route.body { target += "?name=a.md" }
                return Attempt(route: route, target: target, json: bodies[route.path] ?? "{}")
            }
        }

        @Test("Without credentials, every route but the public ones answers 401")
        func withoutCredentials() async throws {
            try await TestServer.run { server in
                var walked = 0
                for attempt in Self.attempts(server, keyID: ScriptedLayers.job) {
                    let body = attempt.route.method == .get ? nil : attempt.json
                    let response = try await server.request(
                        attempt.route.method.rawValue, attempt.target, json: body)
                    let isPublic =
                        attempt.route.access != .user && attempt.route.path != "/api/session"
                    #expect(
                        (response.status == 401) == !(isPublic || attempt.route.path == "/metrics")
                            || attempt.route.path == "/api/login",
                        "\(attempt.route.method) \(attempt.target): \(response.status)")
                    walked += 1
                }
                #expect(walked > 35)
                for (header, value) in [
                    ("Authorization", "Bearer nonsense"), ("Authorization", "Bearer hp_nonsense"),
                    ("Authorization", "Basic YTpi"), ("Authorization", "Bearer"),
                    ("Cookie", "heptad_session=nonsense"), ("Cookie", "heptad_session="),
                    ("X-Heptad-As", "alice"),
                ] {
                    let response = try await server.request(
                        "GET", "/api/chats", headers: [header: value])
                    #expect(response.status == 401, "\(header): \(value)")
                    #expect(response.headers["www-authenticate"]?.hasPrefix("Bearer") == true)
                }
            }
        }

        @Test("Another user's ids answer 404 on every route that takes one")
        func anothersIDs() async throws {
            try await TestServer.run { server in
                let alice = try await server.identity.principal(named: "alice")
                let keyID = try #require(try await server.identity.keys(for: alice).first).id
                let attempts = Self.attempts(server, keyID: keyID)
                let withIDs = attempts.filter {
                    !$0.route.path.hasPrefix("/api/admin/")
                        && ($0.route.path.contains("{id}") || $0.route.path.contains("{traceID}"))
                }
                #expect(withIDs.count >= 14)
                for attempt in withIDs {
                    let body = attempt.route.method == .get ? nil : attempt.json
                    let malloryResponse = try await server.request(
                        attempt.route.method.rawValue, attempt.target,
                        headers: server.bearer(server.malloryKey), json: body)
                    #expect(
                        malloryResponse.status == 404, "\(attempt.route.method) \(attempt.target)")
                    // The same request of the owner is no 404, or this test would prove nothing.
                    let isLast = attempt.route.path == "/api/keys/{id}"
                    if isLast { continue }
                    let own = try await server.asAlice(
                        attempt.route.method.rawValue, attempt.target, json: body)
                    #expect(own.status < 300, "\(attempt.route.method) \(attempt.target)")
                }
                for body in [
                    #"{"turnID":"\#(ScriptedLayers.turn)"}"#,
                    #"{"question":"t","documentID":"\#(ScriptedLayers.document)"}"#,
                    #"{"question":"t","collectionIDs":["\#(ScriptedLayers.collection)"]}"#,
                ] {
                    let path = "/api/search/explain"
                    let anothers = try await server.request(
                        "POST", path, headers: server.bearer(server.malloryKey), json: body)
                    let own = try await server.asAlice("POST", path, json: body)
                    #expect(anothers.status == 404 && own.status == 200, "\(body)")
                }
                for body in [
                    #"{"text":"t","collectionIDs":["\#(ScriptedLayers.collection)"]}"#,
                    #"{"text":"t","collectionIDs":["\#(ScriptedLayers.chat)"]}"#,
                ] {
                    let response = try await server.request(
                        "POST", "/api/search", headers: server.bearer(server.malloryKey), json: body
                    )
                    #expect(response.status == 404)
                }
            }
        }

        @Test("What is for administrators answers 403 to members, and works for the owner")
        func administrators() async throws {
            try await TestServer.run { server in
                let attempts = Self.attempts(server, keyID: ScriptedLayers.job).filter {
                    $0.route.path.hasPrefix("/api/admin/")
                }
                #expect(attempts.count == 9)
                for attempt in attempts {
                    let (method, name) = (attempt.route.method.rawValue, attempt.route.path)
                    let body = attempt.route.method == .get ? nil : attempt.json
                    let member = try await server.asAlice(method, attempt.target, json: body)
                    #expect(member.status == 403, "\(method) \(name)")
                    let owner = try await server.request(
                        method, attempt.target, headers: server.bearer(TestServer.operatorToken),
                        json: body)
                    #expect(owner.status < 300, "\(method) \(name)")
                    #expect(!owner.text.contains("sk-of-the-provider"))
                }
                #expect(
                    server.layers.with { ($0.providerKeys.count, $0.removed) }
                        == (2, [ScriptedLayers.providerKey]))
                for target in ["nobody/keys", "far/keys/\(ScriptedLayers.job)", "far/keys/x"] {
                    let method = target.hasSuffix("keys") ? "POST" : "PUT"
                    let response = try await server.request(
                        method, "/api/admin/providers/\(target)",
                        headers: server.bearer(TestServer.operatorToken),
                        json: #"{"key":"sk-of-the-provider"}"#)
                    #expect(response.status == 404, "\(target)")
                }
            }
        }

        @Test("A session may set a provider's key only with its CSRF token and from its own origin")
        func providerKeyCrossSite() async throws {
            try await TestServer.run { server in
                let (cookie, csrf) = try await server.logIn()
                let path = "/api/admin/providers/far/keys"
                for headers in [
                    [:], ["X-CSRF-Token": csrf, "Origin": "http://evil.example"],
                ] {
                    let response = try await server.request(
                        "POST", path, headers: headers.merging(["Cookie": cookie]) { $1 },
                        json: #"{"key":"sk-of-the-provider"}"#)
                    #expect(response.status == 403)
                    #expect(response.text.contains("administrators") == false)
                }
                #expect(server.layers.with { $0.providerKeys } == [])
            }
        }

        @Test(
            "What is no identifier names nothing",
            arguments: [
                "x", "..%2f..%2fetc", "%00", "00000000-0000-7000-8000-00000000010A", "1'--",
            ])
        func notAnID(text: String) async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice("GET", "/api/chats/\(text)")
                #expect([400, 404].contains(response.status))
            }
        }

        @Test(
            "A session needs its CSRF token and its own origin to change anything; a key does not")
        func crossSite() async throws {
            try await TestServer.run { server in
                let (cookie, csrf) = try await server.logIn()
                let own = "http://127.0.0.1:\(server.port)"
                let other = try await server.logIn().csrf
                let table: [([String: String], Int)] = [
                    (["X-CSRF-Token": csrf], 201), (["X-CSRF-Token": csrf, "Origin": own], 201),
                    ([:], 403), (["X-CSRF-Token": ""], 403), (["X-CSRF-Token": "x" + csrf], 403),
                    (["X-CSRF-Token": other], 403),
                    (["X-CSRF-Token": csrf, "Origin": "http://evil.example"], 403),
                    (["X-CSRF-Token": csrf, "Origin": "null"], 403),
                    (["X-CSRF-Token": csrf, "Origin": "http://127.0.0.1:1"], 403),
                    (["X-CSRF-Token": csrf, "Sec-Fetch-Site": "cross-site"], 403),
                    (["X-CSRF-Token": csrf, "Sec-Fetch-Site": "same-origin"], 201),
                ]
                for (headers, status) in table {
                    let response = try await server.request(
                        "POST", "/api/chats", headers: headers.merging(["Cookie": cookie]) { $1 },
                        json: "{}")
                    #expect(response.status == status, "\(headers)")
                }
                let reading = try await server.request(
                    "GET", "/api/chats",
                    headers: ["Cookie": cookie, "Origin": "http://evil.example"])
                #expect(reading.status == 200)
                let key = try await server.asAlice(
                    "POST", "/api/chats", headers: ["Origin": "http://evil.example"], json: "{}")
                #expect(key.status == 201)
                let login = try await server.request(
                    "POST", "/api/login", headers: ["Origin": "http://evil.example"],
                    json: #"{"name":"alice","password":"\#(TestServer.password)"}"#)
                #expect(login.status == 403)
            }
        }

        @Test("Logging in sets a cookie that scripts cannot read; logging out ends the session")
        func session() async throws {
            try await TestServer.run { server in
                let stranger = try await server.request("GET", "/api/session")
                #expect(stranger.status == 401)
                #expect(try stranger.json(Problem.self).setupNeeded == true)

                let response = try await server.request(
                    "POST", "/api/login",
                    json: #"{"name":"Alice","password":"\#(TestServer.password)"}"#)
                let header = try #require(response.headers["set-cookie"])
                for part in ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age="] {
                    #expect(header.contains(part))
                }
                #expect(!header.contains("Secure"))

                let (cookie, csrf) = try await server.logIn()
                let session = try await server.request(
                    "GET", "/api/session", headers: ["Cookie": "a=b; \(cookie); c=d"])
                let body = try session.json(SessionBody.self)
                #expect(body.user.name == "alice" && body.csrfToken == csrf && !body.setupNeeded)

                let out = try await server.request(
                    "POST", "/api/logout", headers: ["Cookie": cookie, "X-CSRF-Token": csrf])
                #expect(out.status == 204)
                #expect(out.headers["set-cookie"]?.contains("Max-Age=0") == true)
                let after = try await server.request(
                    "GET", "/api/session", headers: ["Cookie": cookie])
                #expect(after.status == 401)
            }
        }

        @Test("Behind TLS the cookie is for TLS, and browsers are told to stay there")
        func secure() async throws {
            try await TestServer.run {
                $0.trustedProxies = ["127.0.0.0/8"]
                $0.publicUrl = "https://chat.example.com"
            } _: { server in
                for headers in [["X-Forwarded-Proto": "https"], ["Host": "chat.example.com"]] {
                    let response = try await server.request(
                        "POST", "/api/login", headers: headers,
                        json: #"{"name":"alice","password":"\#(TestServer.password)"}"#)
                    #expect(response.headers["set-cookie"]?.contains("; Secure") == true)
                    #expect(response.headers["strict-transport-security"] != nil)
                }
            }
        }

        @Test("The setup link works once and makes the owner")
        func setup() async throws {
            try await TestServer.run { server in
                let token = try #require(try await server.identity.newSetupToken())
                #expect(try await server.request("GET", "/api/setup/\(token)").status == 204)
                #expect(try await server.request("GET", "/api/setup/x\(token)").status == 404)
                let json = #"{"token":"\#(token)","name":"Ann","password":"password 1"}"#
                let weak = #"{"token":"\#(token)","name":"Ann","password":"short"}"#
                #expect(try await server.request("POST", "/api/setup", json: weak).status == 400)
                let made = try await server.request("POST", "/api/setup", json: json)
                #expect(made.status == 201)
                #expect(try made.json(SessionBody.self).user.role == .owner)
                #expect(made.headers["set-cookie"]?.hasPrefix("heptad_session=") == true)
                #expect(try await server.request("POST", "/api/setup", json: json).status == 404)
                #expect(try await server.request("GET", "/api/setup/\(token)").status == 404)
                let stranger = try await server.request("GET", "/api/session")
                #expect(try stranger.json(Problem.self).setupNeeded == false)
            }
        }

        @Test("The operator's token acts as the owner, or as who it names")
        func operation() async throws {
            try await TestServer.run { server in
                let bearer = server.bearer(TestServer.operatorToken)
                let owner = try await server.request("GET", "/api/session", headers: bearer)
                #expect(try owner.json(SessionBody.self).user.role == .owner)
                let alice = try await server.request(
                    "GET", "/api/session", headers: bearer.merging(["X-Heptad-As": "ALICE"]) { $1 })
                #expect(try alice.json(SessionBody.self).user.name == "alice")
                let nobody = try await server.request(
                    "GET", "/api/session", headers: bearer.merging(["X-Heptad-As": "nobody"]) { $1 }
                )
                #expect(nobody.status == 404)
                let key = try await server.asAlice(
                    "GET", "/api/session", headers: ["X-Heptad-As": "mallory"])
                #expect(try key.json(SessionBody.self).user.name == "alice")
            }
        }

        @Test("A key works until it is revoked, also by another process")
        func keys() async throws {
            try await TestServer.run { server in
                let made = try await server.asAlice("POST", "/api/keys", json: #"{"name":"new"}"#)
                #expect(made.status == 201)
                let key = try made.json(NewKey.self)
                let listed = try await server.request(
                    "GET", "/api/keys", headers: server.bearer(key.key))
                #expect(listed.status == 200 && listed.text.contains(key.prefix))
                #expect(!listed.text.contains(key.key))
                let ended = try await server.asAlice("DELETE", "/api/keys/\(key.id)")
                #expect(ended.status == 204)
                let after = try await server.request(
                    "GET", "/api/keys", headers: server.bearer(key.key))
                #expect(after.status == 401)
            }
        }

        @Test("Guessing passwords gets slow, for a name and for an address, and passes")
        func throttle() async throws {
            try await TestServer.run {
                $0.loginAttemptsBurst = 3
                $0.trustedProxies = ["127.0.0.1"]
            } _: { server in
                func attempt(_ name: String, _ password: String, from address: String) async throws
                    -> RawResponse
                {
                    try await server.request(
                        "POST", "/api/login", headers: ["X-Forwarded-For": address],
                        json: #"{"name":"\#(name)","password":"\#(password)"}"#)
                }
                for place in 1...3 {
                    let response = try await attempt(
                        "alice", "wrong words", from: "10.0.0.\(place)")
                    #expect(response.status == 401)
                }
                let refused = try await attempt("ALICE", TestServer.password, from: "10.0.0.9")
                #expect(refused.status == 429)
                #expect(refused.headers["retry-after"] == "30")
                server.clock.advance(by: .seconds(30))
                for _ in 0..<5 {
                    let good = try await attempt("alice", TestServer.password, from: "10.0.0.9")
                    #expect(good.status == 200)
                }
                for place in 0..<6 {
                    _ = try await attempt("user\(place)", "wrong words", from: "10.0.0.77")
                }
                let stranger = try await attempt("someone", "wrong words", from: "10.0.0.77")
                #expect(stranger.status == 429)
            }
        }

        @Test("Names of other hosts are refused while the server listens on loopback")
        func rebinding() async throws {
            try await TestServer.run {
                $0.publicUrl = "http://chat.example.com"
                $0.allowedHosts = ["heptad.lan"]
            } _: { server in
                let table: [(String, Int)] = [
                    ("localhost:\(server.port)", 200), ("127.0.0.1", 200), ("[::1]:80", 200),
                    ("chat.example.com", 200), ("HEPTAD.lan:1234", 200), ("evil.example", 421),
                    ("127.0.0.1.evil.example", 421), ("localhost@evil.example", 421),
                    ("[::2]", 421),
                ]
                for (host, status) in table {
                    let response = try await server.request(
                        "GET", "/healthz", headers: ["Host": host])
                    #expect(response.status == status, "\(host)")
                }
            }
        }

        @Test("Metrics are for administrators, and for this machine where that is allowed")
        func metrics() async throws {
            try await TestServer.run { server in
                let local = try await server.request("GET", "/metrics")
                #expect(local.text.contains("up 1"))
                let forwarded = ["X-Forwarded-For": "10.0.0.1"]
                #expect(
                    try await server.request("GET", "/metrics", headers: forwarded).status == 401)
                #expect(
                    try await server.asAlice("GET", "/metrics", headers: forwarded).status == 403)
                let owner = server.bearer(TestServer.operatorToken).merging(forwarded) { $1 }
                #expect(try await server.request("GET", "/metrics", headers: owner).status == 200)
            }
            try await TestServer.run {
                $0.metricsOpenOnLoopback = false
            } _: { server in
                let stranger = try await server.request("GET", "/metrics")
                #expect(stranger.status == 401)
            }
        }
    }
}
