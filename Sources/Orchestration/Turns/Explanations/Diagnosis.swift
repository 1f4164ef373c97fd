import Core

/// Why a document was not found, or not given to the model, and what would change it. The first
/// finding is the one that matters most.
struct Diagnosis {
    typealias Finding = AnswerExplanation.Finding

    let question: String
    let found: SearchExplanation
    let rows: [AnswerExplanation.Row]
    let shape: TurnShape
    let context: PassageContext
    /// Whether only some documents of the collections were looked at.
    let isFiltered: Bool

    var findings: [Finding] {
        let notes = found.notes.map { Finding($0) }
        guard let expected = found.expected else { return general + notes }
        return (unread(expected) ?? unsearched(expected) ?? looked(expected)) + notes
    }

    // MARK: Without a document in mind

    private var general: [Finding] {
        var findings: [Finding] = []
        if found.documentCount == 0 {
            var finding = Finding("There is no document to search.")
            (finding.action, finding.label) = (.upload, "Add documents")
            return [finding]
        }
        if !found.hasVectors { findings.append(Self.withoutVectors) }
        let given = rows.count { $0.fate == .given }
        if given == 0 {
            findings.append(
                Finding(
                    "Nothing fits: no passage shares a word with the question or means nearly the same."
                ))
        }
        if let place = rows.firstIndex(where: { $0.fate == .overBudget }) {
            let count = rows.count { $0.fate == .overBudget }
            findings.append(
                more(
                    "\(count == 1 ? "1 passage was" : "\(count) passages were") found and had no"
                        + " room: passages may have \(shape.passageTokensMax) tokens together.",
                    place))
        }
        return findings
    }

    private static let withoutVectors = Finding(
        "The question could not be embedded, so words alone decided. Is an embedding model there?")

    // MARK: It cannot be found

    private func unread(_ expected: DocumentExplanation) -> [Finding]? {
        let document = expected.document
        switch document.state {
        case .pending:
            var finding = Finding("“\(document.name)” is still being read. Ask when it is ready.")
            (finding.action, finding.label) = (.reread, "Read it again")
            return [finding]
        case .failed:
            let reason = document.failure ?? "“\(document.name)” could not be read."
            var finding = Finding(reason)
            // Reading pictures once more gives no text either.
            let isPicture = reason.contains("has no text")
            finding.action = isPicture ? .upload : .reread
            finding.label = isPicture ? "Put in a file with text" : "Read it again"
            return [finding]
        case .ready: break
        }
        guard expected.hits.isEmpty else { return nil }
        var finding = Finding("“\(document.name)” has no passages: nothing was read from it.")
        (finding.action, finding.label) = (.reread, "Read it again")
        return [finding]
    }

    private func unsearched(_ expected: DocumentExplanation) -> [Finding]? {
        guard !expected.isSearched else { return nil }
        let name = expected.document.name
        var finding = Finding(
            isFiltered
                ? "“\(name)” is not among the documents that were searched: the filter, or the choice"
                    + " of a collection, leaves it out."
                : "“\(name)” is in a collection that was not searched.")
        (finding.action, finding.label) = (
            .searchAll, isFiltered ? "Search all documents" : "Search all collections"
        )
        return [finding]
    }

    // MARK: It was looked at

    private func looked(_ expected: DocumentExplanation) -> [Finding] {
        let document = expected.document
        let place = rows.firstIndex { $0.hit.passage.documentID == document.id }
        var findings = [place.map { reached($0, document) } ?? missed(expected)]
        let isGiven = place.map { rows[$0].fate == .given } ?? false
        if expected.passagesWithoutVector > 0 {
            let part =
                expected.passagesWithoutVector >= document.passageCount
                ? "None of its passages has a vector"
                : "\(expected.passagesWithoutVector) of its \(document.passageCount) passages have"
                    + " no vector"
            var finding = Finding("\(part) yet: only words can find them.")
            (finding.action, finding.label) = (.embed, "Make the vectors now")
            findings.insert(finding, at: isGiven ? findings.endIndex : 0)
        }
        if !found.hasVectors { findings.append(Self.withoutVectors) }
        if found.question == "quoted", expected.hits.allSatisfy({ !$0.isExact }) {
            var finding = Finding(
                "It does not hold the quoted words one after the other, and what does comes first.")
            (finding.action, finding.label) = (.ask, "Ask without quotation marks")
            finding.question = question.filter { !"\"“”„«»「」".contains($0) }
            findings.append(finding)
        }
        if !expected.missingWords.isEmpty {
            let words = expected.missingWords.map { "“\($0)”" }.joined(separator: ", ")
            let isAll = expected.words.isEmpty
            var finding = Finding(
                isAll
                    ? "None of the question's words occurs in it: \(words)."
                    : "It does not hold \(words) of the question's words.")
            if !isGiven, let words = ownWords(expected) {
                (finding.action, finding.label) = (.ask, "Ask with its words: “\(words)”")
                finding.question = "\(question) (\(words))"
            }
            // Where nothing else explains it, this does.
            findings.insert(finding, at: isAll && !isGiven ? 0 : findings.endIndex)
        }
        return findings
    }

    private func reached(_ place: Int, _ document: DocumentSummary) -> Finding {
        let row = rows[place]
        let rank = row.hit.rank ?? place + 1
        switch row.fate {
        case .given:
            return Finding(
                "It was found: its best passage is at rank \(rank) and is given to the model.")
        case .pastLimit:
            return more(
                "Its best passage is at rank \(rank), and the model is given"
                    + " \(shape.passagesMax).", place)
        case .overBudget:
            return more(
                "Its best passage is at rank \(rank) and had no room: passages may have"
                    + " \(shape.passageTokensMax) tokens together, and it has \(row.tokens).", place
            )
        case .tooFar:
            let similarity = row.hit.similarity.map { Self.hundredths($0) } ?? "unknown"
            let limit = Self.hundredths(max(shape.similarityMin, found.similarityMin))
            return Finding(
                "No word of the question fits, and its meaning is too far away: the cosine is"
                    + " \(similarity), and \(limit) are needed.")
        }
    }

    private func missed(_ expected: DocumentExplanation) -> Finding {
        let best = expected.hits.compactMap(\.similarity).max()
        let cosine = best.map { " Its nearest has a cosine of \(Self.hundredths($0))." } ?? ""
        return Finding("None of its passages is among the \(rows.count) best.\(cosine)")
    }

    /// A finding that more passages would change, where they would.
    private func more(_ sentence: String, _ place: Int) -> Finding {
        var finding = Finding(sentence)
        let needed = context.passagesNeeded(found.hits, for: place, after: shape.passagesMax)
        if let needed {
            (finding.action, finding.passages) = (.passages, needed)
            finding.label = "Give the model \(needed) passages"
        }
        return finding
    }

    /// What the document calls the matter: the headings of its best passage, or its name.
    private func ownWords(_ expected: DocumentExplanation) -> String? {
        let name = expected.document.name
        let stem = String(name.lastIndex(of: ".").map { name[..<$0] } ?? name[...])
        let headings = expected.hits.first?.passage.headings ?? []
        let heading = headings.last { !$0.hasPrefix("Page ") }
        let words = (heading ?? stem.replacing("-", with: " ").replacing("_", with: " "))
            .filter { !"“”\"".contains($0) }.prefix(Self.ownWordsMax)
        return words.isEmpty ? nil : String(words)
    }

    private static let ownWordsMax = 60

    private static func hundredths(_ value: Double) -> String {
        let count = Int((value * 100).rounded())
        let digits = count.magnitude % 100
        return "\(count < 0 ? "-" : "")\(count.magnitude / 100).\(digits < 10 ? "0" : "")\(digits)"
    }
}
