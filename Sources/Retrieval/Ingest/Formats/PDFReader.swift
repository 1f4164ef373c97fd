import Core

/// The text of a PDF, which another program reads for us: PDF parsers have a history of giving in to
/// hostile files, and this way the server's own memory is not there to be had.
enum PDFReader {
    /// A book of 2,000 pages takes 200 MB.
    private static let memoryBytesMax = 1 << 30
    static let isMissing = Failure(
        .unsupported,
        "PDF files are read by `pdftotext`, which is not installed on the server. Install the package"
            + " poppler-utils (`apt-get install poppler-utils`), then upload the file again.")

    /// Throws `unsupported` where the program is missing, the PDF needs a password or has no text,
    /// `invalid` where it is damaged, `timeout` where it takes too long.
    static func read(
        _ bytes: [UInt8], name: String, _ budget: ReadingBudget
    ) throws -> ExtractedText {
        guard let program = ChildProcess.path(of: budget.limits.pdfProgram) else { throw isMissing }
        let child = ChildProcess(
            path: program, arguments: ["-q", "-enc", "UTF-8", "-eol", "unix", "-", "-"],
            memoryBytesMax: memoryBytesMax, outputBytesMax: 4 * budget.limits.textMax)
        let output: [UInt8]
        switch try child.run(on: bytes, for: budget.timeLeft) {
        case .finished(let bytes): output = bytes
        case .late: throw ReadingBudget.late(budget.limits.seconds)
        case .tooMuch:
            throw Failure(
                .tooLarge, "“\(name)” holds more text than can be read. Split it into parts.")
        case .failed(let how): throw refusal(of: bytes, name: name, how)
        }
        return try text(output, name: name, budget)
    }

    /// Whether this looks like a PDF: some begin with a few bytes of something else.
    static func isPDF(_ bytes: [UInt8]) -> Bool {
        let mark = Array("%PDF-".utf8)
        let start = bytes.prefix(1024)
        return start.indices.contains { start[$0...].starts(with: mark) }
    }

    private static func refusal(of bytes: [UInt8], name: String, _ how: String) -> Failure {
        if bytes.contains(Array("/Encrypt".utf8)) {
            return Failure(
                .unsupported, "“\(name)” is protected by a password. Save it without one.",
                cause: how)
        }
        return Failure(
            .invalid, "“\(name)” is damaged and cannot be read. Save it again.", cause: how)
    }

    /// Pages end with a form feed.
    private static func text(
        _ output: [UInt8], name: String, _ budget: ReadingBudget
    ) throws -> ExtractedText {
        var scalars: [Unicode.Scalar] = []
        var pages: [ExtractedText.Page] = []
        for (place, page) in output.split(separator: 0x0C, omittingEmptySubsequences: false)
            .enumerated()
        {
            if !scalars.isEmpty { scalars += ["\n", "\n"] }
            pages.append(.init(start: scalars.count, name: "Page \(place + 1)"))
            scalars += TextHygiene.clean(String(decoding: page, as: UTF8.self))
        }
        guard scalars.contains(where: { !$0.properties.isWhitespace }) else {
            throw Failure(
                .unsupported,
                "“\(name)” has no text: its pages are pictures, as a scanner makes them. Have the text"
                    + " recognised (OCR) first, then upload it again.")
        }
        guard scalars.count <= budget.limits.textMax else {
            throw Failure(
                .tooLarge, "“\(name)” holds more text than can be read. Split it into parts.")
        }
        var text = BlockReader(scalars, dialect: .plain).read()
        text.pages = pages
        return text
    }
}
