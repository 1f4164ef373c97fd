/// How much a template may ask for. Templates come with model files, so they are as untrusted as
/// those: past a limit there is a sentence, in bounded time and memory.
struct TemplateLimits: Sendable {
    /// The longest template known has 20 KB.
    var sourceBytesMax = 256 << 10
    /// Statements and expressions of a template.
    var nodesMax = 50_000
    /// Statements and expressions inside each other, when a template is read.
    var nestingMax = 48
    /// Statements, expressions and macros inside each other, when a template runs.
    var callDepthMax = 192
    /// What a rendering may do: one step for each node, and more for work on long texts and lists
    /// (`bytesPerStep`, `itemsPerStep`). About half a second, and 80 MB of texts at once.
    var stepsMax = 5_000_000
    var textBytesMax = 8 << 20
    var itemsMax = 200_000
    /// The sandbox of Jinja's own limit.
    var rangeMax = 100_000
    /// Lists and maps inside each other: the deepest JSON, and what is around it.
    var valueDepthMax = 160

    static let bytesPerStep = 16
}

/// Why a template could not be read or run, and where.
struct TemplateError: Error, Equatable {
    enum Kind: Equatable {
        /// The template is not Jinja, or does not fit into the limits.
        case syntax
        /// The template asks for what this subset does not have.
        case unsupported
        /// The template works on values it cannot work on.
        case evaluation
        /// The template said no, in its own words.
        case refused
        case limit
    }

    let kind: Kind
    let message: String
    var line: Int

    init(_ kind: Kind, _ message: String, line: Int = 0) {
        self.kind = kind
        self.message = message
        self.line = line
    }
}
