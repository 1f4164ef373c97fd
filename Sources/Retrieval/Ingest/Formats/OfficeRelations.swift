import Core

/// Which part of an Office file an identifier in another part stands for.
struct OfficeRelations {
    private var targets: [String: (kind: String, path: String)] = [:]

    /// Of the part at `path`; empty where it names no others.
    init(of path: String, in archive: ZipArchive, _ budget: ReadingBudget) throws {
        let parts = path.split(separator: "/").map(String.init)
        let folder = Array(parts.dropLast())
        let file = (folder + ["_rels", (parts.last ?? "") + ".rels"]).joined(separator: "/")
        guard let bytes = try archive.contents(of: file) else { return }
        var targets: [String: (kind: String, path: String)] = [:]
        try MarkupEvents.readXML(bytes, budget) { name, attributes in
            guard name == "Relationship", let id = attributes["Id"],
                let target = attributes["Target"], attributes["TargetMode"] != "External"
            else { return }
            let kind = attributes["Type"]?.split(separator: "/").last.map(String.init) ?? ""
            targets[id] = (kind, Self.path(target, in: folder))
        }
        self.targets = targets
    }

    /// The path of a part in the archive.
    subscript(id: String) -> String? { targets[id]?.path }

    /// The path of the first part of a kind, `notesSlide` for one.
    func first(_ kind: String) -> String? {
        targets.values.filter { $0.kind == kind }.map(\.path).min()
    }

    /// A reference as a path from the top of the archive.
    static func path(_ reference: String, in folder: [String]) -> String {
        var parts = reference.hasPrefix("/") ? [] : folder
        for part in reference.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(String(part)) }
        }
        return parts.joined(separator: "/")
    }
}
