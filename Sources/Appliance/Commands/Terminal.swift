import Core
import Foundation

/// What the command line writes. Answers go to standard output, everything else to standard error,
/// so that a pipe carries answers only.
enum Terminal {
    static func say(_ line: String = "") { write(line + "\n", to: .standardOutput) }

    /// Writes at once, without a line end: a piece of a streamed answer.
    static func stream(_ piece: String) { write(piece, to: .standardOutput) }

    static func note(_ line: String) { write(line + "\n", to: .standardError) }

    /// Replaces the line on a terminal; on a pipe it is left out.
    static func progress(_ line: String) {
        guard showsProgress else { return }
        write("\r\u{1B}[2K" + line, to: .standardError)
    }

    /// Whether a line that changes can be shown.
    static var showsProgress: Bool { isatty(STDERR_FILENO) == 1 }

    /// Whether there is somebody to ask.
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 }

    /// Asks, and takes anything but a clear yes for a no.
    static func confirm(_ question: String) -> Bool {
        write(question, to: .standardError)
        return ["y", "yes"].contains(readLine(strippingNewline: true)?.lowercased() ?? "")
    }

    static func endProgress() {
        guard showsProgress else { return }
        write("\r\u{1B}[2K", to: .standardError)
    }

    /// Reads a secret without showing it; from a pipe it takes one line.
    static func readSecret(prompt: String) throws -> String {
        let isTerminal = isatty(STDIN_FILENO) == 1
        var shown = termios()
        if isTerminal {
            write(prompt, to: .standardError)
            tcgetattr(STDIN_FILENO, &shown)
            var hidden = shown
            hidden.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(STDIN_FILENO, TCSANOW, &hidden)
        }
        defer {
            if isTerminal {
                tcsetattr(STDIN_FILENO, TCSANOW, &shown)
                write("\n", to: .standardError)
            }
        }
        guard let line = readLine(strippingNewline: true), !line.isEmpty else {
            throw Failure(.invalid, "No password was given.")
        }
        return line
    }

    /// Control characters of outside text (a document, a model's answer) would drive the terminal.
    static func harmless(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.filter {
                    $0 == "\n" || $0 == "\t"
                        || ($0.value >= 0x20 && !(0x7F...0x9F).contains($0.value))
                }))
    }

    private static func write(_ text: String, to file: FileHandle) {
        // A closed pipe is the reader's choice, not an error of ours.
        try? file.write(contentsOf: Data(text.utf8))
    }
}
