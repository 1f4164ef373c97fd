package import Core
import Tracing

extension Orchestrator {
    package func explain(_ request: ExplanationRequest) async throws -> AnswerExplanation {
        try await withSpan("explain", ofKind: .internal) { span in
            let explanation = try await explanation(of: request)
            span.attributes["heptad.explain.rows"] = explanation.rows.count
            span.attributes["heptad.explain.findings"] = explanation.findings.count
            return explanation
        }
    }

    private func explanation(of request: ExplanationRequest) async throws -> AnswerExplanation {
        let turn: AskedTurn? =
            if let id = request.turnID {
                try await store.asked(id, for: request.principal)
            } else {
                nil
            }
        let question = try checked(request.question ?? turn?.question ?? "")
        let isTurns = question == turn?.question
        let asked = turn?.outcome?.search
        let card = try await card(asked: asked?.model, wanted: request.model)
        let base = card.map(shape) ?? configuration.local
        let shape = base.giving(passages: request.passagesMax ?? asked?.passagesMax)
        var report = SearchReport(
            // Another question than the turn's is looked up as it is.
            text: isTurns ? asked?.text ?? question : question,
            collectionIDs: request.collectionIDs ?? asked?.collectionIDs ?? [],
            passagesMax: shape.passagesMax)
        report.queries = isTurns ? asked?.queries : nil
        var search = report.request(
            for: request.principal, limit: Self.hitsExplainedMax, documentID: request.documentID)
        search.filter = request.filter
        let found = try await knowledge.explain(search)
        report.model = card?.name
        (report.documentCount, report.passageCount) = (found.documentCount, found.passageCount)
        report.bestSimilarity = (found.hits + found.dropped).compactMap(\.similarity).max()

        let context = try await context(of: question, found, base: base, card: card)
        let rows = context.rows(found, shape, given: isTurns ? turn?.passageIDs : nil)
        let diagnosis = Diagnosis(
            question: question, found: found, rows: rows, shape: shape, context: context,
            isFiltered: request.filter != nil)
        var findings = diagnosis.findings
        if isTurns, let outcome = turn?.outcome, outcome.verdicts != nil, outcome.search == nil {
            findings.insert(.init("This answer searched no documents."), at: 0)
        }
        let limit = min(max(1, request.limit), Self.hitsExplainedMax)
        let listed = rows.enumerated().filter { place, row in
            place < limit || row.hit.passage.documentID == request.documentID
        }
        return AnswerExplanation(
            question: question, search: report, model: card?.name ?? "",
            passageTokensMax: shape.passageTokensMax, similarityMin: shape.similarityMin,
            found: found, rows: listed.map(\.element), findings: findings)
    }

    /// As far as a search goes by default.
    static let hitsExplainedMax = 100

    /// The model of the turn may be gone since; one that is asked for must be there. Nil where there
    /// is none at all: what is found can be explained without.
    private func card(asked: String?, wanted: String?) async throws -> ModelCard? {
        if let wanted { return try await card(named: wanted) }
        let cards = await model.models()
        if let card = cards.first(where: { $0.name == asked }) { return card }
        return cards.isEmpty ? nil : try await card(named: configuration.model)
    }

    /// What the passages would take of the model's context.
    private func context(
        of question: String, _ found: SearchExplanation, base: TurnShape, card: ModelCard?
    ) async throws -> PassageContext {
        let prompt = Prompt(random: environment.random())
        let pieces = found.hits.prefix(TurnShape.passagesLimit).enumerated().map {
            prompt.passage($1.passage, number: $0 + 1)
        }
        let fixed =
            prompt.instructions(hasPassages: true) + prompt.question(question, hasPassages: true)
        guard let card else {
            return PassageContext(
                base: base, room: .max / 2, fixed: 0, tokens: pieces.map { $0.utf8.count / 4 })
        }
        let counts = try await model.countTokens([fixed] + pieces, model: card.name)
        guard counts.count == 1 + pieces.count else {
            throw Failure(
                .internalError, "The model's tokens could not be counted; the log says more.",
                cause: "\(counts.count) counts")
        }
        let output = Self.outputTokens(SamplingOptions(), base, card)
        return PassageContext(
            base: base, room: Self.contextTokens(card) - output, fixed: counts[0],
            tokens: Array(counts.dropFirst()))
    }
}
