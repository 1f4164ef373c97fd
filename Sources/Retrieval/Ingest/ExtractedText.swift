/// A document as text, and the blocks it is made of in order.
struct ExtractedText: Sendable {
    /// What the document calls itself; nil where it does not.
    var title: String?
    var scalars: [Unicode.Scalar]
    var blocks: [Block]
    /// In order; empty for what has none.
    var pages: [Page]

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

    init(
        title: String? = nil, scalars: [Unicode.Scalar], blocks: [Block], pages: [Page] = []
    ) {
        self.title = title
        self.scalars = scalars
        self.blocks = blocks
        self.pages = pages
    }

    /// Where a page begins, in scalars; nil is where what has pages ends.
    struct Page: Equatable, Sendable {
        let start: Int
        let name: String?
    }

    /// The page that holds the range, or the first and the last: `Page 3 – Page 4`.
    func pageNames(in range: Range<Int>) -> String? {
        guard let first = pageName(at: range.lowerBound) else { return nil }
        guard let last = pageName(at: max(range.lowerBound, range.upperBound - 1)), last != first
        else { return first }
        return "\(first) – \(last)"
    }

    /// The name of the page that holds the scalar at `place`; nil where there are no pages.
    func pageName(at place: Int) -> String? {
        // The last that begins at or before it, by halves: a book has thousands.
        var (low, high) = (0, pages.count)
        while low < high {
            let middle = (low + high) / 2
            if pages[middle].start <= place { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? pages[low - 1].name : nil
    }
}

extension String {
    init(_ scalars: some Sequence<Unicode.Scalar>) {
        var view = UnicodeScalarView()
        view.append(contentsOf: scalars)
        self.init(view)
    }
}
