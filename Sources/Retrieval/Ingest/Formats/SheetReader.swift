import Core

/// The text of a spreadsheet (XLSX): a heading for each sheet that is not hidden, and its rows with
/// the names of their columns. Formulas count as what they came to when the file was saved.
struct SheetReader {
    private static let workbook = "xl/workbook.xml"

    private let strings: [String]
    private let dateStyles: Set<Int>
    private var builder: TextBuilder
    private let budget: ReadingBudget

    private var rows = TableRows()
    private var cells: [String] = []
    private var column = 0
    private var kind = ""
    private var style = 0
    private var value = ""
    private var isValue = false

    static func read(_ archive: ZipArchive, _ budget: ReadingBudget) throws -> ExtractedText {
        guard let bytes = try archive.contents(of: workbook) else { throw ZipArchive.damaged }
        let parts = try OfficeRelations(of: workbook, in: archive, budget)
        var sheets: [(name: String, path: String)] = []
        try MarkupEvents.readXML(bytes, budget) { name, attributes in
            guard name == "sheet", (attributes["state"] ?? "visible") == "visible",
                let path = attributes["r:id"].flatMap({ parts[$0] })
            else { return }
            sheets.append((attributes["name"] ?? "", path))
        }
        var reader = SheetReader(
            strings: try strings(archive, budget), dateStyles: try dateStyles(archive, budget),
            builder: TextBuilder(budget), budget: budget)
        for sheet in sheets {
            guard let bytes = try archive.contents(of: sheet.path) else { continue }
            try reader.builder.heading(sheet.name, level: 1)
            try reader.readSheet(bytes)
        }
        return reader.builder.finish()
    }

    private init(
        strings: [String], dateStyles: Set<Int>, builder: TextBuilder, budget: ReadingBudget
    ) {
        self.strings = strings
        self.dateStyles = dateStyles
        self.builder = builder
        self.budget = budget
    }

    /// The texts that cells name by number.
    private static func strings(
        _ archive: ZipArchive, _ budget: ReadingBudget
    ) throws -> [String] {
        guard let bytes = try archive.contents(of: "xl/sharedStrings.xml") else { return [] }
        var strings: [String] = []
        var isText = false
        // `rPh` says how a text is pronounced.
        try MarkupEvents.readXML(
            bytes, skipping: ["rPh"], budget,
            open: { name, _ in
                if name == "si" { strings.append("") }
                isText = name == "t"
            }, close: { _ in isText = false },
            text: { piece in
                guard isText, let last = strings.indices.last,
                    strings[last].utf8.count < cellBytesMax
                else { return }
                strings[last] += piece
            })
        return strings
    }

    /// Which cell formats show a number as a day.
    private static func dateStyles(
        _ archive: ZipArchive, _ budget: ReadingBudget
    ) throws -> Set<Int> {
        guard let bytes = try archive.contents(of: "xl/styles.xml") else { return [] }
        var dates: Set<Int> = Set(14...17).union([22])
        var styles: Set<Int> = []
        var count = 0
        var isCellFormats = false
        try MarkupEvents.readXML(
            bytes, budget,
            open: { name, attributes in
                let number = Int(attributes["numFmtId"] ?? "") ?? 0
                switch name {
                case "numFmt":
                    let code = attributes["formatCode"]?.lowercased() ?? ""
                    if code.contains("yy"), code.contains("m") { dates.insert(number) }
                case "cellXfs": isCellFormats = true
                case "xf" where isCellFormats:
                    if dates.contains(number) { styles.insert(count) }
                    count += 1
                default: break
                }
            }, close: { if $0 == "cellXfs" { isCellFormats = false } })
        return styles
    }

    // Excel takes 32,767 characters in a cell; what one text event brings is at most some more.
    private static let cellBytesMax = 4 * 32_767

    private mutating func readSheet(_ bytes: [UInt8]) throws {
        var reader = self
        reader.rows = TableRows()
        try MarkupEvents.readXML(
            bytes, skipping: ["rPh"], budget, open: { reader.opened($0, $1) },
            close: { try reader.closed($0) },
            text: { piece in
                if reader.isValue, reader.value.utf8.count < Self.cellBytesMax {
                    reader.value += piece
                }
            })
        reader.builder.separate()
        self = reader
    }

    private mutating func opened(_ name: String, _ attributes: [String: String]) {
        switch name {
        case "row": (cells, column) = ([], 0)
        case "c":
            column = attributes["r"].flatMap(Self.column) ?? column + 1
            kind = attributes["t"] ?? "n"
            style = Int(attributes["s"] ?? "") ?? 0
            value = ""
        case "v", "t": isValue = true
        default: break
        }
    }

    private mutating func closed(_ name: String) throws {
        switch name {
        case "v", "t": isValue = false
        case "c": finishCell()
        case "row": try rows.write(cells, to: &builder)
        default: break
        }
    }

    private mutating func finishCell() {
        guard (1...TableRows.cellsMax).contains(column), !value.isEmpty else { return }
        while cells.count < column { cells.append("") }
        cells[column - 1] = shown
    }

    private var shown: String {
        switch kind {
        case "s":
            guard let place = Int(value), strings.indices.contains(place) else { return "" }
            return strings[place]
        case "b": return value == "1" ? "TRUE" : "FALSE"
        case "n" where dateStyles.contains(style):
            return Double(value).flatMap(Self.day) ?? value
        default: return value
        }
    }

    /// `AB12` is column 28.
    private static func column(_ reference: String) -> Int? {
        var number = 0
        for byte in reference.utf8.prefix(4) where (0x41...0x5A).contains(byte) {
            number = number * 26 + Int(byte) - 0x40
        }
        return number > 0 ? number : nil
    }

    /// A day by its count since 1899-12-30 as `2024-05-17`; nil past the year 9999.
    static func day(_ serial: Double) -> String? {
        guard serial >= 61, serial < 2_958_466 else { return nil }
        // Days since 0000-03-01, cut into eras of 400 years (Hinnant's `civil_from_days`).
        let days = Int(serial) - 25_569 + 719_468
        let era = days / 146_097
        let ofEra = days % 146_097
        let year = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * year + year / 4 - year / 100)
        let shifted = (5 * ofYear + 2) / 153
        let day = ofYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(year + era * 400 + (month <= 2 ? 1 : 0))-\(two(month))-\(two(day))"
    }
}
