/// A text of a template that knows, byte for byte, whether the template wrote it (trusted) or it
/// came from outside. UTF-8, always cut between characters.
struct TemplateText: Sendable {
    private(set) var bytes: [UInt8]
    /// Whether the first byte is trusted.
    private var beginsTrusted: Bool
    /// Where trust changes to its opposite: ascending, inside the text. Empty for most texts, so
    /// that a text is one allocation.
    private var borders: [Int] = []

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

/// What Python's `str` does, on code points.
extension TemplateText {
    var isASCII: Bool { bytes.allSatisfy { $0 < 0x80 } }

    var codePointCount: Int { bytes.reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) } }

    /// Where each code point begins, and the end.
    var codePointOffsets: [Int] {
        var offsets = bytes.indices.filter { bytes[$0] & 0xC0 != 0x80 }
        offsets.append(count)
        return offsets
    }

    var codePoints: [TemplateText] {
        let offsets = codePointOffsets
        return zip(offsets, offsets.dropFirst()).map { self[$0..<$1] }
    }

    /// Where `part` first is at or after `start`. An empty part is at `start`. Takes time by the sum
    /// of both lengths: where parts that begin alike get in the way, it turns to Knuth, Morris and
    /// Pratt.
    func offset(of part: [UInt8], from start: Int = 0) -> Int? {
        guard let first = part.first else { return start <= count ? start : nil }
        guard part.count <= count else { return nil }
        return bytes.withUnsafeBufferPointer { bytes in
            part.withUnsafeBufferPointer { part in
                var place = start
                var compared = 0
                let last = bytes.count - part.count
                while place <= last {
                    if bytes[place] == first {
                        var matched = 1
                        while matched < part.count, bytes[place + matched] == part[matched] {
                            matched += 1
                        }
                        if matched == part.count { return place }
                        compared += matched
                        if compared > 8 * (place - start) + 1024 {
                            return Self.offset(of: part, in: bytes, from: place)
                        }
                    }
                    place += 1
                }
                return nil
            }
        }
    }

    private static func offset(
        of part: UnsafeBufferPointer<UInt8>, in bytes: UnsafeBufferPointer<UInt8>, from start: Int
    ) -> Int? {
        // For every prefix the length of the longest one that it ends in.
        var borders = [0]
        borders.reserveCapacity(part.count)
        var matched = 0
        for place in part.indices.dropFirst() {
            while matched > 0, part[place] != part[matched] { matched = borders[matched - 1] }
            if part[place] == part[matched] { matched += 1 }
            borders.append(matched)
        }
        matched = 0
        for place in start..<bytes.count {
            while matched > 0, bytes[place] != part[matched] { matched = borders[matched - 1] }
            if bytes[place] == part[matched] { matched += 1 }
            if matched == part.count { return place + 1 - matched }
        }
        return nil
    }

    func lastOffset(of part: [UInt8]) -> Int? {
        var place = count - part.count
        while place >= 0 {
            if bytes[place..<place + part.count].elementsEqual(part) { return place }
            place -= 1
        }
        return nil
    }

    func hasPrefix(_ part: TemplateText) -> Bool { bytes.starts(with: part.bytes) }
    func hasSuffix(_ part: TemplateText) -> Bool {
        part.count <= count && bytes[(count - part.count)...].elementsEqual(part.bytes)
    }

    enum Side { case start, end, both }

    /// Without white space, or without the given characters, at its ends.
    func trimmed(_ side: Side = .both, of characters: TemplateText? = nil) -> TemplateText {
        let unwanted = characters.map { Set($0.string.unicodeScalars) }
        func isUnwanted(_ scalar: Unicode.Scalar) -> Bool {
            unwanted?.contains(scalar) ?? Self.isSpace(scalar)
        }
        var start = 0
        var end = count
        if side != .end {
            while start < end {
                let (scalar, length) = scalar(at: start)
                guard isUnwanted(scalar) else { break }
                start += length
            }
        }
        if side != .start {
            while end > start {
                var last = end - 1
                while last > start, bytes[last] & 0xC0 == 0x80 { last -= 1 }
                guard isUnwanted(scalar(at: last).0) else { break }
                end = last
            }
        }
        return self[start..<end]
    }

    /// Python's `str.split`: at white space and without empty parts where there is no separator.
    func split(_ separator: TemplateText? = nil, max: Int = .max) -> [TemplateText] {
        guard let separator, !separator.isEmpty else { return splitAtSpace(max: max) }
        var parts: [TemplateText] = []
        var start = 0
        while parts.count < max, let next = offset(of: separator.bytes, from: start) {
            parts.append(self[start..<next])
            start = next + separator.count
        }
        parts.append(self[start..<count])
        return parts
    }

    /// The same from the end.
    func splitFromEnd(_ separator: TemplateText, max: Int) -> [TemplateText] {
        let parts = split(separator)
        guard max >= 0, parts.count - 1 > max else { return parts }
        let joined = parts.dropLast(max).map(\.count).reduce(0, +)
        let head = joined + (parts.count - max - 1) * separator.count
        return [self[0..<head]] + parts.suffix(max)
    }

    private func splitAtSpace(max: Int) -> [TemplateText] {
        var parts: [TemplateText] = []
        var place = 0
        while true {
            while place < count, Self.isSpace(scalar(at: place).0) {
                place += scalar(at: place).1
            }
            guard place < count else { return parts }
            if parts.count >= max {
                parts.append(self[place..<count].trimmed(.end))
                return parts
            }
            let start = place
            while place < count, !Self.isSpace(scalar(at: place).0) {
                place += scalar(at: place).1
            }
            parts.append(self[start..<place])
        }
    }

    /// Python's `str.splitlines`.
    var lines: [TemplateText] {
        var lines: [TemplateText] = []
        var start = 0
        var place = 0
        while place < count {
            let (scalar, length) = scalar(at: place)
            guard Self.isLineBreak(scalar) else {
                place += length
                continue
            }
            lines.append(self[start..<place])
            place += length
            if scalar == "\r", place < count, bytes[place] == UInt8(ascii: "\n") { place += 1 }
            start = place
        }
        if start < count { lines.append(self[start..<count]) }
        return lines
    }

    /// Replaces up to `max` occurrences; an empty `old` is between all code points.
    func replacing(_ old: TemplateText, with new: TemplateText, max: Int = .max) -> TemplateText {
        var result = TemplateText()
        var done = 0
        if old.isEmpty {
            for point in codePoints {
                if done < max { result.append(new) }
                done += 1
                result.append(point)
            }
            if done < max { result.append(new) }
            return result
        }
        var start = 0
        while done < max, let next = offset(of: old.bytes, from: start) {
            result.append(self, start..<next)
            result.append(new)
            start = next + old.count
            done += 1
        }
        if done == 0 { return self }
        result.append(self, start..<count)
        return result
    }

    func occurrences(of part: TemplateText) -> Int {
        guard !part.isEmpty else { return codePointCount + 1 }
        var found = 0
        var start = 0
        while let next = offset(of: part.bytes, from: start) {
            found += 1
            start = next + part.count
        }
        return found
    }

    var lowercased: TemplateText { changingCase(65...90, flip: 32) { $0.lowercased() } }
    var uppercased: TemplateText { changingCase(97...122, flip: 32) { $0.uppercased() } }

    /// The first character in upper case and the rest in lower case.
    var capitalized: TemplateText {
        guard let end = codePointOffsets.dropFirst().first else { return self }
        var result = self[0..<end].uppercased
        result.append(self[end..<count].lowercased)
        return result
    }

    /// Every word capitalized. A word follows anything `isBreak` is true for.
    func titled(_ isBreak: (Unicode.Scalar) -> Bool) -> TemplateText {
        var result = TemplateText()
        var isStart = true
        var place = 0
        while place < count {
            let (scalar, length) = scalar(at: place)
            let isBorder = isBreak(scalar)
            let point = self[place..<place + length]
            result.append(isStart && !isBorder ? point.uppercased : point.lowercased)
            isStart = isBorder
            place += length
        }
        return result
    }

    private func changingCase(
        _ letters: ClosedRange<UInt8>, flip: UInt8, _ change: (String) -> String
    ) -> TemplateText {
        guard isASCII else { return mapRuns(change) }
        var result = self
        result.bytes = bytes.map { letters.contains($0) ? $0 ^ flip : $0 }
        return result
    }

    private func scalar(at offset: Int) -> (Unicode.Scalar, Int) {
        let first = bytes[offset]
        guard first >= 0x80 else { return (Unicode.Scalar(first), 1) }
        var end = offset + 1
        while end < count, bytes[end] & 0xC0 == 0x80 { end += 1 }
        let scalar = String(decoding: bytes[offset..<end], as: UTF8.self).unicodeScalars.first
        return (scalar ?? "\u{FFFD}", end - offset)
    }

    /// What Python's `str.isspace` says.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 9...13, 28...32, 0x85, 0xA0: true
        case 0..<0x1680: false
        case 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    private static func isLineBreak(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 10...13, 28...30, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }
}
