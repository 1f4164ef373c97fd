import Core

/// The text of an OpenDocument file: text (ODT), presentation (ODP), spreadsheet (ODS). Without
/// comments and what was deleted under revision.
struct OpenDocumentReader {
    /// Cells of a row; a spreadsheet repeats its last, empty one to the edge of the sheet.
    private static let cellsMax = 1000
    private static let spacesMax = 100

    private var builder: TextBuilder
    private var text: [String] = []
    private var levels: [Int] = []
    private var listDepth = 0
    /// One entry for each open table: the cells of its row.
    private var rows: [[String]] = []
    /// One entry for each open cell: its text, and how often it stands there.
    private var cells: [(text: String, count: Int)] = []
    private var pageCount = 0
    private var isSpreadsheet = false

    static func read(_ archive: ZipArchive, _ budget: ReadingBudget) throws -> ExtractedText {
        guard let bytes = try archive.contents(of: "content.xml") else { throw ZipArchive.damaged }
        var reader = OpenDocumentReader(builder: TextBuilder(budget))
        if let meta = try archive.contents(of: "meta.xml") {
            reader.builder.title = try title(meta, budget)
        }
        try MarkupEvents.readXML(
            bytes, skipping: ["annotation", "tracked-changes", "automatic-styles", "forms"], budget,
            open: { try reader.opened($0, $1) }, close: { try reader.closed($0) },
            text: { reader.add($0) })
        return reader.builder.finish()
    }

    private init(builder: TextBuilder) { self.builder = builder }

    private static func title(_ bytes: [UInt8], _ budget: ReadingBudget) throws -> String {
        var title = ""
        var isTitle = false
        try MarkupEvents.readXML(
            bytes, budget, open: { name, _ in isTitle = name == "title" },
            close: { _ in isTitle = false }, text: { if isTitle { title += $0 } })
        return title
    }

    private mutating func opened(_ name: String, _ attributes: [String: String]) throws {
        switch name {
        case "h", "p":
            text.append("")
            let level = Int(attributes["text:outline-level"] ?? "") ?? 1
            levels.append(name == "h" ? level : 0)
        case "s":
            let count = Int(attributes["text:c"] ?? "") ?? 1
            add(String(repeating: " ", count: min(max(1, count), Self.spacesMax)))
        case "tab": add("\t")
        case "line-break": add("\n")
        case "list": listDepth += 1
        case "spreadsheet": isSpreadsheet = true
        case "table":
            builder.separate()
            if rows.isEmpty, isSpreadsheet, let name = attributes["table:name"] {
                try builder.heading(name, level: 1)
            }
            rows.append([])
        case "table-row": if !rows.isEmpty { rows[rows.count - 1] = [] }
        case "table-cell", "covered-table-cell":
            let count = Int(attributes["table:number-columns-repeated"] ?? "") ?? 1
            cells.append(("", min(max(1, count), Self.cellsMax)))
        case "page":
            pageCount += 1
            try builder.heading("Slide \(pageCount)", level: 1)
        default: break
        }
    }

    private mutating func closed(_ name: String) throws {
        switch name {
        case "h", "p": try finishParagraph()
        case "list":
            listDepth = max(0, listDepth - 1)
            if listDepth == 0 { builder.separate() }
        case "table-cell", "covered-table-cell":
            guard let cell = cells.popLast(), !rows.isEmpty else { return }
            let room = max(0, Self.cellsMax - (rows.last?.count ?? 0))
            let copies = cell.text.isEmpty ? cell.count : 1
            rows[rows.count - 1] += Array(repeating: cell.text, count: min(copies, room))
        case "table-row": try finishRow()
        case "table":
            rows = rows.dropLast()
            builder.separate()
        default: break
        }
    }

    private mutating func finishRow() throws {
        guard var row = rows.last else { return }
        while row.last?.trimmed().isEmpty == true { row.removeLast() }
        if rows.count == 1 {
            try builder.row(row)
        } else if !cells.isEmpty {
            cells[cells.count - 1].text += row.joined(separator: " | ") + " "
        }
        rows[rows.count - 1] = []
    }

    private mutating func finishParagraph() throws {
        guard let words = text.popLast(), let level = levels.popLast() else { return }
        if !cells.isEmpty {
            cells[cells.count - 1].text += words + " "
        } else if level > 0 {
            try builder.heading(words, level: level)
        } else if listDepth > 0 {
            try builder.item(words, depth: listDepth - 1)
        } else {
            try builder.paragraph(words)
        }
    }

    private mutating func add(_ words: String) {
        guard !text.isEmpty else { return }
        // White space of the file is one space; more of it has elements of its own.
        text[text.count - 1] += words
    }
}
