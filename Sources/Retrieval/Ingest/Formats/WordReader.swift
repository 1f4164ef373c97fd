import Core

/// The text of a Word document (DOCX): headings, paragraphs, lists, tables and notes, without what
/// was deleted under revision or formatted as hidden.
struct WordReader {
    private struct Paragraph {
        var text = ""
        var style = ""
        var isItem = false
        var depth = 0
    }

    private enum Role {
        case title
        case heading(Int)
        case text
    }

    private var builder: TextBuilder
    private let archive: ZipArchive
    private let budget: ReadingBudget
    private var roles: [String: Role] = [:]

    private var paragraphs: [Paragraph] = []
    private var cells: [[String]] = []
    private var cell: [String] = []
    private var runDepth = 0
    private var isHidden = false
    private var isText = false

    static func read(_ archive: ZipArchive, _ budget: ReadingBudget) throws -> ExtractedText {
        var reader = WordReader(archive, budget)
        try reader.readStyles()
        try reader.readPart("word/document.xml", isNeeded: true)
        try reader.readPart("word/footnotes.xml", isNeeded: false)
        try reader.readPart("word/endnotes.xml", isNeeded: false)
        return reader.builder.finish()
    }

    private init(_ archive: ZipArchive, _ budget: ReadingBudget) {
        self.archive = archive
        self.budget = budget
        builder = TextBuilder(budget)
    }

    /// A style's identifier is in the language of who wrote it, its name is English everywhere.
    private mutating func readStyles() throws {
        guard let bytes = try archive.contents(of: "word/styles.xml") else { return }
        var style = ""
        var roles: [String: Role] = [:]
        try MarkupEvents.readXML(bytes, budget) { name, attributes in
            let value = attributes["w:val"] ?? ""
            switch name {
            case "style": style = attributes["w:styleId"] ?? ""
            case "name" where value.lowercased() == "title": roles[style] = .title
            case "name" where value.lowercased().hasPrefix("heading "):
                if let level = Int(value.dropFirst(8)) { roles[style] = .heading(level) }
            case "outlineLvl" where roles[style] == nil && !style.isEmpty:
                if let level = Int(value), (0...8).contains(level) {
                    roles[style] = .heading(level + 1)
                }
            default: break
            }
        }
        self.roles = roles
    }

    private mutating func readPart(_ name: String, isNeeded: Bool) throws {
        guard let bytes = try archive.contents(of: name) else {
            if isNeeded { throw ZipArchive.damaged }
            return
        }
        var reader = self
        (reader.paragraphs, reader.cells, reader.cell) = ([], [], [])
        try MarkupEvents.readXML(
            bytes, skipping: ["Fallback", "del", "moveFrom", "instrText"], budget,
            open: { try reader.opened($0, $1) }, close: { try reader.closed($0) },
            text: { reader.read($0) })
        self = reader
    }

    private mutating func opened(_ name: String, _ attributes: [String: String]) throws {
        switch name {
        case "p": paragraphs.append(Paragraph())
        case "r": (runDepth, isHidden) = (runDepth + 1, false)
        case "t": isText = true
        case "tab": if runDepth > 0 { add("\t") }
        case "br", "cr": add("\n")
        case "noBreakHyphen": add("-")
        case "vanish", "webHidden", "specVanish":
            if runDepth > 0, !["0", "false"].contains(attributes["w:val"] ?? "") {
                isHidden = true
            }
        case "sz":
            // Half points: a point and less is not there to be read.
            if runDepth > 0, let size = Int(attributes["w:val"] ?? ""), size <= 2 {
                isHidden = true
            }
        case "pStyle": change { $0.style = attributes["w:val"] ?? "" }
        case "ilvl": change { $0.depth = Int(attributes["w:val"] ?? "") ?? 0 }
        case "numId": change { $0.isItem = attributes["w:val"] != "0" }
        case "tbl":
            if cells.isEmpty { builder.separate() }
            cells.append([])
        case "tr": if !cells.isEmpty { cells[cells.count - 1] = [] }
        case "tc": cell.append("")
        default: break
        }
    }

    private mutating func closed(_ name: String) throws {
        switch name {
        case "p": try finishParagraph()
        case "r": (runDepth, isHidden) = (max(0, runDepth - 1), false)
        case "t": isText = false
        case "tc":
            let text = cell.popLast() ?? ""
            if !cells.isEmpty { cells[cells.count - 1].append(text) }
        case "tr": try finishRow()
        case "tbl":
            cells = cells.dropLast()
            builder.separate()
        default: break
        }
    }

    /// A row of a table inside a cell is text of that cell.
    private mutating func finishRow() throws {
        guard let row = cells.last else { return }
        if cells.count == 1 {
            try builder.row(row)
        } else if !cell.isEmpty {
            cell[cell.count - 1] += row.joined(separator: " | ") + " "
        }
        cells[cells.count - 1] = []
    }

    private mutating func finishParagraph() throws {
        guard let paragraph = paragraphs.popLast() else { return }
        if !cell.isEmpty {
            cell[cell.count - 1] += paragraph.text + " "
            return
        }
        switch roles[paragraph.style] ?? .text {
        case .title:
            if builder.title == nil { builder.title = paragraph.text }
            try builder.heading(paragraph.text, level: 1)
        case .heading(let level): try builder.heading(paragraph.text, level: level)
        case .text where paragraph.isItem:
            try builder.item(paragraph.text, depth: paragraph.depth)
        case .text: try builder.paragraph(paragraph.text)
        }
    }

    private mutating func read(_ text: String) {
        if isText { add(text) }
    }

    private mutating func add(_ text: String) {
        if !isHidden { change { $0.text += text } }
    }

    private mutating func change(_ body: (inout Paragraph) -> Void) {
        if !paragraphs.isEmpty { body(&paragraphs[paragraphs.count - 1]) }
    }
}
