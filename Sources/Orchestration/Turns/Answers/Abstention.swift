import Core

/// What stands in place of an answer where there is none.
enum Abstention {
    static let nothing = "I have no answer to this."

    static func text(closest passage: Passage, number: Int) -> String {
        let name = Title.cleaned(
            String(passage.documentName.map { "[]`*\"<>".contains($0) ? " " : $0 }))
        return "I found no answer to this in your documents. What comes closest is in"
            + " \"\(name)\" [\(number)]."
    }
}

extension SearchReport {
    /// What was looked for and where, for the reader.
    var sentence: String {
        let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        let shown =
            line.count > Self.shownMax ? line.prefix(Self.shownMax) + "…" : Substring(line)
        var sentence = "Looked for “\(shown)”"
        if let documentCount, let passageCount {
            let place = collectionIDs.isEmpty ? "" : " of the chosen collections"
            sentence +=
                " in \(Self.count(documentCount, "document"))\(place)"
                + " (\(Self.count(passageCount, "passage")))"
        }
        if let bestSimilarity {
            let hundredths = Int((min(max(bestSimilarity, 0), 1) * 100).rounded())
            sentence += "; the closest is alike by \(hundredths) %"
        }
        return sentence + "."
    }

    private static let shownMax = 160

    private static func count(_ count: Int, _ noun: String) -> String {
        "\(count) \(noun)\(count == 1 ? "" : "s")"
    }
}
