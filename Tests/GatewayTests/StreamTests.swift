import Core
import Foundation
import TestSupport
import Testing

@testable import Gateway

extension ServerTests {
    @Suite struct StreamTests {
        private static let turnPath = "/api/turns/\(ScriptedLayers.turn)/events"

        private static func head(_ server: TestServer, _ request: String, _ more: String = "")
            -> String
        {
            "\(request) HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(server.aliceKey)\r\n"
                + more + "\r\n"
        }

        private func eventually(_ condition: () -> Bool) async throws -> Bool {
            for _ in 0..<200 {
                if condition() { return true }
                try await Task.sleep(for: .milliseconds(20))
            }
            return false
        }

        @Test(
            "A turn's events come with numbers and names, and the stream says how it is to be handled"
        )
        func events() async throws {
            try await TestServer.run { server in
                let response = try await server.asAlice("GET", Self.turnPath)
                #expect(response.status == 200)
                #expect(response.headers["content-type"] == "text/event-stream; charset=utf-8")
                #expect(response.headers["x-accel-buffering"] == "no")
                #expect(response.headers["content-encoding"] == nil)
                let frames = response.text.components(separatedBy: "\n\n").filter {
                    !$0.hasPrefix(":") && !$0.isEmpty
                }
                #expect(
                    frames.map { $0.components(separatedBy: "\ndata:")[0] } == [
                        "id: 1\nevent: passages", "id: 2\nevent: text", "id: 3\nevent: notice",
                        "id: 4\nevent: text", "id: 5\nevent: ended",
                    ])
                #expect(frames[1].hasSuffix(#"data: {"text":"Hello,\n"}"#))
                #expect(frames.allSatisfy { $0.split(separator: "\n").count == 3 })
                let data = try #require(frames.last?.components(separatedBy: "data: ").last)
                let outcome = try JSONDecoder().decode(TurnOutcome.self, from: Data(data.utf8))
                #expect(outcome == ScriptedLayers.outcome)
            }
        }

        @Test(
            "A client that comes again gets what it has not had, and is told when that is nothing")
        func resume() async throws {
            try await TestServer.run { server in
                let header = try await server.asAlice(
                    "GET", Self.turnPath, headers: ["Last-Event-ID": "3"])
                let query = try await server.asAlice("GET", Self.turnPath + "?after=3")
                for response in [header, query] {
                    #expect(!response.text.contains("id: 3\n") && response.text.contains("id: 4\n"))
                }
                let over = try await server.asAlice(
                    "GET", Self.turnPath, headers: ["Last-Event-ID": "5"])
                #expect(over.status == 204)
                for wrong in ["x", "-1", "99999999999999999999"] {
                    let response = try await server.asAlice(
                        "GET", Self.turnPath, headers: ["Last-Event-ID": wrong])
                    #expect(response.status == 400)
                }
            }
        }

        @Test("Asking for events with the question gives them at once, the turn's ids first")
        func beginWithEvents() async throws {
            try await TestServer.run { server in
                let path = "/api/chats/\(ScriptedLayers.chat)/turns"
                let json = #"{"question":"Why?","model":"","sampling":{"seed":7}}"#
                let plain = try await server.asAlice("POST", path, json: json)
                #expect(plain.status == 201)
                #expect(plain.headers["location"] == Self.turnPath)
                #expect(try plain.json(TurnStarted.self).turnID == ScriptedLayers.turn)

                let streamed = try await server.asAlice(
                    "POST", path, headers: ["Accept": "text/event-stream"], json: json)
                let events = streamed.text.components(separatedBy: "\n").filter {
                    $0.hasPrefix("event: ")
                }
                #expect(
                    events == [
                        "event: started", "event: passages", "event: text", "event: notice",
                        "event: text", "event: ended",
                    ])
                let turns = server.layers.with { $0.turns }
                #expect(turns.count == 2)
                #expect(turns[0].model == nil && turns[0].sampling.seed == 7)
            }
        }

        @Test("A client that goes away ends its following, never the turn")
        func disconnect() async throws {
            try await TestServer.run { server in
                server.layers.with { $0.keepsTurnOpen = true }
                let connection = try RawConnection(port: server.port)
                try await connection.send(Self.head(server, "GET \(Self.turnPath)"))
                _ = try await connection.receive(until: "id: 4")
                #expect(server.layers.with { $0.followsRunning } == 1)
                connection.close()
                #expect(try await eventually { server.layers.with { $0.followsRunning } == 0 })
                #expect(server.layers.with { $0.cancelled.isEmpty })

                let stop = try await server.asAlice(
                    "POST", "/api/turns/\(ScriptedLayers.turn)/cancel")
                #expect(stop.status == 204)
                #expect(server.layers.with { $0.cancelled } == [ScriptedLayers.turn])
            }
        }

        @Test("A graceful shutdown ends running streams cleanly and soon")
        func shutdown() async throws {
            let start = ContinuousClock.now
            try await TestServer.run { server in
                server.layers.with { $0.keepsTurnOpen = true }
                let connection = try RawConnection(port: server.port)
                try await connection.send(Self.head(server, "GET \(Self.turnPath)"))
                _ = try await connection.receive(until: "id: 4")
                await server.stop()
                let rest = String(decoding: try await connection.receiveAll(), as: UTF8.self)
                // The last chunk of the body is there: the stream ended, it did not break.
                #expect(rest.hasSuffix("0\r\n\r\n"))
            }
            #expect(.now - start < .seconds(5))
        }

        @Test("Silent streams are kept alive with comments")
        func keepAlive() async throws {
            try await TestServer.run {
                $0.keepAliveSeconds = 1
            } _: { server in
                server.layers.with { $0.keepsTurnOpen = true }
                let connection = try RawConnection(port: server.port)
                try await connection.send(Self.head(server, "GET \(Self.turnPath)"))
                _ = try await connection.receive(until: ": alive\n\n")
            }
        }

        @Test("A user has a limited number of streams, and gets them back")
        func streamLimit() async throws {
            try await TestServer.run {
                $0.streamsMax = 2
            } _: { server in
                server.layers.with { $0.keepsTurnOpen = true }
                var open: [RawConnection] = []
                for _ in 0..<2 {
                    let connection = try RawConnection(port: server.port)
                    try await connection.send(Self.head(server, "GET \(Self.turnPath)"))
                    _ = try await connection.receive(until: "id: 4")
                    open.append(connection)
                }
                #expect(try await server.asAlice("GET", Self.turnPath).status == 429)
                open[0].close()
                #expect(try await eventually { server.layers.with { $0.followsRunning } == 1 })
                try await Task.sleep(for: .milliseconds(50))
                let again = try RawConnection(port: server.port)
                try await again.send(Self.head(server, "GET \(Self.turnPath)"))
                #expect(try await again.receive(until: "\r\n").hasPrefix("HTTP/1.1 200"))
            }
        }

        @Test("A job is followed to its end")
        func job() async throws {
            try await TestServer.run { server in
                let path = "/api/jobs/\(ScriptedLayers.job)"
                let response = try await server.asAlice("GET", path + "/events")
                let frames = response.text.components(separatedBy: "event: job\ndata: ").dropFirst()
                let states = try frames.map {
                    try JSONDecoder().decode(Job.self, from: Data($0.utf8)).state
                }
                #expect(states == [.running, .completed])
                #expect(try await server.asAlice("GET", path).json(Job.self).state == .running)
                #expect(try await server.asAlice("POST", path + "/cancel").status == 204)
            }
        }
    }
}
