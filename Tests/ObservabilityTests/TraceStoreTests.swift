import Core
import Foundation
import GRDB
import ServiceLifecycle
import TestSupport
import Testing
import Tracing

@testable import Observability

@Suite struct TraceStoreTests {
    private struct Secretive: Error {}

    @Test("A trace is there the moment its spans have ended, root first")
    func readBack() async throws {
        let observatory = try Observatory()
        let id = observatory.request(user: .alice)
        let spans = try await observatory.reader.trace(id, for: .alice)
        let summary = try #require(
            try await observatory.reader.traces(for: .alice, before: nil, limit: 9).first)

        #expect(spans.map(\.name) == ["GET /", "retrieval"])
        #expect(spans.map(\.kind) == ["server", "internal"])
        #expect(spans[1].parentID == spans[0].spanID && spans[0].parentID == nil)
        #expect(spans[1].attributes == ["gen_ai.request.top_k": "5"])
        #expect(spans[0].durationMilliseconds >= spans[1].durationMilliseconds)
        #expect(summary.traceID == id && summary.name == "GET /" && summary.spanCount == 2)
        #expect(!summary.hasError)
    }

    @Test("A member sees its own traces, administrators all, and nobody another's")
    func owners() async throws {
        let observatory = try Observatory()
        let hers = observatory.request(user: .alice)
        let nobodys = observatory.request(user: nil)

        for id in [hers, nobodys] {
            await #expect {
                _ = try await observatory.reader.trace(id, for: .mallory)
            } throws: {
                ($0 as? Failure)?.code == .notFound
            }
            #expect(try await observatory.reader.trace(id, for: .owner).count == 2)
        }
        await #expect(throws: Failure.self) {
            try await observatory.reader.trace(nobodys, for: .alice)
        }
        let seen = try await observatory.reader.traces(for: .mallory, before: nil, limit: 9)
        let own = try await observatory.reader.traces(for: .alice, before: nil, limit: 9)
        let all = try await observatory.reader.traces(for: .owner, before: nil, limit: 9)
        #expect(seen.isEmpty)
        #expect(own.map(\.traceID) == [hers])
        #expect(all.map(\.traceID) == [nobodys, hers])
    }

    @Test("A trace id of another's, sent as one's own, opens nothing", arguments: [true, false])
    func stolen(isFirst: Bool) async throws {
        let observatory = try Observatory()
        let id = "4bf92f3577b34da6a3ce929d0e0e4736"
        let header = "00-\(id)-00f067aa0ba902b7-01"
        for user in isFirst ? [Principal.mallory, .alice] : [.alice, .mallory] {
            observatory.request(user: user, header: header)
            _ = try await observatory.reader.traces(for: .owner, before: nil, limit: 1)
        }
        await #expect(throws: Failure.self) {
            try await observatory.reader.trace(id, for: .mallory)
        }
        #expect(try await observatory.reader.traces(for: .mallory, before: nil, limit: 9).isEmpty)
        #expect(try await observatory.reader.trace(id, for: .owner).count == 4)
        // A third comer does not become the owner either.
        observatory.request(user: .mallory, header: header)
        await #expect(throws: Failure.self) {
            try await observatory.reader.trace(id, for: .mallory)
        }
    }

    @Test("Spans of a live trace come over time, and its owner is known from the start")
    func live() async throws {
        let observatory = try Observatory()
        let tracer = observatory.tracer
        let root = tracer.startSpan("POST /turns", context: .topLevel)
        root.attributes["user.id"] = Principal.alice.userID.description
        tracer.startSpan("knowledge", context: root.context).end()
        let id = root.parent.traceID.description

        // The root is still open: the trace has the name of what ended first.
        let early = try await observatory.reader.traces(for: .alice, before: nil, limit: 9)
        #expect(early.map(\.name) == ["knowledge"] && early.map(\.spanCount) == [1])

        let turn = tracer.startSpan("turn", context: root.context)
        root.end()
        let answered = try await observatory.reader.traces(for: .alice, before: nil, limit: 9)
        #expect(answered.map(\.name) == ["POST /turns"])

        let later = DefaultTracerClock.Timestamp(
            nanosecondsSinceEpoch: DefaultTracerClock.now.nanosecondsSinceEpoch + 9_000_000_000)
        turn.recordError(Failure(.upstream, "The provider hung up."))
        turn.end(at: later)
        let ended = try #require(
            try await observatory.reader.traces(for: .alice, before: nil, limit: 9).first)
        #expect(ended.spanCount == 3 && ended.hasError && ended.durationMilliseconds > 8999)
        #expect(try await observatory.reader.trace(id, for: .alice).count == 3)
    }

    @Test(
        "What is no trace id is not found",
        arguments: [
            "", "x", "00000000000000000000000000000000", "4BF92F3577B34DA6A3CE929D0E0E4736",
            "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736 ",
            "' OR 1=1 --", String(repeating: "a", count: 100_000),
        ])
    func unknown(id: String) async throws {
        let observatory = try Observatory()
        for principal in [Principal.alice, .owner] {
            await #expect {
                _ = try await observatory.reader.trace(id, for: principal)
            } throws: {
                ($0 as? Failure)?.code == .notFound
            }
        }
    }

    @Test("An error keeps its code and sentence, and never its cause")
    func errors() async throws {
        let observatory = try Observatory()
        let tracer = observatory.tracer
        let id = tracer.withSpan("request") { span in
            span.attributes["user.id"] = Principal.alice.userID.description
            #expect(throws: Failure.self) {
                try tracer.withSpan("chat") { _ in
                    throw Failure(.upstream, "The provider refused.", cause: "key was sk-hush")
                }
            }
            #expect(throws: Secretive.self) {
                try tracer.withSpan("other") { _ in throw Secretive() }
            }
            return span.parent.traceID.description
        }
        let spans = try await observatory.reader.trace(id, for: .alice)
        let chat = try #require(spans.first { $0.name == "chat" })
        let other = try #require(spans.first { $0.name == "other" })
        #expect(chat.error == "The provider refused.")
        #expect(chat.attributes == ["error.type": "upstream"])
        #expect(
            chat.events.map(\.attributes) == [
                [
                    "exception.type": "upstream",
                    "exception.message": "The provider refused.",
                ]
            ])
        #expect(other.attributes == ["error.type": "internalError"])
        #expect(spans.allSatisfy { !"\($0)".contains("hush") })
    }

    @Test("Attributes are bounded in number and length, and secrets are not kept")
    func bounds() async throws {
        let observatory = try Observatory()
        let id = observatory.tracer.withSpan(String(repeating: "n", count: 9999)) { span in
            span.attributes["user.id"] = Principal.alice.userID.description
            span.attributes["api_key"] = "hush"
            span.attributes["gen_ai.usage.input_tokens"] = 7
            span.attributes["long"] = String(repeating: "é", count: 99_999)
            span.attributes["header"] = "Bearer hush"
            span.attributes["list"] = [1, 2]
            for index in 0..<100 { span.addEvent(SpanEvent(name: "\(index)")) }
            return span.parent.traceID.description
        }
        let many = observatory.tracer.withSpan("many") { span in
            for index in 0..<200 { span.attributes["key\(index)"] = index }
            return span.parent.traceID.description
        }
        let span = try #require(try await observatory.reader.trace(id, for: .alice).first)
        #expect(span.attributes["api_key"] == "[redacted]")
        #expect(span.attributes["gen_ai.usage.input_tokens"] == "7")
        #expect(span.attributes["header"] == "Bearer [redacted]")
        #expect(span.attributes["list"] == "1, 2")
        #expect((1000...1024).contains(span.attributes["long"]?.utf8.count ?? 0))
        #expect(span.name.utf8.count <= 128)
        #expect(span.events.count == 65)
        #expect(span.events.last?.attributes == ["count": "36"])
        let other = try #require(try await observatory.reader.trace(many, for: .owner).first)
        #expect(other.attributes.count == 65)
        #expect(other.attributes["heptad.dropped_attributes"] == "136")
    }

    @Test("A full buffer and a full trace drop spans, count them, and keep going")
    func floods() async throws {
        var configuration = ObservabilityConfiguration()
        configuration.spansWaitingMax = 64
        let small = try Observatory(configuration)
        for _ in 0..<100 { small.request(user: .alice) }
        #expect(await small.reader.metricsText().contains("heptad_spans_dropped_total 136\n"))
        #expect(await small.reader.metricsText().contains("heptad_spans_recorded_total 200\n"))
        #expect(try await small.reader.traces(for: .alice, before: nil, limit: 99).count == 32)

        let large = try Observatory()
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        for _ in 0..<3 {
            for _ in 0..<750 { large.request(user: .alice, header: header) }
            _ = try await large.reader.traces(for: .alice, before: nil, limit: 1)
        }
        let summary = try await large.reader.traces(for: .alice, before: nil, limit: 1).first
        #expect(summary?.spanCount == SpanRows.spansMax)
        #expect(await large.reader.metricsText().contains("heptad_spans_dropped_total 500\n"))
    }

    @Test("Traces go when they are too old")
    func age() async throws {
        let observatory = try Observatory()
        observatory.request("old", user: .alice)
        try await observatory.store.flush()
        try await observatory.store.prune()
        #expect(try await observatory.reader.traces(for: .alice, before: nil, limit: 9).count == 1)
        observatory.clock.advance(by: .seconds(15 * 86_400))
        try await observatory.store.prune()
        #expect(try await observatory.reader.traces(for: .alice, before: nil, limit: 9).isEmpty)
        let left = try observatory.store.read {
            try Int.fetchOne($0, sql: "SELECT count(*) FROM spans")
        }
        #expect(left == 0)
    }

    @Test("The oldest traces go when there are too many")
    func size() async throws {
        let folder = try TemporaryFolder()
        let buffer = SpanBuffer(spansMax: 1000)
        let tracer = SpanTracer()
        tracer.configure(
            buffer: buffer, samplePercent: 100, random: Environment.manual().random)
        let store = try TraceStore(
            folder: folder.path, buffer: buffer, now: { .systemNow },
            retention: Retention(age: .seconds(86_400), bytes: 50_000))
        for index in 0..<600 { tracer.withSpan("\(index)") { _ in } }
        try await store.flush()
        try await store.prune()
        let kept = try await store.traces(for: .owner, before: nil, limit: 500)
        let bytes = try store.read { try Int.fetchOne($0, sql: "SELECT sum(bytes) FROM traces") }
        #expect(kept.first?.name == "599" && kept.last?.name != "0")
        #expect((10_000...45_000).contains(bytes ?? 0))
    }

    @Test("Lists come newest first, in pages")
    func pages() async throws {
        let observatory = try Observatory()
        for index in 0..<5 {
            let time = DefaultTracerClock.Timestamp(
                nanosecondsSinceEpoch: UInt64(1_790_000_000 + index) * 1_000_000_000)
            observatory.tracer.startSpan("\(index)", context: .topLevel, at: time).end(at: time)
        }
        let first = try await observatory.reader.traces(for: .owner, before: nil, limit: 2)
        let second = try await observatory.reader.traces(
            for: .owner, before: first.last?.startedAt, limit: 2)
        #expect(first.map(\.name) == ["4", "3"] && second.map(\.name) == ["2", "1"])
        #expect(try await observatory.reader.traces(for: .owner, before: nil, limit: -1).count == 1)
    }

    @Test("Lists and traces are found by index")
    func plan() throws {
        let observatory = try Observatory()
        let queries = [
            TraceStore.listSQL(isAdministrator: true), TraceStore.listSQL(isAdministrator: false),
            TraceStore.spansSQL.replacingOccurrences(of: "?", with: "1"),
        ]
        for query in queries {
            let plan = try observatory.store.read {
                try Row.fetchAll(
                    $0, sql: "EXPLAIN QUERY PLAN " + query,
                    arguments: query.contains(":")
                        ? ["owner": "a", "before": 1, "limit": 1] : StatementArguments(),
                    adapter: nil
                ).map { $0["detail"] as String }
            }
            #expect(plan.first?.hasPrefix("SEARCH") == true, "\(plan)")
        }
    }

    @Test("Many spans are written at once, long before the next flush is due")
    func many() async throws {
        let observatory = try Observatory()
        let store = try observatory.store
        func count() throws -> Int {
            try store.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM spans") ?? 0 }
        }
        for _ in 0..<300 { observatory.request(user: .alice) }
        for _ in 0..<500 where try count() < 512 { try await Task.sleep(for: .milliseconds(10)) }
        #expect((512...600).contains(try count()))
        try await store.flush()
        #expect(try count() == 600)
    }

    @Test("Attributes that are changed in place are kept, but for those after the end")
    func changes() async throws {
        let observatory = try Observatory()
        let span = observatory.tracer.startSpan("work", context: .topLevel)
        for number in 0..<40 { span.attributes["number.\(number)"] = number }
        span.attributes["number.7"] = nil
        span.attributes.set("user.id", value: .string(Principal.alice.userID.description))
        span.end()
        span.attributes["late"] = true
        let summary = try #require(
            try await observatory.reader.traces(for: .alice, before: nil, limit: 1).first)
        let kept = try await observatory.reader.trace(summary.traceID, for: .alice).first
        #expect(kept?.attributes.count == 40 && kept?.attributes["number.39"] == "39")
        #expect(kept?.attributes["number.7"] == nil && kept?.attributes["late"] == nil)
    }

    @Test(
        "The service writes what waits, and what still waits when it stops",
        arguments: [10, 60_000])
    func service(flushMilliseconds: Int) async throws {
        var configuration = ObservabilityConfiguration()
        configuration.flushMilliseconds = flushMilliseconds
        let observatory = try Observatory(configuration)
        let group = ServiceGroup(
            services: [observatory.service], logger: observatory.logger("test"))
        let store = try observatory.store
        func count() throws -> Int {
            try store.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM spans") ?? 0 }
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            observatory.request(user: .alice)
            if flushMilliseconds < 1000 {
                for _ in 0..<500 where try count() == 0 {
                    try await Task.sleep(for: .milliseconds(10))
                }
                #expect(try count() == 2)
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        #expect(try count() == 2)
    }
}
