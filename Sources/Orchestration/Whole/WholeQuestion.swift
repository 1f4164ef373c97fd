import Core

/// A question that a few passages cannot answer, because it is about all of a text.
struct WholeQuestion: Equatable, Sendable {
    enum Kind: String, Sendable { case count, list, summary }

    let kind: Kind
    /// Whether it says that it wants all of it. Others are read in full only where that is one call.
    let isExplicit: Bool

    /// Nil for a question about a place in a text.
    init?(_ question: String) {
        let words = Words.all(of: question)
        let set = Set(words)
        let line = " " + words.joined(separator: " ") + " "
        if !set.isDisjoint(with: Self.summing) || Self.gists.contains(where: line.contains) {
            (kind, isExplicit) = (.summary, true)
            return
        }
        let wantsAll =
            !set.isDisjoint(with: Self.all) || Self.allPhrases.contains(where: line.contains)
        if Self.counts.contains(where: line.contains) {
            (kind, isExplicit) = (.count, wantsAll)
            return
        }
        guard let first = words.first(where: { !Self.polite.contains($0) }) else { return nil }
        let isCommand = Self.listing.contains(first)
        let asks = set.contains("which") || set.contains("what")
        guard isCommand || asks && wantsAll else { return nil }
        (kind, isExplicit) = (.list, wantsAll)
    }

    private static let summing: Set<String> = [
        "summarize", "summarise", "summary", "summaries", "tldr", "overview", "gist",
        "zusammenfassung", "zusammenfassen",
    ]
    private static let gists = [
        " key points ", " main points ", " main ideas ", " key takeaways ", " sum up ",
        " fasse zusammen ", " document about ", " text about ", " file about ", " book about ",
    ]
    private static let counts = [
        " how many ", " number of ", " count the ", " count all ", " wie viele ",
    ]
    private static let listing: Set<String> = [
        "list", "name", "enumerate", "nenne", "liste",
    ]
    private static let polite: Set<String> = ["please", "can", "could", "you", "bitte"]
    private static let all: Set<String> = [
        "all", "every", "each", "total", "altogether", "overall", "entire", "whole", "complete",
        "everything", "alle", "insgesamt",
    ]
    private static let allPhrases = [" are there ", " are mentioned ", " are named ", " gibt es "]

    /// Whether a stretch that answers the question leaves nothing to read all for.
    func isSettled(by quotation: Quotation?) -> Bool {
        guard !isExplicit, let quotation, quotation.isStrong else { return false }
        switch kind {
        case .summary: return false
        case .list: return quotation.window.list != nil
        case .count:
            return Words.content(of: quotation.window.quotable).contains { word in
                word.utf8.contains { (48...57).contains($0) }
            }
        }
    }
}
