import Core
import Logging

/// What a question about all of a text comes to.
enum WholeChoice: Sendable {
    /// All of it goes into one prompt: these are its passages, and what answers by itself.
    case fits([Passage], Quotation?)
    case parts(WholePlan, documents: [DocumentSummary])
    /// It is answered from the best passages, for this reason where one is told.
    case passages(because: String?)
}

extension Orchestrator {
    /// Whether the question is about all of some documents, and how they are read then.
    ///
    /// - Parameter found: the passages that a search gives, which may settle it.
    func whole(
        _ question: String, _ request: TurnRequest, _ shape: TurnShape, _ card: ModelCard,
        found: [Passage]
    ) async throws -> WholeChoice {
        guard configuration.wholePartsMax > 0, let asked = WholeQuestion(question) else {
            return .passages(because: nil)
        }
        var quotation: Quotation?
        if asked.kind != .summary, !found.isEmpty {
            let review = AnswerReview(question: question, passages: found, quotesPassages: true)
            quotation = await review.quotation { pairs in
                await cosines(of: pairs, for: request.principal)
            }
        }
        guard !asked.isSettled(by: quotation) else { return .passages(because: nil) }
        guard let documents = try await documents(for: question, request) else {
            guard asked.isExplicit else { return .passages(because: nil) }
            return .passages(
                because: "There are too many documents to read all of them for one answer, so it"
                    + " rests on the passages that fit best. Name a document, or choose a"
                    + " collection with at most \(configuration.wholeDocumentsMax).")
        }
        guard !documents.isEmpty else { return .passages(because: nil) }
        guard documents.reduce(0, { $0 + $1.passageCount }) <= Self.passagesReadMax else {
            return .passages(
                because: asked.isExplicit
                    ? "The documents are too long to be read in full for one answer, so it rests on"
                        + " the passages that fit best." : nil)
        }
        guard var text = try await text(of: documents, for: request.principal) else {
            return .passages(because: nil)
        }
        let strong = quotation?.isStrong == true ? quotation : nil
        text = try await counted(text, card)
        if text.tokens <= shape.wholeTokensMax { return .fits(pieces(of: text, shape), strong) }
        guard asked.isExplicit else { return .passages(because: nil) }
        let plan = plan(text, question, asked.kind, shape, card, quotation: strong)
        return .parts(plan, documents: documents)
    }

    /// The documents that are meant: those that the question names, or all that are searched where
    /// they are few. Nil where there are too many.
    private func documents(
        for question: String, _ request: TurnRequest
    ) async throws -> [DocumentSummary]? {
        let search = SearchRequest(
            principal: request.principal, text: question,
            collectionIDs: request.collectionIDs ?? [], limit: 0)
        guard let all = try await knowledge.searched(by: search, max: Self.documentsLookedAt)
        else { return nil }
        let words = Words.contentSet(of: question)
        let named = all.filter { document in
            let stem = document.name.split(separator: ".").dropLast()
            let name = stem.isEmpty ? document.name : stem.joined(separator: " ")
            let own = Words.contentSet(
                of: name.map { "_-".contains($0) ? " " : String($0) }.joined())
            return !own.isEmpty && own.isSubset(of: words)
        }
        let meant = named.isEmpty ? all : named
        return meant.count <= configuration.wholeDocumentsMax ? meant : nil
    }

    // Longer texts are not even counted: far less of them is read for one answer.
    private static let passagesReadMax = 2000
    // Names are compared with the question's words.
    private static let documentsLookedAt = 500

    private func text(
        of documents: [DocumentSummary], for principal: Principal
    ) async throws -> WholeText? {
        var texts: [(DocumentSummary, String)] = []
        for document in documents.reversed() {
            texts.append((document, try await knowledge.text(of: document.id, for: principal).1))
        }
        guard let text = WholeText(texts), !text.blocks.isEmpty else { return nil }
        return text
    }

    private func counted(_ text: WholeText, _ card: ModelCard) async throws -> WholeText {
        var text = text
        // Some at a time, so that those who serve get their turn.
        for start in stride(from: 0, to: text.blocks.count, by: Self.blocksCounted) {
            let places = start..<min(start + Self.blocksCounted, text.blocks.count)
            let counts = try await model.countTokens(
                text.blocks[places].map(\.text), model: card.name)
            guard counts.count == places.count else {
                throw Failure(
                    .internalError, "The model's tokens could not be counted; the log says more.",
                    cause: "\(counts.count) counts")
            }
            for (place, count) in zip(places, counts) { text.blocks[place].tokens = count }
            await Task.yield()
        }
        return text
    }

    private static let blocksCounted = 128

    // Tokens of one passage of a text that goes in whole: small enough to be cited.
    private static let pieceTokensMax = 220

    private func pieces(of text: WholeText, _ shape: TurnShape) -> [Passage] {
        let atLeast = shape.wholeTokensMax / WholeNotes.passagesMax
        return text.runs(tokensMax: max(Self.pieceTokensMax, atLeast)).map {
            text.passage($0, id: environment.identifier())
        }
    }

    // MARK: Parts

    private func plan(
        _ text: WholeText, _ question: String, _ kind: WholeQuestion.Kind, _ shape: TurnShape,
        _ card: ModelCard, quotation: Quotation?
    ) -> WholePlan {
        let noteTokens = min(Self.noteTokensMax, max(32, shape.outputTokensMax / 3))
        let overhead = Self.overhead(question, kind)
        let room = max(64, Self.contextTokens(card) - noteTokens - overhead)
        let runs = text.runs(tokensMax: min(shape.wholeTokensMax, room))
        let perPart = min(shape.wholeTokensMax, room) + noteTokens + overhead
        let affordable = max(1, configuration.wholeTokensMax / max(1, perPart))
        let count = min(runs.count, configuration.wholePartsMax, affordable)
        let chosen = Self.chosen(runs, count, question, kind, text)
        return WholePlan(
            question: question, kind: kind, prompt: Prompt(random: environment.random()),
            parts: chosen.map { text.passage($0, id: environment.identifier()) },
            partsInAll: runs.count,
            quotation: quotation?.cited(as: 1), noteTokensMax: noteTokens,
            callsAtOnce: card.isLocal ? Self.localCallsAtOnce : Self.hostedCallsAtOnce,
            deadline: .now + .seconds(configuration.turnSecondsMax * 2 / 3))
    }

    private static let noteTokensMax = 400
    // The instructions and the frame of a part's prompt.
    private static let partOverhead = 400
    /// With the question, which each part is asked: from above, no script has more tokens.
    private static func overhead(_ question: String, _ kind: WholeQuestion.Kind) -> Int {
        partOverhead + (kind == .summary ? 0 : question.utf8.count / 3 + 1)
    }

    // The local engine answers a few at a time together; more only wait.
    private static let localCallsAtOnce = 2
    private static let hostedCallsAtOnce = 4

    /// Those parts that have most of the question's words; for a summary ones from everywhere.
    private static func chosen(
        _ runs: [Range<Int>], _ count: Int, _ question: String, _ kind: WholeQuestion.Kind,
        _ text: WholeText
    ) -> [Range<Int>] {
        guard runs.count > count else { return runs }
        if kind == .summary { return (0..<count).map { runs[$0 * runs.count / count] } }
        let words = Question(question).words
        let ranked = runs.indices.map { place in
            let own = Words.contentSet(
                of: text.blocks[runs[place]].map(\.text).joined(separator: " "))
            return (place: place, shared: own.intersection(words).count)
        }.sorted { ($1.shared, $0.place) < ($0.shared, $1.place) }
        return ranked.prefix(count).map(\.place).sorted().map { runs[$0] }
    }

    /// The most that reading and answering may cost; nil where no price is known.
    func ceiling(
        of plan: WholePlan, _ sampling: SamplingOptions, _ shape: TurnShape, _ card: ModelCard
    ) -> Picodollars? {
        guard let price = card.price else { return nil }
        let calls = plan.parts.count
        let overhead = Self.overhead(plan.question, plan.kind)
        let input =
            calls * (min(shape.wholeTokensMax, Self.contextTokens(card)) + overhead)
            + calls * plan.noteTokensMax + Self.overhead(plan.question, .count)
        let output =
            calls * plan.noteTokensMax + Self.outputTokens(sampling, shape, card)
        guard let read = try? price.input.times(input),
            let written = try? price.output.times(output)
        else { return nil }
        return try? read.adding(written)
    }
}
