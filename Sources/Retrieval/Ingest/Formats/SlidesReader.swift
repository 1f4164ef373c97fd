import Core

/// The text of a presentation (PPTX): a heading for each slide with its number and title, then its
/// text, tables and notes. Slides that are hidden are left out.
struct SlidesReader {
    private static let presentation = "ppt/presentation.xml"

    private var lines: [String] = []
    private var titles: [String] = []
    private var rows: [[String]] = []
    private var row: [String] = []
    private var text = ""
    private var isTitle = false
    private var isNumber = false
    private var isCell = false
    private var cell = ""
    private var isHidden = false

    static func read(_ archive: ZipArchive, _ budget: ReadingBudget) throws -> ExtractedText {
        guard let bytes = try archive.contents(of: presentation) else { throw ZipArchive.damaged }
        let parts = try OfficeRelations(of: presentation, in: archive, budget)
        var slides: [String] = []
        try MarkupEvents.readXML(bytes, budget) { name, attributes in
            if name == "sldId", let path = attributes["r:id"].flatMap({ parts[$0] }) {
                slides.append(path)
            }
        }
        var builder = TextBuilder(budget)
        for (place, path) in slides.enumerated() {
            let slide = try SlidesReader.part(path, in: archive, budget)
            guard !slide.isHidden else { continue }
            let notes = try OfficeRelations(of: path, in: archive, budget).first("notesSlide")
            let spoken = try notes.map { try SlidesReader.part($0, in: archive, budget).lines }
            try slide.write(number: place + 1, notes: spoken ?? [], to: &builder)
        }
        return builder.finish()
    }

    private static func part(
        _ path: String, in archive: ZipArchive, _ budget: ReadingBudget
    ) throws -> SlidesReader {
        guard let bytes = try archive.contents(of: path) else { throw ZipArchive.damaged }
        var reader = SlidesReader()
        try MarkupEvents.readXML(
            bytes, skipping: ["Fallback"], budget, open: { reader.opened($0, $1) },
            close: { reader.closed($0) }, text: { reader.read($0) })
        return reader
    }

    private var isRun = false

    private mutating func opened(_ name: String, _ attributes: [String: String]) {
        switch name {
        case "sld": isHidden = attributes["show"] == "0"
        case "sp": (isTitle, isNumber) = (false, false)
        case "ph":
            let kind = attributes["type"] ?? ""
            isTitle = kind == "title" || kind == "ctrTitle"
            isNumber = ["sldNum", "dt", "ftr", "hdr", "sldImg"].contains(kind)
        case "p": text = ""
        case "t": isRun = true
        case "br": text += " "
        case "tr": row = []
        case "tc": (isCell, cell) = (true, "")
        default: break
        }
    }

    private mutating func closed(_ name: String) {
        switch name {
        case "t": isRun = false
        case "p":
            if isCell {
                cell += text + " "
            } else if isTitle {
                titles.append(text)
            } else if !isNumber, !text.trimmed().isEmpty {
                lines.append(text)
            }
            text = ""
        case "tc":
            isCell = false
            row.append(cell)
        case "tr": rows.append(row)
        case "sp": (isTitle, isNumber) = (false, false)
        default: break
        }
    }

    private mutating func read(_ words: String) {
        if isRun { text += words }
    }

    private func write(number: Int, notes: [String], to builder: inout TextBuilder) throws {
        let title = titles.joined(separator: " ").trimmed()
        try builder.heading(
            title.isEmpty ? "Slide \(number)" : "Slide \(number): \(title)", level: 1)
        for line in lines { try builder.item(line) }
        builder.separate()
        for row in rows { try builder.row(row) }
        builder.separate()
        for note in notes { try builder.paragraph(note) }
    }
}
