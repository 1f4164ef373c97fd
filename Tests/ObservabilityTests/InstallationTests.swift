import Core
import Foundation
import Metrics
import TestSupport
import Testing
import Tracing

@testable import Observability

@Suite struct InstallationTests {
    // In a process of its own: the facades are the whole process's, and other tests install too.
    @Test("The facades reach the newest installation of the process")
    func install() async {
        await #expect(processExitsWith: .success) {
            var configuration = ObservabilityConfiguration()
            configuration.logLevel = "critical"
            for folder in [try TemporaryFolder(), try TemporaryFolder()] {
                let telemetry = try Telemetry.install(
                    configuration, folder: folder.path, environment: .system)
                let id = try #require(
                    withSpan("installed") { span in
                        span.attributes["user.id"] = Principal.alice.userID.description
                        Counter(label: "installations").increment()
                        return TraceContext.currentTraceID
                    })
                let spans = try await telemetry.reader.trace(id, for: .alice)
                #expect(spans.map(\.name) == ["installed"])
                #expect(await telemetry.reader.metricsText().contains("installations_total"))
            }
        }
    }

    @Test("A configuration that cannot be used names its key", arguments: refused)
    func validation(key: String, configuration: ObservabilityConfiguration) {
        #expect { try configuration.validate() } throws: {
            ($0 as? Failure)?.message.contains(key) == true
        }
    }

    @Test("The defaults are valid, and go through JSON unchanged")
    func defaults() throws {
        let configuration = ObservabilityConfiguration()
        try configuration.validate()
        let json = try JSONEncoder().encode(configuration)
        let back = try JSONDecoder().decode(ObservabilityConfiguration.self, from: json)
        #expect(back == configuration)
    }

    private static let refused: [(String, ObservabilityConfiguration)] = [
        ("log_level", changed { $0.logLevel = "loud" }),
        ("trace_sample_percent", changed { $0.traceSamplePercent = 101 }),
        ("trace_days_max", changed { $0.traceDaysMax = 0 }),
        ("trace_megabytes_max", changed { $0.traceMegabytesMax = .max }),
        ("flush_milliseconds", changed { $0.flushMilliseconds = 0 }),
        ("spans_waiting_max", changed { $0.spansWaitingMax = -1 }),
        ("metric_series_max", changed { $0.metricSeriesMax = 1 }),
    ]

    private static func changed(_ change: (inout ObservabilityConfiguration) -> Void)
        -> ObservabilityConfiguration
    {
        var configuration = ObservabilityConfiguration()
        change(&configuration)
        return configuration
    }
}
