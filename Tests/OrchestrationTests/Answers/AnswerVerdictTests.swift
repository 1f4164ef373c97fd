import Testing

@testable import Orchestration

@Suite struct AnswerVerdictTests {
    private static let good = AnswerFacts(
        sentenceCount: 2, supportedCount: 2, hasStrongQuotation: true)
    private static let nonsense = AnswerFacts(
        sentenceCount: 2, supportedCount: 0, hasStrongQuotation: true)

    private static func facts(_ base: AnswerFacts, _ change: (inout AnswerFacts) -> Void)
        -> AnswerFacts
    {
        var facts = base
        change(&facts)
        return facts
    }

    private static func list(_ base: AnswerFacts, missing: Int) -> AnswerFacts {
        facts(base) {
            $0.listItemCount = 4
            $0.listItemsMissing = missing
        }
    }

    @Test(
        "What becomes of an answer",
        arguments: [
            (good, AnswerVerdict.appendEvidence),
            (facts(good) { $0.isVerbatim = true }, .keep),
            (facts(good) { $0.hasStrongQuotation = false }, .keep),
            (facts(good) { $0.quotesPassages = false }, .keep),
            (facts(good) { $0.isEmpty = true }, .quote(.noAnswer)),
            (
                facts(good) {
                    $0.isEmpty = true
                    $0.hasStrongQuotation = false
                }, .abstain(.noAnswer)
            ),
            (
                facts(good) {
                    $0.isEmpty = true
                    $0.hasPassages = false
                    $0.hasStrongQuotation = false
                }, .nothingFound
            ),
            (facts(good) { $0.isRefusal = true }, .quote(.refusal)),
            (
                facts(good) {
                    $0.isRefusal = true
                    $0.hasStrongQuotation = false
                }, .abstain(.refusal)
            ),
            // Of a model that is trusted its own words stand.
            (
                facts(good) {
                    $0.isRefusal = true
                    $0.hasStrongQuotation = false
                    $0.quotesPassages = false
                }, .keep
            ),
            (list(good, missing: 0), .appendEvidence), (list(good, missing: 2), .append),
            (list(good, missing: 3), .quote(.incompleteList)),
            (facts(list(good, missing: 1)) { $0.sentenceCount = 5 }, .quote(.incompleteList)),
            (list(nonsense, missing: 4), .quote(.incompleteList)),
            (facts(good) { $0.isOffTopic = true }, .quote(.offTopic)),
            (
                facts(good) {
                    $0.isOffTopic = true
                    $0.hasStrongQuotation = false
                }, .keep
            ),
            (nonsense, .quote(.unsupported)),
            (facts(good) { $0.supportedCount = 1 }, .quote(.unsupported)),
            (facts(good) { $0.sentenceCount = 3 }, .appendEvidence),
            (facts(good) { $0.sentenceCount = 5 }, .quote(.unsupported)),
            (
                facts(good) {
                    $0.sentenceCount = 5
                    $0.hasStrongQuotation = false
                }, .keep
            ),
            (facts(nonsense) { $0.hasStrongQuotation = false }, .abstain(.unsupported)),
            (facts(nonsense) { $0.quotesPassages = false }, .keep),
            (facts(nonsense) { $0.hasPassages = false }, .keep),
            // `Yes.` says nothing that could be supported.
            (facts(nonsense) { $0.sentenceCount = 0 }, .appendEvidence),
        ])
    func rule(facts: AnswerFacts, verdict: AnswerVerdict) {
        #expect(facts.verdict == verdict)
        // An answer that is none says so itself.
        let isToldNothing = [
            .keep, .appendEvidence, .nothingFound, .abstain(.noAnswer), .abstain(.refusal),
        ].contains(verdict)
        #expect((verdict.notice == nil) == isToldNothing)
    }

    @Test(
        "Refusals are told from answers",
        arguments: [
            ("I don't know.", true), ("I’m sorry, but I cannot help with that.", true),
            ("As an AI language model, I have no opinions.", true),
            ("The passages do not say.", true), ("There is no information about it.", true),
            ("The bill is kept down by caching.", false), ("Sort the list first.", false),
            ("Knowing it helps.", false), ("", false),
        ])
    func refusals(text: String, isRefusal: Bool) {
        #expect(Refusal.isOne(text) == isRefusal)
    }
}
