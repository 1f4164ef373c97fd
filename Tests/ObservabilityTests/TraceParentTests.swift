import Core
import TestSupport
import Testing
import Tracing

@testable import Observability

@Suite struct TraceParentTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let span = "00f067aa0ba902b7"

    @Test(
        "A traceparent that the specification allows is read",
        arguments: [
            ("00-\(trace)-\(span)-01", true), ("00-\(trace)-\(span)-00", false),
            ("00-\(trace)-\(span)-03", true), ("00-\(trace)-\(span)-fe", false),
            ("01-\(trace)-\(span)-01", true), ("cc-\(trace)-\(span)-01-what-comes-later", true),
            ("01-\(trace)-\(span)-01-", true),
        ])
    func valid(header: String, isSampled: Bool) throws {
        let parent = try #require(TraceParent(header))
        #expect(parent.traceID.description == Self.trace)
        #expect(parent.header == "00-\(Self.trace)-\(Self.span)-\(isSampled ? "01" : "00")")
    }

    @Test(
        "Any other is ignored, and a new trace begins",
        arguments: [
            "", "00", "00-\(trace)-\(span)", "00-\(trace)-\(span)-1", "00-\(trace)-\(span)-01-",
            "00-\(trace)-\(span)-01-extra", "ff-\(trace)-\(span)-01", "FF-\(trace)-\(span)-01",
            "0-\(trace)-\(span)-01", "00-\(trace.uppercased())-\(span)-01",
            "00-\(trace)-\(span.uppercased())-01", "00-\(trace)-\(span)-0A",
            "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
            "00-\(trace.dropLast())-\(span)-01", "00-\(trace)0-\(span)-01",
            "00_\(trace)_\(span)_01", " 00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01 ",
            "01-\(trace)-\(span)-01x", "01-\(trace)-\(span)-01x-y", ".0-\(trace)-\(span)-01",
            "00-\(trace)-\(span)-.1", "00-4bf92f3577b34da6a3ce929d0e0e473g-\(span)-01",
            "00-\(trace)-\(span)-01\u{0}", String(repeating: "0", count: 100_000), "é-€",
        ])
    func invalid(header: String) {
        #expect(TraceParent(header) == nil)
        let tracer = SpanTracer()
        var context = ServiceContext.topLevel
        tracer.extract(
            ["traceparent": header, "tracestate": "a=1"], into: &context, using: Headers())
        #expect(context.isEmpty)
    }

    @Test(
        "A tracestate is passed on as it came, or not at all",
        arguments: [
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true), ("a=1", true), ("a=1 , b=2", true),
            ("a=1,,b=2", true), ("fw529a3039@dt=FfAq;c:d", true), ("0a=x y", true),
            ("", false), (",", false), ("a", false), ("=1", false), ("a=", false), ("A=1", false),
            ("a=1,a=2", false), ("a=b=c", false), ("a=\u{7}", false), ("a=1\r\nx: y", false),
            ("a=é", false), ("_a=1", false), ("a=" + String(repeating: "x", count: 257), false),
            ((1...33).map { "k\($0)=1" }.joined(separator: ","), false),
            ((1...32).map { "k\($0)=1" }.joined(separator: ","), true),
            (String(repeating: ",", count: 5000), false),
        ])
    func state(header: String, isKept: Bool) {
        let tracer = SpanTracer()
        var context = ServiceContext.topLevel
        let parent = "00-\(Self.trace)-\(Self.span)-01"
        tracer.extract(
            ["traceparent": parent, "tracestate": header], into: &context, using: Headers())
        var sent: [String: String] = [:]
        tracer.inject(context, into: &sent, using: Headers())
        #expect(sent["tracestate"] == (isKept ? header : nil))
        #expect(sent["traceparent"] == parent)
    }

    @Test("A span goes on in the trace that came, and sends itself as the parent")
    func propagation() throws {
        let observatory = try Observatory()
        var context = ServiceContext.topLevel
        observatory.tracer.extract(
            ["traceparent": "00-\(Self.trace)-\(Self.span)-01", "tracestate": "a=1"],
            into: &context, using: Headers())
        observatory.tracer.withSpan("server", context: context) { span in
            observatory.tracer.withSpan("client") { inner in
                var sent: [String: String] = [:]
                observatory.tracer.inject(inner.context, into: &sent, using: Headers())
                let id = TraceParent.text(inner.parent.spanID)
                #expect(sent["traceparent"] == "00-\(Self.trace)-\(id)-01")
                #expect(sent["tracestate"] == "a=1")
                #expect(inner.parentID == span.parent.spanID)
                #expect(inner.parent.spanID != span.parent.spanID)
            }
            #expect(span.parentID.map(TraceParent.text) == Self.span)
        }
    }

    @Test("A trace that is not sampled is carried on and not kept")
    func unsampled() async throws {
        let observatory = try Observatory()
        let id = observatory.request(
            user: .alice, header: "00-\(Self.trace)-\(Self.span)-00")
        #expect(id == Self.trace)
        #expect(try await observatory.reader.traces(for: .owner, before: nil, limit: 9).isEmpty)

        var configuration = ObservabilityConfiguration()
        configuration.traceSamplePercent = 0
        let quiet = try Observatory(configuration)
        quiet.request(user: .alice)
        quiet.request(user: .alice, header: "00-\(Self.trace)-\(Self.span)-01")
        let kept = try await quiet.reader.traces(for: .owner, before: nil, limit: 9)
        #expect(kept.map(\.traceID) == [Self.trace])
    }
}
