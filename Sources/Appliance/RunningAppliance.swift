import Core
import Foundation
import Gateway
import Observability
import ServiceLifecycle
import UnixSignals

/// An appliance that serves a data folder this process has acquired.
struct RunningAppliance: Sendable {
    private let configuration: Configuration
    private let folder: DataFolder
    private let models: String
    private let telemetry: Telemetry

    init(
        _ configuration: Configuration, folder: DataFolder, models: String, telemetry: Telemetry
    ) {
        self.configuration = configuration
        self.folder = folder
        self.models = models
        self.telemetry = telemetry
    }

    /// Serves until a signal, `Appliance.stop` or cancellation. `ready` is called once, when the
    /// address answers and `server.json` says so; what it gives back is given back at the end.
    func serve<Value: Sendable>(
        beside companions: [any Service] = [],
        stoppingOn signals: [UnixSignal] = [.sigterm, .sigint],
        ready: @escaping @Sendable (Appliance, String) async throws -> Value
    ) async throws -> Value {
        let token = Self.operatorToken()
        let listening = AsyncStream<(String, Int)>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let appliance = try Appliance(
            configuration, data: folder.path, models: models, telemetry: telemetry,
            operatorToken: token, companions: companions, stoppingOn: signals, environment: .system,
            onListening: { host, port in listening.continuation.yield((host, port)) })
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { listening.continuation.finish() }
                try await appliance.run()
            }
            for await (host, port) in listening.stream {
                let local = "http://\(Self.reachable(host)):\(port)"
                try folder.announce(
                    .init(
                        pid: ProcessInfo.processInfo.processIdentifier, address: local,
                        token: token))
                let shown = configuration.gateway.publicUrl
                let value = try await ready(appliance, shown.isEmpty ? local : shown)
                try await group.waitForAll()
                return value
            }
            // It ended before it listened: its error says why.
            try await group.waitForAll()
            throw Failure(.cancelled, "The server was stopped before it listened.")
        }
    }

    /// An address of this machine for what listens on `host`.
    private static func reachable(_ host: String) -> String {
        switch host {
        case "0.0.0.0", "": "127.0.0.1"
        case "::": "[::1]"
        default: host.contains(":") ? "[\(host)]" : host
        }
    }

    private static func operatorToken() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in
            let word = String(generator.next(), radix: 16)
            return String(repeating: "0", count: 16 - word.count) + word
        }.joined()
    }
}
