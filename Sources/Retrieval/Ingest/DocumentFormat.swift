import Core

/// The kinds of file that can be read.
enum DocumentFormat: String, Sendable, CaseIterable {
    case plain, markdown, html, code, csv, json, jsonLines, mail
    case pdf, word, openDocument, slides, sheet, epub, archive

    /// What the bytes are. They have the word where they begin like a file of a certain kind, the
    /// label where they do not. Throws `unsupported` with what can be done where the file cannot be
    /// read, or is not what its name says.
    init(of bytes: [UInt8], name: String, mediaType: String) throws {
        self = try Self.recognize(bytes, name: name, mediaType: mediaType, ReadingBudget()).0
    }

    /// The same with the archive that the file is, so that its directory is read once.
    static func recognize(
        _ bytes: [UInt8], name: String, mediaType: String, _ budget: ReadingBudget
    ) throws -> (DocumentFormat, ZipArchive?) {
        if let found = try FileSignature.format(of: bytes, name: name, budget) { return found }
        let label = try DocumentFormat(name: name, mediaType: mediaType)
        if label == .pdf, PDFReader.isPDF(bytes) { return (label, nil) }
        guard !label.isBinary else {
            throw Failure(
                .unsupported,
                "“\(name)” is not \(label.article) file, whatever its name says. Save it again in the"
                    + " program that made it.")
        }
        return (label, nil)
    }

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
            .unsupported, "\(what) cannot be read. \(Self.offer)",
            cause: "media type \(type.prefix(80))")
    }

    static let offer =
        "Upload PDF, Word (.docx), PowerPoint (.pptx), Excel (.xlsx), OpenDocument, EPUB, HTML,"
        + " Markdown, plain text, CSV, JSON, e-mail (.eml), source code, or a ZIP of these."

    var mediaType: String {
        switch self {
        case .plain: "text/plain"
        case .markdown: "text/markdown"
        case .html: "text/html"
        case .code: "text/x-source"
        case .csv: "text/csv"
        case .json: "application/json"
        case .jsonLines: "application/jsonl"
        case .mail: "message/rfc822"
        case .pdf: "application/pdf"
        case .word: Self.office + "wordprocessingml.document"
        case .slides: Self.office + "presentationml.presentation"
        case .sheet: Self.office + "spreadsheetml.sheet"
        case .openDocument: "application/vnd.oasis.opendocument.text"
        case .epub: "application/epub+zip"
        case .archive: "application/zip"
        }
    }

    private static let office = "application/vnd.openxmlformats-officedocument."

    /// Formats that say in their first bytes what they are.
    var isBinary: Bool {
        switch self {
        case .pdf, .word, .openDocument, .slides, .sheet, .epub, .archive: true
        default: false
        }
    }

    /// Formats that are text as a whole; an e-mail may have each part in another character set.
    var isText: Bool { !isBinary && self != .mail }

    private var article: String {
        switch self {
        case .pdf: "a PDF"
        case .word: "a Word"
        case .slides: "a PowerPoint"
        case .sheet: "an Excel"
        case .openDocument: "an OpenDocument"
        case .epub: "an EPUB"
        default: "a ZIP"
        }
    }

    private static let extensions: [String: DocumentFormat] = {
        var formats: [String: DocumentFormat] = [
            "txt": .plain, "text": .plain, "log": .plain, "rst": .plain, "adoc": .plain,
            "org": .plain, "md": .markdown, "markdown": .markdown, "mdown": .markdown,
            "mkd": .markdown, "html": .html, "htm": .html, "xhtml": .html, "csv": .csv,
            "tsv": .csv, "json": .json, "geojson": .json, "ipynb": .json, "jsonl": .jsonLines,
            "ndjson": .jsonLines, "eml": .mail, "pdf": .pdf, "docx": .word, "docm": .word,
            "dotx": .word, "odt": .openDocument, "ods": .openDocument, "odp": .openDocument,
            "pptx": .slides, "ppsx": .slides, "xlsx": .sheet, "xlsm": .sheet, "epub": .epub,
            "zip": .archive,
        ]
        for suffix in sourceExtensions.split(separator: " ") { formats[String(suffix)] = .code }
        return formats
    }()

    private static let sourceExtensions = """
        swift c h cc cpp cxx hpp hh m mm rs go java kt kts scala groovy py pyi rb pl pm php js mjs cjs \
        jsx ts tsx vue svelte css scss less sql sh bash zsh fish ps1 bat lua r jl hs ml mli fs fsx cs \
        vb ex exs erl clj cljs lisp el dart zig nim d asm s tf hcl proto graphql gradle cmake mk diff \
        patch tex bib yaml yml toml ini cfg conf properties xml xsd xsl plist
        """

    private static let mediaTypes: [String: DocumentFormat] = {
        var types: [String: DocumentFormat] = [
            "text/x-markdown": .markdown, "application/xhtml+xml": .html,
            "application/x-ndjson": .jsonLines, "application/x-zip-compressed": .archive,
            "application/vnd.oasis.opendocument.spreadsheet": .openDocument,
            "application/vnd.oasis.opendocument.presentation": .openDocument,
            "text/tab-separated-values": .csv, "text/xml": .code, "application/xml": .code,
            "application/javascript": .code, "text/javascript": .code, "text/css": .code,
            "application/yaml": .code,
        ]
        for format in allCases { types[format.mediaType] = format }
        return types
    }()

    /// Extensions that stand for something else, whatever type the sender claims.
    private static let otherwise: Set<String> = [
        "doc", "rtf", "xls", "ppt", "pages", "numbers", "key", "mobi", "azw3", "djvu", "msg", "gz",
        "tar", "tgz", "bz2", "xz", "7z", "rar", "png", "jpg", "jpeg", "gif", "webp", "svg", "tiff",
        "heic", "bmp", "mp3", "mp4", "wav", "mov", "avi", "mkv", "exe", "dll", "so", "bin", "db",
        "sqlite", "jar", "class", "pyc", "o", "a", "iso", "dmg",
    ]

    private static func fileExtension(of name: String) -> String? {
        let file = name.split(separator: "/").last.map(String.init) ?? name
        guard let dot = file.lastIndex(of: "."), dot != file.startIndex else { return nil }
        let suffix = file[file.index(after: dot)...].lowercased()
        let isPlausible = (1...12).contains(suffix.count) && !suffix.contains { $0.isWhitespace }
        return isPlausible ? suffix : nil
    }
}
