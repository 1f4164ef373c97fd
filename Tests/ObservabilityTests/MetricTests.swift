import Core
import Foundation
import Metrics
import TestSupport
import Testing

@testable import Observability

@Suite struct MetricTests {
    private func text(_ registry: MetricRegistry) -> String {
        var text = PrometheusText()
        registry.write(to: &text)
        return text.text
    }

    @Test("Every kind of metric is written as Prometheus wants it")
    func kinds() throws {
        let registry = MetricRegistry()
        Counter(label: "http.requests", dimensions: [("route", "/")], factory: registry)
            .increment(by: 2)
        Counter(label: "http.requests", dimensions: [("route", "/")], factory: registry).increment()
        FloatingPointCounter(label: "heptad.cost.usd", dimensions: [], factory: registry)
            .increment(by: 0.25)
        Gauge(label: "queue.depth", dimensions: [], factory: registry).record(7)
        Meter(label: "temperature", dimensions: [], factory: registry).set(-1.5)
        Metrics.Timer(label: "http.duration", dimensions: [], factory: registry)
            .recordNanoseconds(30_000_000)
        Recorder(label: "gen_ai.client.token.usage", dimensions: [("a", "b")], factory: registry)
            .record(5)
        let text = text(registry)

        #expect(
            text.contains(
                """
                # HELP http_requests_total http.requests
                # TYPE http_requests_total counter
                http_requests_total{route="/"} 3

                """))
        #expect(text.contains("\nheptad_cost_usd_total 0.25\n"))
        #expect(text.contains("# TYPE queue_depth gauge\nqueue_depth 7\n"))
        #expect(text.contains("\ntemperature -1.5\n"))
        #expect(text.contains("# TYPE http_duration_seconds histogram\n"))
        #expect(text.contains("\nhttp_duration_seconds_bucket{le=\"0.025\"} 0\n"))
        #expect(text.contains("\nhttp_duration_seconds_bucket{le=\"0.05\"} 1\n"))
        #expect(text.contains("\nhttp_duration_seconds_bucket{le=\"+Inf\"} 1\n"))
        #expect(text.contains("\nhttp_duration_seconds_sum 0.03\n"))
        #expect(text.contains("\nhttp_duration_seconds_count 1\n"))
        #expect(text.contains("\ngen_ai_client_token_usage_bucket{a=\"b\",le=\"16\"} 1\n"))
        #expect(text.hasSuffix("\n"))
    }

    @Test("Every line of the page follows the grammar, whatever names and values come")
    func grammar() async throws {
        let observatory = try Observatory()
        let registry = observatory.backends.registry
        for name in [
            "", "9lives", "a b", "ü", "a-b.c/d", "x\ny", String(repeating: "n", count: 999),
        ] {
            for value in ["", "\"", "\\", "\n", "é€", "}", "a\\\"\n,le=\"1\"", "\u{0}"] {
                Counter(
                    label: name, dimensions: [(name, value), ("le", "1"), ("__name__", "x")],
                    factory: registry
                ).increment()
                Recorder(label: name + "h", dimensions: [(name, value)], factory: registry)
                    .record(1)
            }
        }
        let sample =
            #/[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*")*\})? (\+Inf|-?[0-9.e+-]+)/#
        let comment = #/# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .*/#
        let lines = await observatory.reader.metricsText().split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.last == "")
        for line in lines.dropLast() {
            let fits = try sample.wholeMatch(in: line) != nil || comment.wholeMatch(in: line) != nil
            #expect(fits, "\(line)")
        }
        let types = lines.filter { $0.hasPrefix("# TYPE") }
        #expect(Set(types).count == types.count)
    }

    @Test("Past the limit of series, all others of a family count together")
    func overflow() {
        let registry = MetricRegistry()
        registry.configure(seriesMax: 10)
        for index in 0..<1000 {
            Counter(label: "hits", dimensions: [("path", "/\(index)")], factory: registry)
                .increment()
        }
        let text = text(registry)
        #expect(text.contains("\nhits_total{overflow=\"true\"} 990\n"))
        #expect(text.contains("\nhits_total{path=\"/9\"} 1\n"))
        #expect(text.contains("\nheptad_metric_series_overflowed_total 990\n"))
        #expect(text.split(separator: "\n").count == 16)
    }

    @Test("A name that two kinds want stays the first one's")
    func conflict() {
        let registry = MetricRegistry()
        Gauge(label: "a.total", dimensions: [], factory: registry).record(1)
        Counter(label: "a", dimensions: [], factory: registry).increment(by: 5)
        let text = text(registry)
        #expect(text.contains("# TYPE a_total gauge\na_total 1\n"))
        #expect(!text.contains("a_total 5"))
    }

    @Test("What is no number, or would make a counter shrink, is not counted")
    func nonsense() {
        let registry = MetricRegistry()
        let counter = CounterCell()
        for value in [-1.0, .nan, .infinity, -.infinity] { counter.increment(by: value) }
        counter.increment(by: Int64.min)
        #expect(counter.value == 0)
        let recorder = Recorder(label: "duration", dimensions: [], factory: registry)
        for value in [Double.nan, .infinity] { recorder.record(value) }
        recorder.record(1e300)
        #expect(text(registry).contains("\nduration_count 1\n"))
        Gauge(label: "g", dimensions: [], factory: registry).record(Double.nan)
        #expect(text(registry).contains("\ng NaN\n"))
    }

    @Test("A destroyed metric leaves the page and makes room")
    func destroyed() {
        let registry = MetricRegistry()
        let counter = Counter(label: "gone", dimensions: [("a", "b")], factory: registry)
        counter.increment()
        counter.destroy()
        #expect(!text(registry).contains("gone_total{"))
        Counter(label: "gone", dimensions: [("a", "b")], factory: registry).increment()
        #expect(text(registry).contains("gone_total{a=\"b\"} 1"))
    }

    @Test("Concurrent counting loses nothing")
    func concurrency() async {
        let registry = MetricRegistry()
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        Counter(
                            label: "n", dimensions: [("task", "\(task % 2)")], factory: registry
                        ).increment()
                    }
                }
            }
        }
        #expect(text(registry).contains("n_total{task=\"0\"} 4000\nn_total{task=\"1\"} 4000\n"))
    }

    @Test("The process tells what it takes from the machine")
    func process() async throws {
        let text = try await Observatory().reader.metricsText()
        for name in ["process_start_time_seconds", "process_cpu_seconds_total"] {
            #expect(text.contains("\n\(name) "))
        }
        #if os(Linux)
            #expect(try #require(ProcessMetrics.residentBytes) > 1_000_000)
            #expect(try #require(ProcessMetrics.openFiles) > 2)
        #endif
    }
}
