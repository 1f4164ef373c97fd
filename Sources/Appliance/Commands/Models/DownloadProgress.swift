import Core
import Egress
import Foundation

/// What a download says while it runs: one line that changes on a terminal, and a line now and then
/// on a pipe.
struct DownloadProgress {
    private static let barCells = 24
    private static let terminalPause = Duration.milliseconds(100)
    private static let pipePause = Duration.seconds(5)
    /// The rate is that of the last seconds, so that it tells of the network as it is.
    private static let window = Duration.seconds(10)

    private let clock = ContinuousClock()
    private var samples: [(at: ContinuousClock.Instant, bytes: Int)] = []
    private var shownAt: ContinuousClock.Instant?

    mutating func show(_ event: FileDownload.Event) {
        switch event {
        case .progress(let bytes, let total): show(bytes, of: total)
        case .beginningAgain:
            samples = []
            Terminal.endProgress()
            Terminal.note("What was here belongs to another version of the file; beginning again.")
        case .retrying(let failure, let pause):
            samples = []
            Terminal.endProgress()
            Terminal.note(
                Terminal.harmless(failure.message)
                    + " Trying again in \(pause.components.seconds) s.")
        }
    }

    func end() { Terminal.endProgress() }

    private mutating func show(_ bytes: Int, of total: Int?) {
        let now = clock.now
        samples.append((now, bytes))
        let pause = Terminal.showsProgress ? Self.terminalPause : Self.pipePause
        let isLast = bytes == total
        guard isLast || shownAt.map({ now - $0 >= pause }) ?? true else { return }
        shownAt = now
        samples.removeAll { now - $0.at > Self.window }
        let line = Self.line(bytes, of: total, rate: rate)
        if Terminal.showsProgress { Terminal.progress(line) } else { Terminal.note(line) }
    }

    /// Bytes in a second; nil as long as there is nothing to judge by.
    private var rate: Double? {
        guard let first = samples.first, let last = samples.last else { return nil }
        let seconds = (last.at - first.at) / .seconds(1)
        return seconds > 0.2 ? Double(last.bytes - first.bytes) / seconds : nil
    }

    static func line(_ bytes: Int, of total: Int?, rate: Double?) -> String {
        var parts: [String] = []
        if let total, total > 0 {
            let share = min(1, Double(bytes) / Double(total))
            let full = Int(share * Double(barCells))
            parts.append(
                "[" + String(repeating: "#", count: full)
                    + String(repeating: ".", count: barCells - full) + "]")
            parts.append("\(Int(share * 100)) %")
            parts.append("\(ByteCount(bytes)) of \(ByteCount(total))")
        } else {
            parts.append("\(ByteCount(bytes))")
        }
        if let rate, rate >= 1 {
            parts.append("\(ByteCount(Int(min(rate, 1e15))))/s")
            if let total, bytes < total {
                parts.append(timeLeft(Double(total - bytes) / rate) + " left")
            }
        }
        return parts.joined(separator: "  ")
    }

    private static func timeLeft(_ seconds: Double) -> String {
        let seconds = Int(min(seconds.rounded(.up), 360_000))
        if seconds < 60 { return "\(seconds) s" }
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        return "\(seconds / 3600) h \(seconds % 3600 / 60) min"
    }
}
