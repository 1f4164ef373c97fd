import Core
import TestSupport
import Testing

@testable import Orchestration

/// Why passages are given to a model or not, and what is suggested.
@Suite struct ExplainTests {
    private static let words = Array(repeating: "word", count: 150).joined(separator: " ")

    private static func hit(
        _ number: Int, text: String = "Short.", rank: Int? = nil, keywordRank: Int? = 1,
        similarity: Double? = 0.6, isExact: Bool = false
    ) -> SearchHit {
        var hit = SearchHit(
            passage: .sample(text, number: number, headings: ["Charges", "Lost things"]),
            score: 1 / Double(number), keywordRank: keywordRank, vectorRank: number,
            similarity: similarity, isExact: isExact)
        hit.rank = rank
        return hit
    }

    private static func ranked(_ count: Int, text: String = "Short.") -> [SearchHit] {
        (1...count).map { hit($0, text: text, rank: $0) }
    }

    /// The document of the passage with this number.
    private static func document(
        _ number: Int, state: DocumentSummary.State = .ready, failure: String? = nil,
        isSearched: Bool = true, withoutVector: Int = 0, words: [String] = ["word"],
        missing: [String] = [], hits: [SearchHit]? = nil
    ) -> DocumentExplanation {
        let passage = Passage.sample("Short.", number: number)
        return DocumentExplanation(
            document: DocumentSummary(
                id: passage.documentID, collectionID: passage.id, name: passage.documentName,
                mediaType: "text/plain", byteCount: 5, passageCount: 3, state: state,
                failure: failure, createdAt: Timestamp(microseconds: 0)),
            excerpt: "Short.", characterCount: 6, isSearched: isSearched,
            passagesWithoutVector: withoutVector, words: words, missingWords: missing,
            hits: hits ?? [hit(number, rank: number)])
    }

    private static func explain(
        _ knowledge: ScriptedKnowledge, question: String = "What is word?", expecting number: Int?,
        configuration: OrchestrationConfiguration = OrchestrationConfiguration()
    ) async throws -> AnswerExplanation {
        try await withOrchestrator(knowledge: knowledge, configuration: configuration) {
            var request = ExplanationRequest(principal: .alice)
            request.question = question
            request.limit = 100
            request.documentID = number.map { Passage.sample("", number: $0).documentID }
            return try await $0.explain(request)
        }
    }

    @Test("Each passage is said to be given, too far down, too long beside the others, or too far")
    func fates() async throws {
        var hits = Self.ranked(6)
        hits[1] = Self.hit(2, text: Array(repeating: "word", count: 900).joined(separator: " "))
        hits[2] = Self.hit(3, keywordRank: nil, similarity: 0.1)
        let knowledge = ScriptedKnowledge(
            hits: hits, dropped: [Self.hit(7, keywordRank: nil, similarity: 0.05)])
        let explanation = try await Self.explain(knowledge, expecting: nil)
        #expect(
            explanation.rows.map(\.fate) == [
                .given, .overBudget, .tooFar, .given, .pastLimit, .pastLimit, .tooFar,
            ])
        #expect(explanation.search.documentCount == 7 && explanation.search.passagesMax == 4)
        #expect(explanation.rows[0].tokens > 0 && explanation.rows[0].wasGiven == nil)
        #expect(explanation.findings.first?.sentence.hasPrefix("1 passage was found") == true)
    }

    @Test("A document that is found and not given is given with as many passages as it takes")
    func pastLimit() async throws {
        let knowledge = ScriptedKnowledge(hits: Self.ranked(14), expected: Self.document(14))
        let explanation = try await Self.explain(knowledge, expecting: 14)
        let finding = try #require(explanation.findings.first)
        #expect(
            finding.sentence == "Its best passage is at rank 14, and the model is given 4.")
        #expect(finding.action == .passages && finding.passages == 14)
        // And that is true.
        let outcome = try await withOrchestrator(knowledge: knowledge) {
            var request = ExplanationRequest(principal: .alice)
            (request.question, request.passagesMax) = ("What is word?", finding.passages)
            return try await $0.explain(request)
        }
        #expect(outcome.rows[13].fate == .given)
    }

    @Test("Long passages need more room, and what no room helps is not suggested")
    func overBudget() async throws {
        let long = ScriptedKnowledge(
            hits: Self.ranked(4, text: String(repeating: "word ", count: 270)),
            expected: Self.document(4))
        let needed = try #require(
            try await Self.explain(long, expecting: 4).findings.first)
        #expect(needed.sentence.contains("had no room"))
        #expect(needed.action == .passages && needed.passages ?? 0 > 4)
        let endless = ScriptedKnowledge(
            hits: Self.ranked(1, text: String(repeating: "word ", count: 20_000)),
            expected: Self.document(1))
        let none = try #require(try await Self.explain(endless, expecting: 1).findings.first)
        #expect(none.sentence.contains("had no room") && none.action == nil)
    }

    struct Case: Sendable {
        let expected: DocumentExplanation
        var question = "What is word?"
        var hits: [SearchHit] = []
        let sentence: String
        let action: AnswerExplanation.Finding.Action?
    }

    private static let cases = [
        Case(
            expected: document(
                1, state: .failed, failure: "“a.pdf” has no text: its pages are pictures.",
                hits: []),
            sentence: "“a.pdf” has no text: its pages are pictures.", action: .upload),
        Case(
            expected: document(1, state: .failed, failure: "It is damaged.", hits: []),
            sentence: "It is damaged.", action: .reread),
        Case(
            expected: document(1, state: .pending, hits: []),
            sentence: "“doc-1.txt” is still being",
            action: .reread),
        Case(
            expected: document(1, hits: []), sentence: "“doc-1.txt” has no passages",
            action: .reread),
        Case(
            expected: document(1, isSearched: false),
            sentence: "“doc-1.txt” is in a collection that was not searched.", action: .searchAll),
        Case(
            expected: document(1, withoutVector: 3), sentence: "None of its passages has a vector",
            action: .embed),
        Case(
            expected: document(1, withoutVector: 2), sentence: "2 of its 3 passages have no vector",
            action: .embed),
        Case(
            expected: document(1, words: [], missing: ["paddle"]),
            sentence: "None of the question's words occurs in it: “paddle”.", action: .ask),
        Case(
            expected: document(1), hits: ranked(2),
            sentence: "It was found: its best passage is at rank 1", action: nil),
        Case(
            expected: document(2),
            hits: [hit(1, rank: 1), hit(2, keywordRank: nil, similarity: 0.1)],
            sentence: "No word of the question fits, and its meaning is too far away: the cosine is"
                + " 0.10, and 0.25 are needed.", action: nil),
        Case(
            expected: document(3), hits: ranked(2),
            sentence: "None of its passages is among the 2 best. Its nearest has a cosine of 0.60.",
            action: nil),
    ]

    @Test("What kept a document from being found is named first, with what helps", arguments: cases)
    func findings(of test: Case) async throws {
        let knowledge = ScriptedKnowledge(hits: test.hits, expected: test.expected)
        let number = Int(test.expected.document.name.dropFirst(4).dropLast(4))
        let findings = try await Self.explain(
            knowledge, question: test.question, expecting: number
        ).findings
        let first = try #require(findings.first)
        #expect(first.sentence.hasPrefix(test.sentence), "\(findings.map(\.sentence))")
        #expect(first.action == test.action)
        #expect((first.action == nil) == (first.label == nil))
    }

    @Test("A question in other words is asked with the document's own")
    func ownWords() async throws {
        let knowledge = ScriptedKnowledge(
            expected: Self.document(1, words: [], missing: ["paddle"]))
        let finding = try #require(
            try await Self.explain(knowledge, question: "Missing paddle?", expecting: 1)
                .findings.first)
        #expect(finding.question == "Missing paddle? (Lost things)")
    }

    @Test(
        "A turn is explained by its own question, collections and passages; another's is not there")
    func turns() async throws {
        let knowledge = ScriptedKnowledge(hits: Self.ranked(6))
        try await withOrchestrator(knowledge: knowledge) { orchestrator in
            let chat = try await orchestrator.newChat()
            let collection = Passage.sample("", number: 9).id
            let turn = try await orchestrator.ask(
                "What is word?", in: chat, collections: [collection]
            ).turnID
            _ = try await orchestrator.outcome(of: turn)
            var request = ExplanationRequest(principal: .alice)
            request.turnID = turn
            let explanation = try await orchestrator.explain(request)
            #expect(explanation.question == "What is word?")
            #expect(explanation.search.collectionIDs == [collection])
            #expect(
                explanation.rows.map(\.wasGiven) == [true, true, true, true, false, false])
            #expect(knowledge.requests.allSatisfy { $0.principal.userID == Principal.alice.userID })

            var foreign = ExplanationRequest(principal: .mallory)
            foreign.turnID = turn
            let failure = await refusal { [foreign] in _ = try await orchestrator.explain(foreign) }
            #expect(failure?.code == .notFound)
            let silent = await refusal {
                _ = try await orchestrator.explain(ExplanationRequest(principal: .alice))
            }
            #expect(silent?.code == .invalid)
        }
    }
}
