import Foundation
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// `heptad serve` on a free port, in a folder of its own, spoken to over HTTP.
final class ServerUnderTest: Sendable {
    struct Answer: Sendable {
        let status: Int
        let headers: [String: String]
        let body: Data

        var text: String { String(decoding: body, as: UTF8.self) }

        /// The body as JSON; an empty object when it is none.
        var json: [String: Any] {
            (try? JSONSerialization.jsonObject(with: body)) as? [String: Any] ?? [:]
        }
    }

    struct Announced: Decodable {
        let pid: Int32
        let address: String
        let token: String
    }

    let folder: TemporaryFolder
    let address: String
    let token: String
    let pid: Int32
    private let process: Process
    private let logPath: String

    /// What it has written to the terminal so far.
    var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

    /// Starts the server and waits, 60 s at most, until it says where it is.
    init(in folder: TemporaryFolder, _ arguments: [String] = [], models: Bool = true) async throws {
        self.folder = folder
        let none = folder.path + "/none"
        process = HeptadBinary.make(
            ["serve", "--port", "0"] + arguments, in: folder,
            environment: models ? [:] : ["HEPTAD_MODELS": none])
        let log = folder.path + "/serve-\(UUID().uuidString).log"
        logPath = log
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        process.standardOutput = handle
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let deadline = ContinuousClock.now + .seconds(60)
        var announced: Announced?
        while announced == nil, process.isRunning, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(30))
            let file = FileManager.default.contents(atPath: folder.path + "/data/run/server.json")
            let found = file.flatMap { try? JSONDecoder().decode(Announced.self, from: $0) }
            // A server killed earlier leaves its own announcement behind.
            if let found, found.pid == process.processIdentifier { announced = found }
        }
        guard let announced else {
            process.terminate()
            let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw ServerDied(log: said)
        }
        address = announced.address
        token = announced.token
        pid = announced.pid
    }

    struct ServerDied: Error { let log: String }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    /// Asks it to stop, and waits until it has.
    func stop(signal: Int32 = SIGTERM) async throws {
        kill(process.processIdentifier, signal)
        let deadline = ContinuousClock.now + .seconds(20)
        while process.isRunning, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(!process.isRunning, "The server did not stop on signal \(signal).")
    }

    func call(
        _ method: String, _ path: String, json: [String: any Sendable]? = nil, body: Data? = nil,
        key: String? = nil, headers: [String: String] = [:]
    ) async throws -> Answer {
        guard let url = URL(string: address + path) else { throw URLError(.badURL) }
        var request = URLRequest(url: url, timeoutInterval: 120)
        request.httpMethod = method
        request.setValue("Bearer \(key ?? token)", forHTTPHeaderField: "Authorization")
        if let json {
            request.httpBody = try JSONSerialization.data(withJSONObject: json)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        } else if let body {
            request.httpBody = body
            request.setValue("application/octet-stream", forHTTPHeaderField: "Content-Type")
        }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        let (data, response) = try await URLSession.shared.data(for: request)
        guard let response = response as? HTTPURLResponse else {
            throw URLError(.badServerResponse)
        }
        var fields: [String: String] = [:]
        for (name, value) in response.allHeaderFields {
            fields["\(name)".lowercased()] = "\(value)"
        }
        return Answer(status: response.statusCode, headers: fields, body: data)
    }

    /// A whole event stream, read to its end: each event's name and JSON.
    func events(
        _ method: String, _ path: String, json: [String: any Sendable]? = nil,
        headers: [String: String] = [:]
    ) async throws -> [(id: String, name: String, data: [String: Any])] {
        let all = headers.merging(["Accept": "text/event-stream"]) { $1 }
        let answer = try await call(method, path, json: json, headers: all)
        #expect(answer.status == 200, "\(answer.text)")
        return answer.text.components(separatedBy: "\n\n").compactMap { block in
            var event = (id: "", name: "", data: [String: Any]())
            for line in block.split(separator: "\n") {
                if line.hasPrefix("id: ") { event.id = String(line.dropFirst(4)) }
                if line.hasPrefix("event: ") { event.name = String(line.dropFirst(7)) }
                if line.hasPrefix("data: ") {
                    let data = Data(line.dropFirst(6).utf8)
                    event.data =
                        (try? JSONSerialization.jsonObject(with: data)) as? [String: Any] ?? [:]
                }
            }
            return event.name.isEmpty ? nil : event
        }
    }

    /// Uploads a document and waits until its job has ended.
    func ingest(_ name: String, _ text: String) async throws -> (document: String, state: String) {
        let escaped =
            name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? name
        let accepted = try await call(
            "POST", "/api/documents?name=\(escaped)", body: Data(text.utf8))
        #expect(accepted.status == 202, "\(accepted.text)")
        let ingestion = (accepted.json["ingestions"] as? [[String: Any]])?.first ?? [:]
        let job = ingestion["jobID"] as? String ?? ""
        let last = try await events("GET", "/api/jobs/\(job)/events").last?.data ?? [:]
        return (ingestion["documentID"] as? String ?? "", last["state"] as? String ?? "")
    }
}
