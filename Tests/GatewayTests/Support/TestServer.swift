import Core
import Foundation
import Logging
import ServiceLifecycle
import Storage
import TestSupport

@testable import Gateway

extension PasswordHash.Cost {
    /// Enough to be scrypt, little enough for hundreds of tests.
    static let weak = PasswordHash.Cost(logN: 4, r: 8, p: 1)
}

/// The real server on a port of its own, with scripted layers and real identities behind it.
struct TestServer: Sendable {
    static let operatorToken = "operator-token-of-this-test-run"
    static let password = "a long enough password"

    let port: Int
    let layers: ScriptedLayers
    let identity: IdentityStore
    let clock: ManualClock
    /// A key of the user to whom everything scripted belongs.
    let aliceKey: String
    let malloryKey: String
    let stop: @Sendable () async -> Void

    static func run<Value: Sendable>(
        _ configure: (inout GatewayConfiguration) -> Void = { _ in },
        _ test: (TestServer) async throws -> Value
    ) async throws -> Value {
        var configuration = GatewayConfiguration()
        configuration.port = 0
        configuration.requestsBurst = 100_000
        configuration.anonymousRequestsBurst = 100_000
        configure(&configuration)
        try configuration.validate()
        let folder = try TemporaryFolder()
        let clock = ManualClock()
        let environment = Environment.manual(clock)
        let identity = try IdentityStore(
            folder: folder.path, environment: environment, cost: .weak)
        let layers = ScriptedLayers()
        let alice = try await identity.addUser(name: "alice", role: .member, password: password)
        let mallory = try await identity.addUser(
            name: "mallory", role: .member, password: password)
        layers.with { $0.owner = alice.userID }

        let (ports, announce) = AsyncStream<Int>.makeStream()
        let server = GatewayServer(
            configuration, layers.all, identity: identity, operatorToken: operatorToken,
            environment: environment, onListening: { _, port in announce.yield(port) })
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [server], logger: logger))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { announce.finish() }
                try await group.run()
            }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else {
                try await tasks.waitForAll()
                throw RawConnection.Broken()
            }
            let started = TestServer(
                port: port, layers: layers, identity: identity, clock: clock,
                aliceKey: try await identity.createKey(name: "a", for: alice).key,
                malloryKey: try await identity.createKey(name: "m", for: mallory).key,
                stop: { await group.triggerGracefulShutdown() })
            let value = try await test(started)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try identity.close()
            return value
        }
    }

    /// One request on a connection of its own.
    func request(
        _ method: String = "GET", _ target: String, headers: [String: String] = [:],
        body: String? = nil, json: String? = nil
    ) async throws -> RawResponse {
        try await request(
            method, target, headers: headers, bytes: (json ?? body).map { Array($0.utf8) },
            type: json == nil ? nil : "application/json")
    }

    func request(
        _ method: String, _ target: String, headers: [String: String], bytes: [UInt8]?,
        type: String? = nil
    ) async throws -> RawResponse {
        var fields = ["Host": "127.0.0.1:\(port)", "Connection": "close"]
        if let bytes { fields["Content-Length"] = "\(bytes.count)" }
        if let type { fields["Content-Type"] = type }
        fields.merge(headers) { $1 }
        let head = fields.map { "\($0): \($1)\r\n" }.joined()
        let connection = try RawConnection(port: port)
        try await connection.send(
            Array("\(method) \(target) HTTP/1.1\r\n\(head)\r\n".utf8) + (bytes ?? []))
        return try RawResponse(try await connection.receiveAll())
    }

    func asAlice(
        _ method: String = "GET", _ target: String, headers: [String: String] = [:],
        json: String? = nil
    ) async throws -> RawResponse {
        try await request(
            method, target, headers: headers.merging(bearer(aliceKey)) { $1 }, json: json)
    }

    func bearer(_ key: String) -> [String: String] { ["Authorization": "Bearer \(key)"] }

    /// Logs alice in, as a browser does.
    func logIn(headers: [String: String] = [:]) async throws -> (cookie: String, csrf: String) {
        let response = try await request(
            "POST", "/api/login", headers: headers,
            json: #"{"name":"alice","password":"\#(Self.password)"}"#)
        let session = try response.json(SessionBody.self)
        let cookie = response.headers["set-cookie"]?.prefix { $0 != ";" } ?? ""
        return (String(cookie), session.csrfToken ?? "")
    }
}

extension ScriptedLayers {
    var all: GatewayLayers {
        GatewayLayers(
            assistant: self, conversations: self, knowledge: self, catalogue: self,
            archive: self, batches: self, jobs: self, model: self, grounded: self,
            embedder: self, gateway: self, ledger: self, traces: self, assets: self)
    }
}
