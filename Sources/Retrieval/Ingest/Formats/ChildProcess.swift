import CProcess
import Core
import Foundation

/// A program that reads a document for us, with limits on its time, its memory and what it says. It
/// gets the file as its input and no name of it, and no shell is between.
struct ChildProcess {
    enum Outcome: Equatable {
        case finished([UInt8])
        case failed(String)
        case late
        case tooMuch
    }

    let path: String
    let arguments: [String]
    let memoryBytesMax: Int
    let outputBytesMax: Int

    /// How long it may go on after its last word.
    private static let patienceMilliseconds: Int32 = 2000
    private static let pieceBytes = 65_536

    /// The absolute path of a program; nil where there is none that may be run.
    static func path(of program: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let places =
            program.contains("/")
            ? [program]
            : (folders.map(String.init) + ["/usr/bin", "/usr/local/bin"]).map { "\($0)/\(program)" }
        return places.first {
            $0.hasPrefix("/") && FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    /// Blocks until the program is gone, for not much longer than `time`.
    func run(on input: [UInt8], for time: Duration) throws -> Outcome {
        let deadline = ContinuousClock.now + time
        guard time > .zero else { return .late }
        var child = try start(on: input, for: time)
        var output: [UInt8] = []
        var outcome: Outcome?
        while outcome == nil {
            let piece = read(&child, until: deadline)
            switch piece.count {
            case 0: break
            case 1...:
                output += piece.bytes.prefix(piece.count)
                if output.count > outputBytesMax { outcome = .tooMuch }
                continue
            case -2 where ContinuousClock.now < deadline: continue
            case -2: outcome = .late
            default: outcome = .failed("its output could not be read")
            }
            break
        }
        let status = cprocess_end(child, outcome == nil ? Self.patienceMilliseconds : 0)
        return outcome ?? Self.outcome(status, output)
    }

    private static func outcome(_ status: Int32, _ output: [UInt8]) -> Outcome {
        if status == 0 { return .finished(output) }
        let signal = status & 0x7F
        if signal == SIGXCPU { return .late }
        return .failed(signal == 0 ? "exit \(status >> 8 & 0xFF)" : "signal \(signal)")
    }

    private func start(on input: [UInt8], for time: Duration) throws -> cprocess_child {
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        let limits = cprocess_limits(
            cpu_seconds_max: UInt(time.components.seconds + 1),
            memory_bytes_max: UInt(memoryBytesMax))
        var child = cprocess_child()
        let error = input.withUnsafeBytes {
            cprocess_start(path, words, $0.baseAddress, $0.count, limits, &child)
        }
        guard error == 0 else {
            throw Failure(
                .unavailable,
                "The server could not start the program that reads this file; try"
                    + " again later.", cause: String(cString: strerror(error)))
        }
        return child
    }

    private func read(
        _ child: inout cprocess_child, until deadline: ContinuousClock.Instant
    ) -> (bytes: [UInt8], count: Int) {
        let left = (deadline - ContinuousClock.now).components
        let milliseconds = max(0, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000)
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, filled in
            count = cprocess_read(
                child, buffer.baseAddress, Self.pieceBytes, Int32(clamping: milliseconds))
            filled = max(0, count)
        }
        return (bytes, count)
    }
}
