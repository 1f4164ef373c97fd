import Core
import Foundation
import GRDB
import OrderedJSON
import TestSupport
import Testing

/// The whole binary between real clients' bytes and real providers' bytes: what a stream costs is what
/// the same answer costs in one piece.
@Suite(.serialized)
struct StreamCostTests {
    /// Of a call, all that the ledger keeps of its money.
    private struct Row: Hashable {
        let picodollars: Int64
        let tokens: HostedUpstream.Tokens
        let isEstimated: Bool
    }

    // Dollars for a million tokens; each kind shows in the sum.
    private static let prices = """
        accounting:
          monthly_budget_dollars: "100"
          prices:
            up/*:
              input_dollars_per_million: "3"
              cache_read_dollars_per_million: "0.301"
              cache_write_dollars_per_million: "3.75"
              output_dollars_per_million: "15.000007"
        """

    private static func cost(_ tokens: HostedUpstream.Tokens) -> Int64 {
        Int64(tokens.fresh) * 3_000_000 + Int64(tokens.read) * 301_000
            + Int64(tokens.written) * 3_750_000 + Int64(tokens.output) * 15_000_007
    }

    @Test(
        "A streamed answer costs exactly what the same answer costs unstreamed, on every surface",
        arguments: HostedUpstream.all)
    func equalCosts(provider: HostedUpstream) async throws {
        let upstream = try provider.server()
        let folder = try TemporaryFolder()
        let server = try await Self.start(provider, at: upstream, in: folder)
        for surface in ChatSurface.allCases {
            let answers = try await [false, true].asyncMap { isStreamed in
                let model = "\(surface)-\(isStreamed ? "streamed" : "whole")"
                let answer = try await server.call(
                    "POST", surface.path,
                    body: Data(surface.body(model: model, isStreamed: isStreamed).utf8),
                    headers: ["Content-Type": "application/json"])
                #expect(answer.status == 200, "\(surface): \(answer.text)")
                if isStreamed { return surface.streamed(ChatSurface.events(answer.text)) }
                #expect(answer.headers["x-heptad-cost"] == "\(Self.cost(provider.tokens))")
                return surface.whole(try JSONValue(parsing: answer.body))
            }
            let (whole, streamed) = (answers[0], answers[1])
            #expect(whole == streamed, "\(surface)")
            #expect(whole.text == "Hello" && whole.thought == "Hm.", "\(surface)")
            #expect(whole.arguments == #"{"city":"Oslo"}"#, "\(surface)")
            #expect(whole.usage == surface.usage(of: provider.tokens), "\(surface)")
        }
        // What is booked may still be on its way to the disk.
        try await server.stop()
        let rows = try Self.rows(in: folder)
        let expected = Row(
            picodollars: Self.cost(provider.tokens), tokens: provider.tokens, isEstimated: false)
        let names = ChatSurface.allCases.flatMap { ["up/\($0)-streamed", "up/\($0)-whole"] }
        #expect(rows == Dictionary(uniqueKeysWithValues: names.map { ($0, [expected]) }))
    }

    /// A model for each surface and way to be asked, so that the ledger tells them apart.
    static func start(
        _ provider: HostedUpstream, at upstream: ScriptedServer, in folder: TemporaryFolder
    ) async throws -> ServerUnderTest {
        let models = ChatSurface.allCases.flatMap { ["\($0)-streamed", "\($0)-whole"] }
        let settings =
            provider.settings.hasPrefix("{")
            ? String(provider.settings.dropFirst().dropLast()) : provider.settings
        let text = """
            inference:
              retries: {attempts_max: 1}
              providers:
                up: {\(settings), base_url: "\(upstream.url)/v1", api_key: sk-upstream}
              models:
            \(models.map { "    \($0): {candidates: [up/\($0)]}" }.joined(separator: "\n"))
            \(prices)
            """
        try text.write(toFile: folder.path + "/heptad.yaml", atomically: true, encoding: .utf8)
        return try await ServerUnderTest(in: folder, models: false)
    }

    /// The settlements of each candidate.
    private static func rows(in folder: TemporaryFolder) throws -> [String: [Row]] {
        var configuration = Configuration()
        configuration.readonly = true
        let queue = try DatabaseQueue(
            path: folder.path + "/data/ledger.db", configuration: configuration)
        let found = try queue.read { database in
            try GRDB.Row.fetchAll(
                database, sql: "SELECT * FROM transfers WHERE kind = 'settle' ORDER BY id")
        }
        var rows: [String: [Row]] = [:]
        for row in found {
            rows[row["candidate"], default: []].append(
                Row(
                    picodollars: row["picodollars"],
                    tokens: HostedUpstream.Tokens(
                        fresh: row["fresh_input_tokens"], read: row["cache_read_tokens"],
                        written: row["cache_write_tokens"], output: row["output_tokens"],
                        reasoning: row["reasoning_tokens"]),
                    isEstimated: row["is_estimated"]))
        }
        return rows
    }
}

extension [Bool] {
    fileprivate func asyncMap<Value>(_ transform: (Bool) async throws -> Value) async throws
        -> [Value]
    {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
