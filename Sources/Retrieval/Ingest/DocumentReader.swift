import Core

/// Reads a file of any format that is known, and the files that are packed in it, within one budget.
struct DocumentReader {
    let budget: ReadingBudget

    init(_ budget: ReadingBudget) { self.budget = budget }

    /// Throws `unsupported` for what cannot be read, `invalid` for what is damaged or hostile,
    /// `tooLarge` and `timeout` where the budget is used up. The message is for who sent the file.
    func text(of bytes: [UInt8], name: String, mediaType: String) throws -> ExtractedText {
        let (format, archive) = try DocumentFormat.recognize(
            bytes, name: name, mediaType: mediaType, budget)
        // Before it is made scalars of, which take four times as much.
        guard !format.isText || bytes.count <= 4 * budget.limits.textMax else {
            throw budget.tooLong
        }
        try budget.checkTime()
        return switch format {
        case .plain: BlockReader(try clean(bytes, name), dialect: .plain).read()
        case .markdown: BlockReader(try clean(bytes, name), dialect: .markdown).read()
        case .html: try HTMLReader.read(try clean(bytes, name), budget)
        case .code: CodeReader.read(try clean(bytes, name))
        case .csv: try CSVReader.read(try TextDecoding.text(of: bytes, name: name), budget)
        case .json: try JSONReader.read(try utf8(bytes, name), budget)
        case .jsonLines: try JSONReader.readLines(try utf8(bytes, name), budget)
        case .mail: try MailReader.read(bytes, self)
        case .pdf: try PDFReader.read(bytes, name: name, budget)
        case .word: try WordReader.read(packed(archive, name), budget)
        case .openDocument: try OpenDocumentReader.read(packed(archive, name), budget)
        case .slides: try SlidesReader.read(packed(archive, name), budget)
        case .sheet: try SheetReader.read(packed(archive, name), budget)
        case .epub: try EPUBReader.read(packed(archive, name), budget)
        case .archive: try ArchiveReader.read(packed(archive, name), name: name, self)
        }
    }

    /// Formats that are archives are told by their bytes, so there is one.
    private func packed(_ archive: ZipArchive?, _ name: String) throws -> ZipArchive {
        guard let archive else { throw Failure(.invalid, "“\(name)” is no archive.") }
        return archive
    }

    private func clean(_ bytes: [UInt8], _ name: String) throws -> [Unicode.Scalar] {
        TextHygiene.clean(try TextDecoding.text(of: bytes, name: name))
    }

    private func utf8(_ bytes: [UInt8], _ name: String) throws -> [UInt8] {
        Array(try TextDecoding.text(of: bytes, name: name).utf8)
    }
}
