/// Source code in the pieces it is written in: a definition with the comment above it, up to the next
/// that begins at the left edge after a blank line.
enum CodeReader {
    static func read(_ scalars: [Unicode.Scalar]) -> ExtractedText {
        var blocks: [ExtractedText.Block] = []
        var block: Range<Int>?
        var isAfterBlank = false
        var start = 0
        while start < scalars.count {
            let end = scalars[start...].firstIndex(of: "\n") ?? scalars.count
            let line = start..<end
            start = end + 1
            guard let last = scalars[line].lastIndex(where: { !$0.properties.isWhitespace }) else {
                isAfterBlank = true
                continue
            }
            let isAtEdge = !scalars[line.lowerBound].properties.isWhitespace
            // A brace that closes belongs to what it closes.
            let opens = isAtEdge && !"})]".unicodeScalars.contains(scalars[line.lowerBound])
            if let open = block, !(opens && isAfterBlank) {
                block = open.lowerBound..<last + 1
            } else {
                if let open = block { blocks.append(.init(kind: .code, range: open)) }
                block = line.lowerBound..<last + 1
            }
            isAfterBlank = false
        }
        if let open = block { blocks.append(.init(kind: .code, range: open)) }
        return ExtractedText(scalars: scalars, blocks: blocks)
    }
}
