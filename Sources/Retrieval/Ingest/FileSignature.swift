import Core

/// What the first bytes of a file say it is, whatever its name says.
enum FileSignature {
    /// The format, and the archive where it is one, whose directory has been read then; nil where the
    /// bytes do not say. Throws `unsupported` with what to do for kinds of file that are known and
    /// cannot be read, and `invalid` for a damaged archive.
    static func format(
        of bytes: [UInt8], name: String, _ budget: ReadingBudget
    ) throws -> (DocumentFormat, ZipArchive?)? {
        if bytes.starts(with: "%PDF-".utf8) { return (.pdf, nil) }
        if ZipArchive.isArchive(bytes) {
            let archive = try ZipArchive(bytes, budget: budget)
            return (format(of: archive), archive)
        }
        if let (_, advice) = strangers.first(where: { bytes.starts(with: $0.start) }) {
            throw Failure(.unsupported, "“\(name)” \(advice)")
        }
        return nil
    }

    /// By the file that only this format has.
    private static func format(of archive: ZipArchive) -> DocumentFormat {
        if archive.has("word/document.xml") { return .word }
        if archive.has("ppt/presentation.xml") { return .slides }
        if archive.has("xl/workbook.xml") { return .sheet }
        if archive.has("META-INF/container.xml") { return .epub }
        if archive.has("content.xml"), archive.has("mimetype") || archive.has("meta.xml") {
            return .openDocument
        }
        return .archive
    }

    private static let picture =
        "is a picture, which has no text to be read. Upload the document it comes from."
    private static let otherPack =
        "is packed in a way that cannot be read. Pack it as a ZIP, or upload the files themselves."

    private static let strangers: [(start: [UInt8], advice: String)] = [
        (
            [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1],
            "is in an old Office format, or protected by a password. Save it as .docx, .xlsx or"
                + " .pptx, without a password."
        ),
        (Array("{\\rtf".utf8), "is in Rich Text Format. Save it as .docx."),
        ([0x89, 0x50, 0x4E, 0x47], picture), ([0xFF, 0xD8, 0xFF], picture),
        (Array("GIF8".utf8), picture),
        ([0x1F, 0x8B], otherPack), (Array("7z".utf8) + [0xBC, 0xAF], otherPack),
        (Array("Rar!".utf8), otherPack), (Array("BZh9".utf8), otherPack),
        ([0xFD, 0x37, 0x7A, 0x58, 0x5A], otherPack),
        (Array("SQLite format 3\0".utf8), "is a database. Export what it holds as CSV."),
        ([0x7F, 0x45, 0x4C, 0x46], "is a program."),
    ]
}
