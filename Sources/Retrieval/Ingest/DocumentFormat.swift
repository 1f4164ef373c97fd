import Core

/// The kinds of file that can be read.
enum DocumentFormat: String, Sendable {
    case plain, markdown, html

    /// By the name's extension, and by the media type where the name has none. Throws `unsupported`
    /// with what can be read instead.
    init(name: String, mediaType: String) throws {
        let suffix = Self.fileExtension(of: name)
        let type = mediaType.prefix { $0 != ";" }.lowercased().filter { !$0.isWhitespace }
        if let format = suffix.flatMap({ Self.extensions[$0] }) {
            self = format
            return
        }
        // A name such as `notes.v2` has an extension that says nothing: then the sender decides.
        if !Self.otherwise.contains(suffix ?? ""), let format = Self.mediaTypes[type] {
            self = format
            return
        }
        // `README` from the command line: nothing speaks against text, and bytes that are not are
        // refused when they are decoded.
        if suffix == nil, type.isEmpty {
            self = .plain
            return
        }
        let what = suffix.map { "“.\($0)” files" } ?? "A file of this type"
        throw Failure(
            .unsupported,
            "\(what) cannot be read. Upload plain text (.txt), Markdown (.md) or HTML (.html).",
            cause: "media type \(type.prefix(80))")
    }

    var mediaType: String {
        switch self {
        case .plain: "text/plain"
        case .markdown: "text/markdown"
        case .html: "text/html"
        }
    }

    private static let extensions: [String: DocumentFormat] = [
        "txt": .plain, "text": .plain, "log": .plain, "rst": .plain, "adoc": .plain, "org": .plain,
        "md": .markdown, "markdown": .markdown, "mdown": .markdown, "mkd": .markdown,
        "html": .html, "htm": .html, "xhtml": .html,
    ]

    private static let mediaTypes: [String: DocumentFormat] = [
        "text/plain": .plain, "text/markdown": .markdown, "text/x-markdown": .markdown,
        "text/html": .html, "application/xhtml+xml": .html,
    ]

    /// Extensions that stand for something else, whatever type the sender claims.
    private static let otherwise: Set<String> = [
        "pdf", "doc", "docx", "odt", "rtf", "xls", "xlsx", "ods", "csv", "ppt", "pptx", "odp",
        "epub", "zip", "gz", "tar", "7z", "rar", "png", "jpg", "jpeg", "gif", "webp", "svg", "tiff",
        "mp3", "mp4", "wav", "mov", "avi", "exe", "dll", "so", "bin", "db", "sqlite", "json", "xml",
        "yaml", "yml",
    ]

    private static func fileExtension(of name: String) -> String? {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
        let suffix = name[name.index(after: dot)...].lowercased()
        let isPlausible = (1...12).contains(suffix.count) && !suffix.contains { $0.isWhitespace }
        return isPlausible ? suffix : nil
    }
}
