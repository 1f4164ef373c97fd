import Core
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What the process takes from the machine, under the names that Prometheus clients give it.
struct ProcessMetrics {
    let startedAt: Timestamp

    func write(to text: inout PrometheusText) {
        let start = Double(startedAt.microseconds) / 1_000_000
        gauge("process_start_time_seconds", "When the process began, since 1970.", start, &text)
        if let bytes = Self.residentBytes {
            gauge("process_resident_memory_bytes", "Memory in RAM.", Double(bytes), &text)
        }
        if let count = Self.openFiles {
            gauge("process_open_fds", "Open file descriptors.", Double(count), &text)
        }
        if let seconds = Self.processorSeconds {
            text.family(
                "process_cpu_seconds_total", .counter, help: "User and system time together.")
            text.sample(seconds)
        }
    }

    private func gauge(
        _ name: String, _ help: String, _ value: Double, _ text: inout PrometheusText
    ) {
        text.family(name, .gauge, help: help)
        text.sample(value)
    }

    static var processorSeconds: Double? {
        var usage = rusage()
        #if canImport(Glibc)
            let isRead = getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0
        #else
            let isRead = getrusage(RUSAGE_SELF, &usage) == 0
        #endif
        guard isRead else { return nil }
        func seconds(_ time: timeval) -> Double {
            Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000
        }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// Nil where there is no `/proc`.
    static var residentBytes: Int? {
        guard let pages = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
            let resident = pages.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return resident * Int(sysconf(Int32(_SC_PAGESIZE)))
    }

    static var openFiles: Int? {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count
    }
}
