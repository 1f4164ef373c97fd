import Core
import Egress
import Foundation
import Observability

/// The server as the command line uses it: over its own HTTP API, with the operator's token. There
/// is always one: the process that serves the data folder or, where none does, this process for as
/// long as the command takes.
struct ServerConnection: Sendable {
    private let client: HTTPClient
    private let server: DataFolder.Server
    private let user: String?

    /// Runs `body` with a connection, and gives back or throws what it does.
    static func open<Value: Sendable>(
        _ common: CommonOptions, as user: String?,
        _ body: @escaping @Sendable (ServerConnection) async throws -> Value
    ) async throws -> Value {
        let configuration = try common.settings([
            ("gateway.host", "127.0.0.1"), ("gateway.port", "0"),
            // What goes wrong is said once, by the command.
            ("observability.log_level", "critical"),
        ]).root
        let folder = try DataFolder(path: common.dataPath)
        guard try folder.acquire() else {
            return try await running(in: folder, as: user, body)
        }
        defer { folder.release() }
        let telemetry = try Telemetry.install(
            configuration.observability, folder: folder.path, environment: .system)
        let running = RunningAppliance(
            configuration, folder: folder, models: common.modelsPath, telemetry: telemetry)
        let result = try await running.serve { appliance, _ in
            let result = await Result.catching {
                guard let server = folder.server() else { throw Self.gone }
                return try await connected(to: server, as: user, body)
            }
            // Not thrown here: that would cut the server off instead of letting it stop in order.
            await appliance.stop()
            return result
        }
        return try result.get()
    }

    /// Runs `body` with the server that has the folder. It may have taken it a moment ago and not
    /// listen yet.
    static func running<Value: Sendable>(
        in folder: DataFolder, as user: String?,
        _ body: (ServerConnection) async throws -> Value
    ) async throws -> Value {
        for _ in 0..<waitsMax {
            if let server = folder.server() {
                return try await connected(to: server, as: user, body)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw gone
    }

    /// The client's thread is gone when this returns: a process that ends beside it may find
    /// OpenSSL's own clean-up and the thread's in each other's way.
    private static func connected<Value: Sendable>(
        to server: DataFolder.Server, as user: String?,
        _ body: (ServerConnection) async throws -> Value
    ) async throws -> Value {
        let client = client()
        let result = await Result.catching {
            try await body(ServerConnection(client: client, server: server, user: user))
        }
        await client.shutDown()
        return try result.get()
    }

    var address: String { server.address }

    /// Throws unless the path answers with a success.
    func check(_ path: String) async throws { _ = try await call("GET", path) }

    func get<Answer: Decodable>(_ path: String) async throws -> Answer {
        try decode(Answer.self, try await call("GET", path))
    }

    func post<Answer: Decodable>(_ path: String, _ body: some Encodable) async throws -> Answer {
        try decode(
            Answer.self,
            try await call(
                "POST", path, type: "application/json", body: Array(JSONEncoder().encode(body))))
    }

    /// Hands a file over; an indexing job has been enqueued when it returns.
    func upload(
        _ name: String, _ content: Data, collection: Identifier?, source: String
    ) async throws -> Ingestion {
        var path = "/api/documents?name=\(Self.escaped(name))&source=\(Self.escaped(source))"
        if let collection { path += "&collectionID=\(collection)" }
        let bytes = try await call(
            "POST", path, type: "application/octet-stream", body: Array(content))
        return try decode(Accepted.self, bytes).first
    }

    /// Has the server fetch a page or a file by its address, like `upload`.
    func fetch(_ address: String, collection: Identifier?) async throws -> Ingestion {
        var body = ["url": address]
        if let collection { body["collectionID"] = collection.description }
        let accepted: Accepted = try await post("/api/documents/from-url", body)
        return try accepted.first
    }

    /// Begins to add a site's pages; the job that does so.
    func fetchSite(
        _ address: String, collection: Identifier?, otherHosts: Bool, removesVanished: Bool
    ) async throws -> Identifier {
        struct Site: Encodable {
            let url: String
            let collectionID: Identifier?
            let otherHosts, removeVanished: Bool
        }
        struct Begun: Decodable { let jobID: Identifier }
        let begun: Begun = try await post(
            "/api/documents/from-sitemap",
            Site(
                url: address, collectionID: collection, otherHosts: otherHosts,
                removeVanished: removesVanished))
        return begun.jobID
    }

    private struct Accepted: Decodable {
        let ingestions: [Ingestion]

        var first: Ingestion {
            get throws {
                guard let ingestion = ingestions.first else {
                    throw Failure(.upstream, "The server took the file and named no job for it.")
                }
                return ingestion
            }
        }
    }

    func delete(_ path: String) async throws { _ = try await call("DELETE", path) }

    /// Follows an event stream to its end; a POST where there is something to post.
    func events(
        _ path: String, posting body: (some Encodable)? = Optional<String>.none,
        _ handle: (ServerSentEvent) async throws -> Void
    ) async throws {
        let content = try body.map { Array(try JSONEncoder().encode($0)) } ?? []
        let response = try await open(
            body == nil ? "GET" : "POST", path, accept: "text/event-stream",
            type: "application/json", body: content)
        var parser = EventStreamParser()
        while let bytes = try await response.body.next() {
            for event in try parser.push(bytes) { try await handle(event) }
        }
        if let last = try parser.finish() { try await handle(last) }
    }

    func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw Failure(.upstream, "The server's answer is not what was expected.", cause: error)
        }
    }

    // A start takes well under a second; five are for a machine that is busy.
    private static let waitsMax = 50
    private static let answerBytesMax = 64 << 20

    private static let gone = Failure(
        .unavailable,
        "Another process has the data folder and does not answer; try again, or stop it.")

    private static func client() -> HTTPClient {
        var configuration = EgressConfiguration()
        // A local model on a slow machine may think for long; the user can interrupt.
        configuration.firstByteTimeoutSeconds = 600
        configuration.idleTimeoutSeconds = 600
        configuration.totalTimeoutSeconds = 3600
        return HTTPClient(configuration)
    }

    private static func escaped(_ text: String) -> String {
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? "document"
    }

    func call(_ method: String, _ path: String, type: String = "", body: [UInt8] = [])
        async throws -> [UInt8]
    {
        let response = try await open(method, path, accept: "*/*", type: type, body: body)
        return try await response.body.collect(bytesMax: Self.answerBytesMax)
    }

    /// A response that is a success; anything else is thrown as the sentence the server gave.
    private func open(
        _ method: String, _ path: String, accept: String, type: String, body: [UInt8]
    ) async throws -> HTTPResponse {
        var headers = [
            HTTPHeader("Authorization", "Bearer \(server.token)"), HTTPHeader("Accept", accept),
        ]
        if !type.isEmpty { headers.append(HTTPHeader("Content-Type", type)) }
        if let user { headers.append(HTTPHeader("X-Heptad-As", user)) }
        // The server itself said that it listens there.
        let authority = server.address.split(separator: "/").last.map(String.init) ?? ""
        let response = try await client.open(
            HTTPRequest(
                method, server.address + path, headers: headers, body: body,
                allowedTargets: [authority]))
        guard (200..<300).contains(response.status) else {
            let problem = try await response.body.collect(bytesMax: 1 << 16)
            let sentence = (try? decode(Problem.self, problem))?.detail
            throw Failure(
                .upstream, sentence ?? "The server answered with status \(response.status).")
        }
        return response
    }

    private struct Problem: Decodable { let detail: String }
}

extension Result where Failure == any Error {
    /// What an asynchronous piece of work came to.
    static func catching(_ work: () async throws -> Success) async -> Self {
        do {
            return .success(try await work())
        } catch {
            return .failure(error)
        }
    }
}
