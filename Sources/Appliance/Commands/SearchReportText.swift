import Core
import Foundation

/// An explanation of a search for the terminal.
struct SearchReportText {
    private let found: AnswerExplanation

    init(_ found: AnswerExplanation) { self.found = found }

    func show() {
        for finding in found.findings { Terminal.say(Terminal.harmless("! \(finding.sentence)")) }
        if let expected = found.expected { show(expected) }
        if found.rows.isEmpty { Terminal.note("Nothing fits.") }
        for row in found.rows {
            let note = row.tokens > 0 ? "\(row.fate.words), \(row.tokens) tokens" : row.fate.words
            Self.show(row.hit, number: row.hit.rank.map { "\($0)" } ?? "-", note: note)
        }
        showSettings()
    }

    private func show(_ expected: DocumentExplanation) {
        let document = expected.document
        Terminal.say(
            Terminal.harmless(
                "\(document.name): \(document.state.rawValue), \(document.passageCount) passages,"
                    + " \(expected.characterCount) characters of text"))
        if !expected.words.isEmpty {
            Terminal.say(
                Terminal.harmless("    holds: \(expected.words.joined(separator: ", "))"))
        }
        if !expected.missingWords.isEmpty {
            Terminal.say(
                Terminal.harmless(
                    "    does not hold: \(expected.missingWords.joined(separator: ", "))"))
        }
        let listed = Set(found.rows.map(\.hit.passage.id))
        for hit in expected.hits where !listed.contains(hit.passage.id) {
            Self.show(hit, number: hit.rank.map { "\($0)" } ?? "-", note: "not among the found")
        }
        Terminal.say()
    }

    private func showSettings() {
        let share = Int((found.vectorShare * 100).rounded())
        Terminal.say(
            "A \(found.shape) question: meaning counts \(share) %, words \(100 - share) %."
                + (found.hasVectors ? "" : " It could not be embedded: words alone decided."))
        let search = found.search
        for query in search.queries ?? [] {
            Terminal.say(Terminal.harmless("Also looked up: \(query)"))
        }
        Terminal.say(
            "Documents searched: \(search.documentCount ?? 0), with passages: \(search.passageCount ?? 0)."
                + " \(found.model.isEmpty ? "A model" : found.model) is given up to \(search.passagesMax) passages of"
                + " \(found.passageTokensMax) tokens together.")
    }

    static func show(_ hit: SearchHit, number: String, note: String? = nil) {
        let passage = hit.passage
        let place = ([passage.documentName] + passage.headings).joined(separator: " > ")
        Terminal.say(
            Terminal.harmless("[\(number)] \(place), \(passage.start)-\(passage.end)"))
        if let note { Terminal.say("    \(reasons(of: hit)) · \(note)") }
        let line = passage.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        Terminal.say(Terminal.harmless("    " + line.prefix(excerptMax)))
    }

    private static let excerptMax = 160

    private static func reasons(of hit: SearchHit) -> String {
        func part(_ name: String, _ rank: Int?, _ format: String, _ score: Double?) -> String {
            let place = rank.map { "#\($0)" } ?? "-"
            return "\(name) \(place)" + (score.map { String(format: " (\(format))", $0) } ?? "")
        }
        return [
            String(format: "score %.4f", hit.score),
            part("words", hit.keywordRank, "BM25 %.2f", hit.keywordScore),
            part("meaning", hit.vectorRank, "cosine %.3f", hit.similarity),
        ].joined(separator: " · ")
            + (hit.rerankRank == nil
                ? "" : " · " + part("reranked", hit.rerankRank, "%.3f", hit.rerankScore))
            + (hit.isExact ? " · exact" : "")
    }
}

extension AnswerExplanation.Row.Fate {
    fileprivate var words: String {
        switch self {
        case .given: "given to the model"
        case .pastLimit: "further down than the model is given"
        case .overBudget: "no room beside the others"
        case .tooFar: "left out, too far"
        }
    }
}
