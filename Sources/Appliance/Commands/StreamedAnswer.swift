import Foundation

/// An answer on its way to the terminal. Its final text, with citation marks, replaces what was
/// streamed: in place on a terminal, as a second paragraph in a pipe.
struct StreamedAnswer {
    private var streamed = ""

    mutating func append(_ piece: String) {
        streamed += piece
        Terminal.stream(piece)
    }

    /// Ends with a line end.
    func finish(as text: String) {
        guard text != streamed else { return Terminal.say() }
        if let columns = Self.columns, !streamed.isEmpty {
            let rows = Self.rows(of: streamed, columns: columns)
            Terminal.stream("\r" + (rows > 1 ? "\u{1B}[\(rows - 1)A" : "") + "\u{1B}[J")
        } else if !streamed.isEmpty {
            Terminal.say("\n\nAs it is kept:\n")
        }
        Terminal.say(text)
    }

    /// How many rows of a terminal the text fills, each character one column wide.
    static func rows(of text: String, columns: Int) -> Int {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { max(1, ($0.count + columns - 1) / columns) }.reduce(0, +)
    }

    /// The terminal's width; nil where standard output is not a terminal.
    private static var columns: Int? {
        guard isatty(STDOUT_FILENO) == 1 else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return 80
        }
        return Int(size.ws_col)
    }
}
