import Core
import Logging

/// Everything about a turn that is settled before its model is opened.
struct PreparedTurn: Sendable {
    let chat: ChatRequest
    let shape: TurnShape
    let card: ModelCard
    /// The passages in the prompt, in the order of their numbers.
    var passages: [Passage]
    /// Nil where no documents were to be searched.
    let search: SearchReport?
    let historyCount: Int
    let promptTokens: Int
    var notices: [String]
    /// Stands at the head of the answer: what answers a question about all of a text by itself.
    var quotation: Quotation?
    /// Set where documents are read in parts; `chat` notes the first of them.
    var whole: WholePlan?

    /// The first events of the turn.
    var events: [TurnEventKind] {
        (passages.isEmpty ? [] : [.passages(passages)]) + notices.map { .notice($0) }
    }
}

extension Orchestrator {
    /// The same where the request names no collections: in those of the chat, as far as the user may
    /// still read them.
    func prepareInChat(
        _ request: TurnRequest, question: String, history: ChatHistory
    ) async throws -> PreparedTurn {
        guard request.collectionIDs == nil, let chosen = history.collectionIDs else {
            return try await prepare(request, question: question, history: history)
        }
        do {
            return try await prepare(
                request.looking(in: chosen), question: question, history: history)
        } catch let failure as Failure where failure.code == .notFound {
            let left = try await readable(chosen, for: request.principal)
            guard left.count < chosen.count else { throw failure }
            var prepared = try await prepare(
                request.looking(in: left.isEmpty ? nil : left), question: question,
                history: history)
            prepared.notices.append(
                left.isEmpty
                    ? "The collections that this chat looked in are gone, so all are searched."
                    : "Some of the collections that this chat looks in are gone.")
            return prepared
        }
    }

    private func readable(
        _ collections: [Identifier], for principal: Principal
    ) async throws -> [Identifier] {
        var readable: [Identifier] = []
        for id in collections {
            let nothing = SearchRequest(
                principal: principal, text: "", collectionIDs: [id], limit: 0)
            do {
                _ = try await knowledge.searched(by: nothing, max: 0)
                readable.append(id)
            } catch let failure as Failure where failure.code == .notFound {}
        }
        return readable
    }

    /// Chooses the model, finds passages, and fits the prompt into the model's context.
    func prepare(
        _ request: TurnRequest, question: String,
        history: ChatHistory
    ) async throws -> PreparedTurn {
        let card = try await card(named: request.model ?? configuration.model)
        var shape = shape(for: card).giving(passages: history.passagesMax)
        var notices: [String] = []
        var (found, search) = try await passages(
            for: question, request, shape: shape, history: history.messages, &notices)
        search?.model = card.name
        var quotation: Quotation?
        if search != nil {
            switch try await wholeOrPassages(question, request, shape, card, found: found) {
            case .fits(let pieces, let strong):
                (found, quotation) = (pieces, strong)
                shape.passagesMax = max(shape.passagesMax, pieces.count)
                shape.passageTokensMax = max(shape.passageTokensMax, shape.wholeTokensMax * 2)
                notices.removeAll()
            case .parts(let plan, let documents):
                return prepared(request, shape, card, search, plan, documents)
            case .passages(let reason):
                if let reason { notices.append(reason) }
            }
        }
        let recent = history.messages.suffix(shape.historyMessagesMax).map(Prompt.earlier)

        let prompt = Prompt(random: environment.random())
        let outputTokens = Self.outputTokens(request.sampling, shape, card)
        let pieces = found.enumerated().map { prompt.passage($1, number: $0 + 1) }
        let fixed =
            prompt.instructions(hasPassages: !found.isEmpty)
            + prompt.question(question, hasPassages: !found.isEmpty)
        let counts = try await model.countTokens(
            [fixed] + pieces + recent.map(\.text), model: card.name)
        guard counts.count == 1 + pieces.count + recent.count else {
            throw Failure(
                .internalError, "The model's tokens could not be counted; the log says more.",
                cause: "\(counts.count) counts")
        }
        let fit = try ContextFit(
            room: Self.contextTokens(card) - outputTokens, fixed: counts[0],
            passages: Array(counts[1..<(1 + pieces.count)]),
            history: Array(counts[(1 + pieces.count)...]), shape: shape)
        let kept = fit.passages.map { found[$0] }
        if let notice = ContextFit.notice(
            messagesLeftOut: history.count - fit.historyCount,
            passagesLeftOut: found.count - kept.count)
        {
            notices.append(notice)
        }

        var sampling = request.sampling
        sampling.outputTokensMax = outputTokens
        if !kept.isEmpty {
            sampling.temperature = sampling.temperature ?? shape.passagesTemperature
            // A small model that copies its prompt ends where the copy reaches the marker.
            if sampling.stop.count < SamplingOptions.stopMax { sampling.stop.append(prompt.marker) }
        }
        let messages = prompt.messages(
            history: recent.suffix(fit.historyCount),
            // Numbered anew: a passage that was left out leaves no gap.
            passages: kept.enumerated().map { prompt.passage($1, number: $0 + 1) },
            question: question)
        return PreparedTurn(
            chat: ChatRequest(
                principal: request.principal, model: card.name, messages: messages,
                sampling: sampling, purpose: "turn", conversationID: request.chatID),
            shape: shape, card: card, passages: kept, search: search,
            historyCount: fit.historyCount,
            promptTokens: fit.tokens(of: counts, passages: pieces.count), notices: notices,
            quotation: quotation?.cited(from: kept))
    }

    /// A document that cannot be read in full leaves the passages that were found.
    private func wholeOrPassages(
        _ question: String, _ request: TurnRequest, _ shape: TurnShape, _ card: ModelCard,
        found: [Passage]
    ) async throws -> WholeChoice {
        do {
            return try await whole(question, request, shape, card, found: found)
        } catch let failure as Failure where failure.code == .unavailable {
            logger.warning("A document could not be read", metadata: ["error": "\(failure)"])
            return .passages(because: nil)
        }
    }

    /// A turn that reads documents in parts: history is left out, which the parts do not need.
    private func prepared(
        _ request: TurnRequest, _ shape: TurnShape, _ card: ModelCard, _ search: SearchReport?,
        _ plan: WholePlan, _ documents: [DocumentSummary]
    ) -> PreparedTurn {
        var sampling = request.sampling
        sampling.temperature = sampling.temperature ?? shape.passagesTemperature
        if sampling.stop.count < SamplingOptions.stopMax {
            sampling.stop.append(plan.prompt.marker)
        }
        let chat = ChatRequest(
            principal: request.principal, model: card.name, messages: [], sampling: sampling,
            purpose: "turn", conversationID: request.chatID)
        let first = WholeReading(
            plan: plan, chat: chat, model: model, shape: shape, card: card,
            environment: environment
        ).request(forPart: 0)
        return PreparedTurn(
            chat: first, shape: shape, card: card,
            passages: plan.quotation.map { [$0.passage] } ?? [], search: search, historyCount: 0,
            promptTokens: 0,
            notices: [
                plan.announcement(
                    documents: documents,
                    atMost: ceiling(of: plan, request.sampling, shape, card))
            ], quotation: plan.quotation, whole: plan)
    }

    func shape(for card: ModelCard) -> TurnShape {
        card.isLocal ? configuration.local : configuration.hosted
    }

    func card(named name: String) async throws -> ModelCard {
        let cards = await model.models()
        guard let first = cards.first else {
            throw Failure(
                .unavailable,
                "There is no model to answer with. Run `make models` to fetch the"
                    + " local one, or configure a hosted one.")
        }
        guard !name.isEmpty else { return first }
        guard let card = cards.first(where: { $0.name == name }) else {
            let names = cards.map(\.name).joined(separator: ", ")
            throw Failure(.notFound, "There is no model \(name.prefix(80)). There is: \(names).")
        }
        return card
    }

    /// What fits the question, best first, and what was looked for. A knowledge base that is not
    /// there leaves the model to answer alone, and says so.
    private func passages(
        for question: String, _ request: TurnRequest, shape: TurnShape, history: [ChatMessage],
        _ notices: inout [String]
    ) async throws -> ([Passage], SearchReport?) {
        if let chosen = request.collectionIDs, chosen.isEmpty { return ([], nil) }
        guard shape.passagesMax > 0 else { return ([], nil) }
        let queries = await knowledge.queries(
            for: question, after: history, for: request.principal)
        var report = SearchReport(
            text: queries.first ?? question, collectionIDs: request.collectionIDs ?? [],
            passagesMax: shape.passagesMax)
        if queries.count > 1 { report.queries = Array(queries.dropFirst()) }
        do {
            let hits = try await knowledge.search(
                report.request(for: request.principal, limit: shape.passagesMax))
            let relevant = hits.prefix(shape.passagesMax).filter(shape.isRelevant)
            if relevant.isEmpty {
                report = await completed(report, for: request.principal)
                if let notice = report.noticeOfNothing { notices.append(notice) }
            }
            return (relevant.map(\.passage), report)
        } catch let failure as Failure where failure.code == .unavailable {
            logger.warning("Documents could not be searched", metadata: ["error": "\(failure)"])
            notices.append("Your documents could not be searched: \(failure.message)")
            return ([], report)
        }
    }

    /// The report with how much was searched, and how alike the closest passage is.
    func completed(_ report: SearchReport, for principal: Principal) async -> SearchReport {
        var report = report
        do {
            let found = try await knowledge.explain(
                report.request(for: principal, limit: Self.hitsLookedAt))
            report.documentCount = found.documentCount
            report.passageCount = found.passageCount
            report.bestSimilarity = (found.hits + found.dropped).compactMap(\.similarity).max()
        } catch {
            logger.debug("What was searched is not known", metadata: ["error": "\(error)"])
        }
        return report
    }

    // Of those found and those left out, for the one that is most alike.
    private static let hitsLookedAt = 10

    // For a model whose card does not say.
    private static let contextTokensDefault = 4096

    static func contextTokens(_ card: ModelCard) -> Int {
        card.contextTokens > 0 ? card.contextTokens : contextTokensDefault
    }

    /// What the answer may take, never more than half the context: the question needs room too.
    static func outputTokens(
        _ sampling: SamplingOptions, _ shape: TurnShape, _ card: ModelCard
    ) -> Int {
        var tokens = max(1, sampling.outputTokensMax ?? shape.outputTokensMax)
        if card.outputTokensMax > 0 { tokens = min(tokens, card.outputTokensMax) }
        return min(tokens, max(1, contextTokens(card) / 2))
    }
}

extension TurnShape {
    /// Whether a passage is near enough to be offered to the model.
    func isRelevant(_ hit: SearchHit) -> Bool {
        guard hit.keywordRank == nil, let similarity = hit.similarity else { return true }
        return similarity >= similarityMin
    }
}

extension SearchReport {
    /// The search that it reports.
    func request(
        for principal: Principal, limit: Int, documentID: Identifier? = nil
    ) -> SearchRequest {
        var request = SearchRequest(
            principal: principal, text: text, collectionIDs: collectionIDs, limit: limit,
            documentID: documentID)
        request.queries = queries ?? []
        return request
    }

    /// What the reader is told where nothing fits; nil where there was nothing to search.
    fileprivate var noticeOfNothing: String? {
        guard !collectionIDs.isEmpty || documentCount ?? 0 > 0 else { return nil }
        let place = collectionIDs.isEmpty ? "your documents" : "the chosen collections"
        return "Nothing in \(place) fits this question, so the model answers alone. \(sentence)"
    }
}

extension ContextFit {
    /// Tokens of the whole prompt, from the counts of `[fixed] + passages + history`.
    fileprivate func tokens(of counts: [Int], passages count: Int) -> Int {
        let history = counts[(1 + count)...].suffix(historyCount)
        return counts[0] + passages.reduce(0) { $0 + counts[1 + $1] } + history.reduce(0, +)
            + (2 + historyCount) * Self.tokensPerMessage
    }
}
