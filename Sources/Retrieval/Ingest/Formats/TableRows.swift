import Core

/// Writes the rows of a table so that each can be understood alone: with the names of its columns,
/// where the first row has such names.
struct TableRows {
    /// Cells of a row that are read; wider sheets are matrices of numbers.
    static let cellsMax = 500

    private var names: [String]?
    private var isFirst = true

    mutating func write(_ cells: [String], to builder: inout TextBuilder) throws {
        let cells = cells.prefix(Self.cellsMax).map { $0.trimmed() }
        guard cells.contains(where: { !$0.isEmpty }) else { return }
        defer { isFirst = false }
        if isFirst, Self.areNames(cells) {
            names = cells
            return try builder.row(cells)
        }
        guard let names else { return try builder.row(cells) }
        try builder.row(
            cells.enumerated().compactMap { place, cell in
                guard !cell.isEmpty else { return nil }
                let name = place < names.count ? names[place] : ""
                return name.isEmpty ? cell : "\(name): \(cell)"
            })
    }

    /// Two or more words or more, no two the same, and no number among them.
    private static func areNames(_ cells: [String]) -> Bool {
        let filled = cells.filter { !$0.isEmpty }
        return filled.count >= 2 && Set(filled).count == filled.count
            && filled.allSatisfy { $0.count <= 60 && $0.contains(where: \.isLetter) }
            && !filled.contains { Double($0) != nil }
    }
}
