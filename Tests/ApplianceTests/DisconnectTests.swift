import Core
import Foundation
import TestSupport
import Testing

/// A client that leaves is not paid for any longer than it takes to notice.
@Suite(.serialized)
struct DisconnectTests {
    // Each try is one call; half of them may meet a machine that is busy with something else.
    private static let tries = 5
    private static let limit = Duration.milliseconds(100)

    @Test(
        "When the client leaves in mid-answer, its provider's connection closes within 100 ms",
        arguments: ChatSurface.allCases, [true, false])
    func leaves(surface: ChatSurface, isStreamed: Bool) async throws {
        let upstream = try HostedUpstream.anthropic.stallingServer()
        let folder = try TemporaryFolder()
        let server = try await StreamCostTests.start(.anthropic, at: upstream, in: folder)
        let port = try #require(URLComponents(string: server.address)?.port)
        let model = "\(surface)-\(isStreamed ? "streamed" : "whole")"
        let body = surface.body(model: model, isStreamed: isStreamed)
        var delays: [Duration] = []
        for number in 0..<Self.tries {
            let client = try RawConnection(port: port)
            try await client.send(
                """
                POST \(surface.path) HTTP/1.1\r\nHost: localhost\r\n\
                Authorization: Bearer \(server.token)\r\nContent-Type: application/json\r\n\
                Content-Length: \(body.utf8.count)\r\n\r\n\(body)
                """)
            if isStreamed { _ = try await client.receive(until: "Hel") }
            #expect(await eventually(within: .seconds(10)) { upstream.requests.count > number })
            if !isStreamed { try await Task.sleep(for: .milliseconds(50)) }
            let left = ContinuousClock.now
            client.close()
            #expect(await eventually(within: .seconds(10)) { upstream.closedByClient > number })
            delays.append((upstream.closedAt.last ?? left) - left)
        }
        #expect(delays.sorted()[Self.tries / 2] < Self.limit, "\(delays)")

        // The prompt was read and a word was written, which the provider wants money for.
        var line: [String: Any]?
        for _ in 0..<100 where line?["calls"] as? Int != Self.tries {
            try await Task.sleep(for: .milliseconds(20))
            let spend = try await server.call("GET", "/api/spend").json
            let lines = spend["lines"] as? [[String: Any]] ?? []
            line = lines.first { $0["candidate"] as? String == "up/\(model)" }
        }
        #expect(line?["calls"] as? Int == Self.tries)
        for key in ["inputTokens", "outputTokens", "cost"] {
            #expect(line?[key] as? Int ?? 0 >= Self.tries, "\(key) of \(line ?? [:])")
        }
        try await server.stop()
    }
}
