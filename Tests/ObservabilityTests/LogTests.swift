import Core
import Foundation
import Logging
import TestSupport
import Testing
import Tracing

@testable import Observability

@Suite struct LogTests {
    private func object(_ line: String?) throws -> [String: Any] {
        let data = Data(try #require(line).utf8)
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test("A line is one JSON object with its trace and span")
    func json() throws {
        let observatory = try Observatory(
            clock: ManualClock(at: Timestamp(microseconds: 1_790_000_000_123_456)))
        var logger = observatory.logger("heptad.gateway")
        logger[metadataKey: "route"] = "/api"
        let ids = observatory.tracer.withSpan("request") { span in
            logger.info("Hello", metadata: ["count": "\(3)", "list": ["a", "b"]])
            return (span.parent.traceID.description, TraceParent.text(span.parent.spanID))
        }
        let line = try object(observatory.sink.lines.first)
        #expect(line["time"] as? String == "2026-09-21T14:13:20.123Z")
        #expect(line["level"] as? String == "info")
        #expect(line["label"] as? String == "heptad.gateway")
        #expect(line["message"] as? String == "Hello")
        #expect(
            line["metadata"] as? [String: String] == [
                "route": "/api", "count": "3", "list": #"["a", "b"]"#,
            ])
        #expect(line["trace_id"] as? String == ids.0)
        #expect(line["span_id"] as? String == ids.1)
    }

    @Test(
        "Nothing that is logged can end a line or break its JSON",
        arguments: [
            "\n", "\r\n{\"level\":\"forged\"}", "\"", "\\", "\u{0}\u{1F}\u{7F}", "\u{2028}", "é€😀",
            "\u{1B}[2J",
        ])
    func hostile(text: String) throws {
        let observatory = try Observatory()
        observatory.logger().warning("\(text)", metadata: ["\(text)": "\(text)"])
        let line = try #require(observatory.sink.lines.first)
        #expect(line.utf8.filter { $0 == 10 }.count == 1 && line.hasSuffix("}\n"))
        #expect(try object(line)["message"] as? String == text)

        var configuration = ObservabilityConfiguration()
        configuration.logFormat = .text
        let people = try Observatory(configuration)
        people.logger().warning("\(text)", metadata: ["key": "\(text)"])
        let shown = try #require(people.sink.lines.first)
        #expect(shown.unicodeScalars.dropLast().allSatisfy { $0.value >= 0x20 && $0.value != 0x7F })
        #expect(shown.contains("WARNING"))
    }

    @Test("The level of the configuration holds for loggers that were there before it")
    func level() throws {
        let backends = Backends()
        let early = Logger(label: "early") { LineLogHandler(label: $0, output: backends.log) }
        let sink = ListSink()
        backends.log.configure(
            sink: sink, level: .error, isText: false, now: { Timestamp(microseconds: 0) })
        early.warning("no")
        early.error("yes")
        backends.log.configure(
            sink: sink, level: .trace, isText: false, now: { Timestamp(microseconds: 0) })
        early.trace("yes too")
        #expect(sink.lines.count == 2)
    }

    @Test(
        "Keys that name a secret hide its value",
        arguments: [
            ("password", true), ("userPassword", true), ("http.request.header.authorization", true),
            ("api_key", true), ("apiKey", true), ("API-KEY", true), ("session_id", true),
            ("set-cookie", true), ("csrfToken", true), ("client.secret", true), ("token", true),
            ("input_tokens", false), ("gen_ai.usage.output_tokens", false), ("key", false),
            ("monkey", false), ("keyID", false), ("primary_key", false), ("tokenizer", false),
            ("secretary", false), ("", false),
        ])
    func secretKeys(key: String, isSecret: Bool) {
        #expect(Redaction.isSecret(key: key) == isSecret)
    }

    @Test(
        "Text that looks like a credential is hidden, and the rest is as it was",
        arguments: [
            ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
            ("bearer  x y", "bearer  [redacted] y"),
            ("Basic dXNlcjpwYXNz failed", "Basic [redacted] failed"),
            ("key sk-abcdefghijklmnop1234 bad", "key [redacted] bad"),
            ("proxy http://user:pass@host:1 bad", "proxy http://[redacted]@host:1 bad"),
            ("a task-force of 3 @home", "a task-force of 3 @home"), ("", ""),
            ("a basic idea", "a basic idea"), ("sk-short", "sk-short"),
            ("mail a@b.c", "mail a@b.c"),
        ])
    func scrubbing(text: String, expected: String) {
        #expect(Redaction.scrubbed(text) == expected)
    }

    @Test("A line is bounded, and metadata that names a secret is hidden")
    func bounds() throws {
        let observatory = try Observatory()
        var metadata: Logger.Metadata = ["password": "hush"]
        for index in 0..<500 { metadata["key\(index)"] = "\(String(repeating: "x", count: 9999))" }
        observatory.logger().error("\(String(repeating: "m", count: 99_999))", metadata: metadata)
        observatory.logger().error("short", metadata: ["password": "hush"])
        #expect(observatory.sink.lines[0].utf8.count < 200_000)
        #expect(observatory.sink.lines[1].contains(#""password":"[redacted]""#))
        #expect(!observatory.sink.lines.contains { $0.contains("hush") })
    }

    @Test("Lines that nobody takes are dropped and counted")
    func blocked() async throws {
        let observatory = try Observatory()
        observatory.sink.block()
        for _ in 0..<3 { observatory.logger().error("lost") }
        #expect(
            await observatory.reader.metricsText().contains("heptad_log_lines_dropped_total 3\n"))
    }
}
