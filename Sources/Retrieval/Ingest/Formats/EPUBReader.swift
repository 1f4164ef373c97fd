import Core

/// The text of a book (EPUB): its chapters in the order in which they are read.
enum EPUBReader {
    private static let chaptersMax = 5000

    static func read(_ archive: ZipArchive, _ budget: ReadingBudget) throws -> ExtractedText {
        guard let container = try archive.contents(of: "META-INF/container.xml") else {
            throw ZipArchive.damaged
        }
        var root: String?
        try MarkupEvents.readXML(container, budget) { name, attributes in
            if name == "rootfile", root == nil { root = attributes["full-path"] }
        }
        guard let root, let bytes = try archive.contents(of: root) else {
            throw ZipArchive.damaged
        }
        let package = try Package(bytes, budget)
        var builder = TextBuilder(budget)
        builder.title = package.title
        let folder = root.split(separator: "/").dropLast().map(String.init)
        for id in package.spine.prefix(chaptersMax) {
            guard let reference = package.files[id] else { continue }
            let plain = reference.prefix { $0 != "#" }.removingPercentEscapes
            let path = OfficeRelations.path(plain, in: folder)
            guard let page = try archive.contents(of: path) else { continue }
            let text = TextHygiene.clean(try TextDecoding.text(of: page, name: path))
            try builder.append(try HTMLReader.read(text, budget), under: 0)
        }
        return builder.finish()
    }

    /// What the package file says: files by identifier, and which are read in what order.
    private struct Package {
        var title = ""
        var files: [String: String] = [:]
        var spine: [String] = []

        init(_ bytes: [UInt8], _ budget: ReadingBudget) throws {
            var package = (title: "", files: [String: String](), spine: [String]())
            var isTitle = false
            try MarkupEvents.readXML(
                bytes, budget,
                open: { name, attributes in
                    isTitle = name == "title" && package.title.isEmpty
                    switch name {
                    case "item":
                        guard let id = attributes["id"], let href = attributes["href"],
                            attributes["media-type"]?.contains("html") == true
                        else { return }
                        package.files[id] = href
                    case "itemref": attributes["idref"].map { package.spine.append($0) }
                    default: break
                    }
                },
                close: { _ in isTitle = false }, text: { if isTitle { package.title += $0 } })
            (title, files, spine) = package
        }
    }
}

extension Substring {
    /// `a%20b` as `a b`; what is no escape stays.
    fileprivate var removingPercentEscapes: String {
        var bytes: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.first {
            let digits = rest.dropFirst().prefix(2)
            if byte == UInt8(ascii: "%"), digits.count == 2,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
