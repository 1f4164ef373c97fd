/// A text of a template that knows, byte for byte, whether the template wrote it (trusted) or it
/// came from outside. UTF-8, always cut between characters.
struct TemplateText: Sendable {
    private(set) var bytes: [UInt8]
    /// Whether the first byte is trusted.
    private var beginsTrusted: Bool
    /// Where trust changes to its opposite: ascending, inside the text. Empty for most texts, so
    /// that a text is one allocation.
    var borders: [Int] = []

    init() { self.init(bytes: [], isTrusted: true) }

    init(_ text: String, isTrusted: Bool) {
        self.init(bytes: Array(text.utf8), isTrusted: isTrusted)
    }

    init(bytes: [UInt8], isTrusted: Bool) {
        self.bytes = bytes
        beginsTrusted = isTrusted
    }

    /// What the template says.
    static func own(_ text: String) -> TemplateText { TemplateText(text, isTrusted: true) }

    var count: Int { bytes.count }
    var isEmpty: Bool { bytes.isEmpty }
    var string: String { String(decoding: bytes, as: UTF8.self) }

    /// False when any byte came from outside.
    var isTrusted: Bool { borders.isEmpty && (beginsTrusted || isEmpty) }

    private var endsTrusted: Bool { beginsTrusted == borders.count.isMultiple(of: 2) }

    mutating func append(_ other: TemplateText) {
        guard !other.isEmpty else { return }
        guard !isEmpty else {
            self = other
            return
        }
        if endsTrusted != other.beginsTrusted { borders.append(count) }
        for border in other.borders { borders.append(count + border) }
        bytes.append(contentsOf: other.bytes)
    }

    mutating func append(_ other: some Collection<UInt8>, isTrusted: Bool) {
        guard !other.isEmpty else { return }
        if isEmpty {
            beginsTrusted = isTrusted
        } else if endsTrusted != isTrusted {
            borders.append(count)
        }
        bytes.append(contentsOf: other)
    }

    /// Appends a part of another text.
    mutating func append(_ other: TemplateText, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        guard !other.borders.isEmpty else {
            return append(other.bytes[range], isTrusted: other.beginsTrusted)
        }
        other.forEachRun(in: range) { append(other.bytes[$0], isTrusted: $1) }
    }

    subscript(range: Range<Int>) -> TemplateText {
        if range == 0..<count { return self }
        var part = TemplateText()
        part.append(self, range)
        return part
    }

    func isTrusted(at offset: Int) -> Bool {
        borders.isEmpty ? beginsTrusted : beginsTrusted == runIndex(of: offset).isMultiple(of: 2)
    }

    /// The runs of one trust each.
    var segments: [TextSegment] {
        var segments: [TextSegment] = []
        forEachRun(in: 0..<count) { range, isTrusted in
            segments.append(
                TextSegment(String(decoding: bytes[range], as: UTF8.self), isTrusted: isTrusted))
        }
        return segments
    }

    /// Every run of one trust, in order.
    func forEachRun(in range: Range<Int>, _ body: (Range<Int>, Bool) -> Void) {
        guard !range.isEmpty else { return }
        var run = runIndex(of: range.lowerBound)
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(run < borders.count ? borders[run] : count, range.upperBound)
            body(start..<end, beginsTrusted == run.isMultiple(of: 2))
            start = end
            run += 1
        }
    }

    /// Each run changed on its own, so that trust stays where it was.
    func mapRuns(_ change: (String) -> String) -> TemplateText {
        var result = TemplateText()
        forEachRun(in: 0..<count) { range, isTrusted in
            let changed = change(String(decoding: bytes[range], as: UTF8.self))
            result.append(Array(changed.utf8), isTrusted: isTrusted)
        }
        return result
    }

    var lowercased: TemplateText { changingCase(65...90, flip: 32) { $0.lowercased() } }
    var uppercased: TemplateText { changingCase(97...122, flip: 32) { $0.uppercased() } }

    private func changingCase(
        _ letters: ClosedRange<UInt8>, flip: UInt8, _ change: (String) -> String
    ) -> TemplateText {
        guard isASCII else { return mapRuns(change) }
        var result = self
        result.bytes = bytes.map { letters.contains($0) ? $0 ^ flip : $0 }
        return result
    }

    private func runIndex(of offset: Int) -> Int {
        var low = 0
        var high = borders.count
        while low < high {
            let middle = (low + high) / 2
            if borders[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Texts are the same when they read the same, whoever wrote them.
extension TemplateText: Hashable {
    static func == (left: TemplateText, right: TemplateText) -> Bool { left.bytes == right.bytes }
    func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
}

extension TemplateText: Comparable {
    /// By code point, which is the order of UTF-8.
    static func < (left: TemplateText, right: TemplateText) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }
}
