/// A document as text, and the blocks it is made of in order.
struct ExtractedText: Sendable {
    /// What the document calls itself; nil where it does not.
    var title: String?
    var scalars: [Unicode.Scalar]
    var blocks: [Block]

    /// A piece of the text that belongs together; `range` counts scalars.
    struct Block: Equatable, Sendable {
        enum Kind: Equatable, Sendable {
            case heading(level: Int)
            case paragraph
            /// Lines that each begin an item with a marker or go on with the one before.
            case list
            /// A line for each row.
            case table
            /// Lines as they are: code, drawings, logs.
            case code

            var isHeading: Bool { if case .heading = self { true } else { false } }
        }

        var kind: Kind
        var range: Range<Int>
    }

    var string: String { string(0..<scalars.count) }

    func string(_ range: Range<Int>) -> String { String(scalars[range]) }

    /// Reads clean text of a format. Throws `invalid` for HTML that is nested past all reason.
    init(_ text: [Unicode.Scalar], format: DocumentFormat) throws {
        switch format {
        case .plain: self = BlockReader(text, dialect: .plain).read()
        case .markdown: self = BlockReader(text, dialect: .markdown).read()
        case .html: self = try HTMLReader.read(text)
        }
    }

    init(title: String? = nil, scalars: [Unicode.Scalar], blocks: [Block]) {
        self.title = title
        self.scalars = scalars
        self.blocks = blocks
    }
}

extension String {
    init(_ scalars: some Sequence<Unicode.Scalar>) {
        var view = UnicodeScalarView()
        view.append(contentsOf: scalars)
        self.init(view)
    }
}
